package misctest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sealtalk-go/misc"
)

// RelatedOptions make [TestRelatedStore] test more rules. The fields are as in
// [StoreOptions] and [RelationsOptions].
type RelatedOptions struct {
	Second func(t *testing.T) misc.RelatedStore
	Change func(t *testing.T, before, after World)
	Break  func(t *testing.T) (mend func())
}

// TestRelatedStore tests the method RelatedScreenCapture of a
// misc.RelatedStore: it must follow the rules of AreFriends and IsGroupMember,
// and answer as they do. Test the other methods with [TestScreenCaptureStore]
// and [TestRelations]; what these require of the data is required here too.
func TestRelatedStore(t *testing.T, newStore func(t *testing.T, w World) misc.RelatedStore, options ...RelatedOptions) {
	o := optional(options)
	testRelations(t, func(t *testing.T, w World) misc.Relations { return asRelations{newStore(t, w)} }, RelationsOptions{o.Change, o.Break})

	rule := func(name string, w world, check func(t *testing.T, s relatedStore)) {
		t.Run(name, func(t *testing.T) { check(t, relatedStore{newStore(t, w.public())}) })
	}

	// By number 42 is below 100, and as strings ID(100) is below ID(42).
	rule("the related read the setting, whoever asks", world{
		friends: [][2]uint32{{42, 100}},
		groups:  map[uint32][]uint32{1101: {42, 100}},
	}, func(t *testing.T, s relatedStore) {
		for _, c := range []misc.Conversation{pair(42, 100), group(1101)} {
			for _, status := range []misc.NoticeStatus{misc.NoticeOff, misc.NoticeOn, misc.NoticeOff} {
				s.want(t, 42, c, true, misc.NoticeOff) // never set, at first
				setCapture(t, s, c, status)
				s.want(t, 42, c, true, status)
				s.want(t, 100, c, true, status)
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

	w := world{friends: [][2]uint32{{1501, 1502}}, groups: map[uint32][]uint32{}}
	conversations := []misc.Conversation{pair(1501, 1502)}
	for _, n := range []uint32{1501, 1502, 150, 109, 109 + caseTwin} {
		w.groups[n] = []uint32{1501}
		conversations = append(conversations, group(n))
	}
	rule("each conversation has its own setting", w, func(t *testing.T, s relatedStore) {
		checkApart(t, asStore{s, 1501}, conversations...)
	})

	if !untested(t, o.Second == nil, "Second") {
		w := world{friends: [][2]uint32{{1701, 1702}}, groups: map[uint32][]uint32{1703: {1701}}}
		rule("a saved setting is visible through another instance", w, func(t *testing.T, s relatedStore) {
			checkInstances(t, asStore{s, 1701}, asStore{o.Second(t), 1701}, pair(1701, 1702), group(1703))
		})
	}
}

// asRelations asks RelatedScreenCapture, and compares the answer with that of
// AreFriends or IsGroupMember if there is one.
type asRelations struct{ misc.RelatedStore }

func (r asRelations) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	return r.ask(ctx, userID, otherID, misc.PrivateConversation(userID, otherID), r.RelatedStore.AreFriends)
}

func (r asRelations) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	return r.ask(ctx, userID, groupID, misc.GroupConversation(groupID), r.RelatedStore.IsGroupMember)
}

func (r asRelations) ask(ctx context.Context, userID, id string, c misc.Conversation, relation func(context.Context, string, string) (bool, error)) (bool, error) {
	related, _, err := r.RelatedScreenCapture(ctx, userID, c)
	if err != nil {
		return related, err
	}
	if same, err := relation(ctx, userID, id); err == nil && same != related {
		return related, fmt.Errorf("RelatedScreenCapture(%q, %v) says %v, and AreFriends or IsGroupMember %v", userID, c, related, same)
	}
	return related, nil
}

// asStore reads through RelatedScreenCapture, as a user who is related.
type asStore struct {
	misc.RelatedStore
	user uint32
}

func (s asStore) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	related, status, err := s.RelatedScreenCapture(ctx, ID(s.user), c)
	if err == nil && !related {
		err = errors.New("RelatedScreenCapture says not related")
	}
	return status, err
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
