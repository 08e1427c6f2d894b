package misctest

import (
	"errors"
	"testing"

	"github.com/sealtalk-go/misc"
)

// A CaptureSuite says what [TestScreenCaptureStore] tests. New is required.
type CaptureSuite struct {
	// New returns a store. No two rules use the same conversation, so all calls
	// may return the same store.
	New func(t *testing.T) misc.ScreenCaptureStore

	// Second returns another instance that uses the same data as the store that
	// New returned last, as a second server would have it. Without it, a cache
	// that hides what other servers have set is not found.
	//
	// Second is also called while the backend fails, because a server may start
	// at such a time. The instance must then return errors, and work as soon as
	// the backend does. If no instance can be opened while the backend fails,
	// Second must return nil, and not end the test.
	Second func(t *testing.T) misc.ScreenCaptureStore

	// Break makes the backend fail, for all instances, until mend is called.
	Break func(t *testing.T) (mend func())

	// ID returns the ids for the numbers from 1 to 9999, all different, in the
	// form that the implementation takes. Nil means the function [ID].
	ID func(n uint32) string

	// OpaqueIDs means that any string of 1 to 256 bytes is an id.
	OpaqueIDs bool
}

// TestScreenCaptureStore tests a misc.ScreenCaptureStore. At the start, no
// conversation of the users and groups ID(1) to ID(9999) may have a setting and,
// with OpaqueIDs, none of ids that contain those.
func TestScreenCaptureStore(t *testing.T, s CaptureSuite) {
	required(t, s.New != nil, "CaptureSuite.New")
	testCaptures(t, s, func(t *testing.T, _ conversations) store { return s.New(t) })
}

