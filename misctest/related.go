package misctest

import (
	"testing"

	"github.com/sealtalk-go/misc"
)

// TestRelatedStore tests what a misc.RelatedStore adds to a store and to
// relations, which have suites of their own. The demands are those of
// [TestRelations] and [TestScreenCaptureStore].
func TestRelatedStore(t *testing.T, newStore func(t *testing.T, w World) misc.RelatedStore, options ...RelationsOptions) {
	o := optional(options)
	rule := func(name string, w world, check func(t *testing.T, s relatedStore)) {
		t.Run(name, func(t *testing.T) { check(t, relatedStore{newStore(t, w.public())}) })
	}

	// By number 2 is below 10, and as strings ID(10) is below ID(2).
	rule("the related read the setting, whoever asks", world{
		friends: [][2]uint32{{2, 10}},
		groups:  map[uint32][]uint32{1101: {2, 10}},
	}, func(t *testing.T, s relatedStore) {
		for _, c := range []misc.Conversation{pair(2, 10), group(1101)} {
			for _, status := range []misc.NoticeStatus{misc.NoticeOff, misc.NoticeOn, misc.NoticeOff} {
				s.want(t, 2, c, true, misc.NoticeOff) // never set, at first
				setCapture(t, s, c, status)
				s.want(t, 2, c, true, status)
				s.want(t, 10, c, true, status)
				setCapture(t, s, c, misc.NoticeOff)
			}
		}
	})

	rule("strangers are not related, whatever is set", world{
		friends: [][2]uint32{{1201, 1202}, {1203, 1204}, {1203, 1207}},
		groups:  map[uint32][]uint32{1205: {1201}, 1207: {1208}},
	}, func(t *testing.T, s relatedStore) {
		for _, c := range []misc.Conversation{pair(1201, 1203), group(1205), group(1206), group(1207)} {
			setCapture(t, s, c, misc.NoticeOn)
			s.want(t, 1203, c, false, misc.NoticeOff)
		}
		s.want(t, 1208, pair(1207, 1208), false, misc.NoticeOff)
	})

	rule("the one who asks counts, and not only the pair", world{
		friends: [][2]uint32{{1601, 1602}, {1603, 1601}, {1604, 1602}},
		groups:  map[uint32][]uint32{1605: {1601, 1602}},
	}, func(t *testing.T, s relatedStore) {
		for _, c := range []misc.Conversation{pair(1601, 1602), group(1605)} {
			setCapture(t, s, c, misc.NoticeOn)
			for _, asker := range []uint32{1603, 1604, 1606} { // a friend of either, and of nobody
				s.want(t, asker, c, false, misc.NoticeOff)
			}
		}
	})

	rule("an invalid id is not related or misc.ErrInvalidID", world{}, func(t *testing.T, s relatedStore) {
		for _, id := range invalidIDs {
			for _, c := range []misc.Conversation{misc.PrivateConversation(ID(1401), id), misc.GroupConversation(id)} {
				related, _, err := s.RelatedScreenCapture(t.Context(), ID(1401), c)
				wantInvalidID(t, "RelatedScreenCapture", id, related, err)
			}
		}
	})

	w := world{friends: [][2]uint32{{1501, 1502}}, groups: map[uint32][]uint32{1503: {1501}}}
	conversations := []misc.Conversation{pair(1501, 1502), group(1503), pair(1501, 1504), group(1504)}
	rule("a cancelled question is an error", w, func(t *testing.T, s relatedStore) {
		for _, c := range conversations {
			_, _, err := s.RelatedScreenCapture(cancelled(t), ID(1501), c)
			wantFailure(t, "RelatedScreenCapture, cancelled", err)
		}
	})

	if !untested(t, o.Remove == nil, "RelationsOptions.Remove") {
		w := world{friends: [][2]uint32{{1701, 1702}}, groups: map[uint32][]uint32{1703: {1701}}}
		rule("who was removed is no longer related", w, func(t *testing.T, s relatedStore) {
			s.want(t, 1701, pair(1701, 1702), true, misc.NoticeOff)
			s.want(t, 1701, group(1703), true, misc.NoticeOff)
			o.Remove(t, w.public())
			s.want(t, 1701, pair(1701, 1702), false, misc.NoticeOff)
			s.want(t, 1701, group(1703), false, misc.NoticeOff)
		})
	}

	if !untested(t, o.Break == nil, "RelationsOptions.Break") {
		rule("a failing backend is an error and not a no", world{}, func(t *testing.T, s relatedStore) {
			defer o.Break(t)()
			for _, c := range conversations {
				_, _, err := s.RelatedScreenCapture(t.Context(), ID(1501), c)
				wantFailure(t, "RelatedScreenCapture", err)
			}
		})
	}
}

type relatedStore struct{ misc.RelatedStore }

// want looks at the status of those who are related.
func (s relatedStore) want(t *testing.T, user uint32, c misc.Conversation, related bool, status misc.NoticeStatus) {
	t.Helper()
	gotRelated, got, err := s.RelatedScreenCapture(t.Context(), ID(user), c)
	if err != nil || gotRelated != related || related && got != status {
		t.Errorf("RelatedScreenCapture(ID(%d), %v) = %v, %d, %v; want %v, %d", user, c, gotRelated, got, err, related, status)
	}
}