// testCaptures passes to newStore the conversations whose setting is to be
// found. In any other one, nobody may have set anything.
func testCaptures(t *testing.T, suite CaptureSuite, newStore func(t *testing.T, cs conversations) store) {
	f := newForm(suite.ID, suite.OpaqueIDs)
	pair, group := f.pair, f.group
	rule := func(name string, cs conversations, check func(t *testing.T, s store, cs conversations)) {
		t.Run(name, func(t *testing.T) { check(t, newStore(t, cs), cs) })
	}

	// By number 2 is below 10, and as strings ID(10) is below ID(2); 4 and 5
	// come in the same order either way.
	rule("a setting is off, and then what was set last", conversations{pair(2, 10), pair(5, 4), group(203)}, func(t *testing.T, s store, cs conversations) {
		for _, c := range cs {
			wantCapture(t, s, c, misc.NoticeOff)
			for _, status := range []misc.NoticeStatus{0, 0, 1, 1, 0, 1} {
				setCapture(t, s, c, status)
				wantCapture(t, s, c, status)
			}
		}
	})

	// A column that is compared with a number reads '7_10' as 7.
	rule("a set leaves the other conversations alone", conversations{
		pair(8, 20), group(8), group(20), group(7), group(10), pair(7, 10),
		group(1), group(11), group(111), group(71), group(711), pair(1, 11), pair(1, 111), pair(11, 111), pair(1, 1111),
		pair(71, 1), pair(7, 11), pair(1, 23), pair(12, 3), pair(7, 71),
	}, checkApart)

	// A database may compare strings without regard to case, for example.
	x, y, z := f.three(1801)
	if alike, separators := f.alike(z); alike != nil {
		near := conversations{misc.PrivateConversation(x, y)}
		for _, id := range alike {
			near = append(near, misc.GroupConversation(id), misc.PrivateConversation(x, id))
		}
		for _, s := range separators {
			near = append(near, misc.GroupConversation(x+s+y), misc.PrivateConversation(x, y+s+z), misc.PrivateConversation(x+s+y, z))
		}
		if f.opaque {
			near = append(near, misc.PrivateConversation(long(x)+"a", long(y)+"a"), misc.PrivateConversation(long(x)+"a", long(y)+"b"))
		}
		rule("ids that look alike are different", near, checkApart)
	}

	const each = 70
	many := conversations{}
	for n := range uint32(workers * each) {
		many = append(many, group(2001+n))
		if n%8 == 0 {
			many = append(many, pair(401, 2001+n))
		}
	}
	rule("many sets at the same time are read at once and kept", many, func(t *testing.T, s store, cs conversations) {
		status := func(i int) misc.NoticeStatus { return misc.NoticeStatus(min(i%4, 1)) }
		together(func(worker uint32) {
			for i := int(worker); i < len(cs); i += workers {
				setCapture(t, s, cs[i], status(i))
				wantCapture(t, s, cs[i], status(i))
			}
		})
		for i, c := range cs {
			wantCapture(t, s, c, status(i))
		}
	})

	rule("one conversation may be set many times at once, each in one step", conversations{pair(601, 602), group(603)}, func(t *testing.T, s store, cs conversations) {
		for _, c := range cs {
			together(func(uint32) { setCapture(t, s, c, misc.NoticeOn) })
			together(func(i uint32) {
				for range 8 {
					if i == 0 {
						setCapture(t, s, c, misc.NoticeOn)
					}
					wantCapture(t, s, c, misc.NoticeOn)
				}
			})
			together(func(i uint32) { setCapture(t, s, c, misc.NoticeStatus(i%2)) })
			wantSame(t, s, s, c)
		}
	})

	rule("an invalid status is refused and changes nothing", conversations{pair(751, 752)}, func(t *testing.T, s store, cs conversations) {
		for _, before := range []misc.NoticeStatus{misc.NoticeOff, misc.NoticeOn} {
			setCapture(t, s, cs[0], before)
			for _, status := range []misc.NoticeStatus{-1, 2, 256, 257} {
				if err := s.SetScreenCapture(t.Context(), cs[0], status); !errors.Is(err, misc.ErrInvalidNoticeStatus) {
					t.Errorf("SetScreenCapture(%v, %d): %v; want misc.ErrInvalidNoticeStatus", cs[0], status, err)
				}
				wantCapture(t, s, cs[0], before)
			}
		}
	})

	rule("an invalid id is never set or misc.ErrInvalidID", conversations{pair(1771, 1772), group(1772)}, func(t *testing.T, s store, cs conversations) {
		ask := func(c misc.Conversation, ids ...string) {
			t.Helper()
			got, err := s.ScreenCapture(t.Context(), c)
			wantInvalidID(t, "ScreenCapture", got != misc.NoticeOff, err, ids...)
			wantInvalidID(t, "SetScreenCapture", false, s.SetScreenCapture(t.Context(), c, misc.NoticeOff), ids...)
		}
		for _, c := range cs {
			setCapture(t, s, c, misc.NoticeOn)
		}
		for _, n := range []uint32{1771, 1772} {
			for _, id := range f.invalid(n) {
				ask(misc.PrivateConversation(f.id(1771+1772-n), id), id)
				ask(misc.GroupConversation(id), id)
			}
		}
		for lower, higher := cs[0].Users(); len(lower) > 1; { // a key may join the ids without a separator
			lower, higher = lower[:len(lower)-1], lower[len(lower)-1:]+higher
			ask(misc.PrivateConversation(lower, higher), lower, higher)
		}
		for _, c := range cs {
			wantCapture(t, s, c, misc.NoticeOn)
		}
	})

	rule("a cancelled call is an error and changes nothing", conversations{pair(901, 902), group(903)}, func(t *testing.T, s store, cs conversations) {
		for _, c := range cs {
			for _, status := range []misc.NoticeStatus{misc.NoticeOff, misc.NoticeOn} {
				_, err := s.ScreenCapture(cancelled(t), c)
				wantFailure(t, "ScreenCapture, cancelled", err)
				wantFailure(t, "SetScreenCapture, cancelled", s.SetScreenCapture(cancelled(t), c, misc.NoticeOn-status))
				wantCapture(t, s, c, status)
				setCapture(t, s, c, misc.NoticeOn)
			}
		}
	})

	if !untested(t, suite.Second == nil, "Second") {
		rule("a saved setting is visible through another instance", conversations{pair(951, 952), group(953)}, func(t *testing.T, s store, cs conversations) {
			checkInstances(t, s, suite.Second(t), cs)
		})
	}

	if untested(t, suite.Break == nil, "Break") {
		return
	}
	rule("a failing backend is an error and loses nothing", conversations{group(991), group(992), group(993)}, func(t *testing.T, s store, cs conversations) {
		other := s
		if suite.Second != nil {
			other = suite.Second(t)
		}
		setCapture(t, s, cs[0], misc.NoticeOn)
		setCapture(t, s, cs[2], misc.NoticeOn)
		mend := suite.Break(t)
		wantFailures(t, s, cs[1], cs[2])
		mend()
		wantCapture(t, s, cs[0], misc.NoticeOn)
		wantSame(t, s, other, cs[2]) // with either setting
		setCapture(t, s, cs[2], misc.NoticeOff)
		wantCapture(t, other, cs[2], misc.NoticeOff)
	})

	if suite.Second == nil {
		return
	}
	rule("an instance opened while the backend fails works afterwards", conversations{group(996)}, func(t *testing.T, s store, cs conversations) {
		mend := suite.Break(t)
		other := suite.Second(t)
		if other != nil {
			wantFailures(t, other, cs[0], cs[0])
		}
		mend()
		if other == nil {
			other = suite.Second(t)
		}
		setCapture(t, s, cs[0], misc.NoticeOn)
		wantCapture(t, other, cs[0], misc.NoticeOn)
		setCapture(t, other, cs[0], misc.NoticeOff)
		wantCapture(t, s, cs[0], misc.NoticeOff)
	})
}

type (
	store         = misc.ScreenCaptureStore
	conversations = []misc.Conversation
)

// checkApart switches one conversation after the other on, then off, and looks
// at all of them each time.
func checkApart(t *testing.T, s store, cs conversations) {
	want := make(map[misc.Conversation]misc.NoticeStatus)
	for _, status := range []misc.NoticeStatus{misc.NoticeOn, misc.NoticeOff} {
		for _, c := range cs {
			setCapture(t, s, c, status)
			want[c] = status
			for _, other := range cs {
				wantCapture(t, s, other, want[other])
			}
		}
	}
}

// checkInstances sets through one of two instances and reads through both,
// often enough to come before a write that is still under way. Both have read
// the old setting before each set, so neither may keep it.
func checkInstances(t *testing.T, a, b store, cs conversations) {
	for _, c := range cs {
		for n := range 48 {
			status := misc.NoticeStatus(n % 2)
			wantCapture(t, a, c, status)
			wantCapture(t, b, c, status)
			setCapture(t, a, c, misc.NoticeOn-status)
			wantCapture(t, b, c, misc.NoticeOn-status)
			if n%3 == 0 {
				a, b = b, a
			}
		}
		together(func(i uint32) { setCapture(t, []store{a, b}[i%2], c, misc.NoticeStatus(i/2%2)) })
		wantSame(t, a, b, c)
	}
}

// wantSame wants either setting of c, and the same through a and b.
func wantSame(t *testing.T, a, b store, c misc.Conversation) {
	t.Helper()
	got, err := a.ScreenCapture(t.Context(), c)
	if err != nil || got != misc.NoticeOff && got != misc.NoticeOn {
		t.Errorf("ScreenCapture(%v) = %v, %v; want one of the values that were set", c, got, err)
	}
	wantCapture(t, b, c, got)
}

// wantFailures reads one conversation and sets another.
func wantFailures(t *testing.T, s store, read, set misc.Conversation) {
	t.Helper()
	_, err := s.ScreenCapture(t.Context(), read)
	wantFailure(t, "ScreenCapture, while the backend fails", err)
	wantFailure(t, "SetScreenCapture, while the backend fails", s.SetScreenCapture(t.Context(), set, misc.NoticeOff))
}

func setCapture(t *testing.T, s store, c misc.Conversation, status misc.NoticeStatus) {
	t.Helper()
	if err := s.SetScreenCapture(t.Context(), c, status); err != nil {
		t.Errorf("SetScreenCapture(%v, %d): %v", c, status, err)
	}
}

func wantCapture(t *testing.T, s store, c misc.Conversation, want misc.NoticeStatus) {
	t.Helper()
	if got, err := s.ScreenCapture(t.Context(), c); err != nil || got != want {
		t.Errorf("ScreenCapture(%v) = %d, %v; want %d", c, got, err, want)
	}
}
