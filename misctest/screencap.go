package misctest

import (
	"errors"
	"testing"

	"github.com/sealtalk-go/misc"
)

// StoreOptions make [TestScreenCaptureStore] test more rules. Both functions
// act on the store that newStore returned last.
type StoreOptions struct {
	// Second returns another instance that uses the same data, as a second
	// server would have it.
	Second func(t *testing.T) misc.ScreenCaptureStore

	// Break makes the store's backend fail, until mend is called.
	Break func(t *testing.T) (mend func())
}

// TestScreenCaptureStore tests a misc.ScreenCaptureStore. At the start, no
// conversation of the users and groups ID(1) to ID(5000) may have a setting. No
// two rules use the same conversation, so all calls of newStore may return the
// same store.
func TestScreenCaptureStore(t *testing.T, newStore func(t *testing.T) misc.ScreenCaptureStore, options ...StoreOptions) {
	o := optional(options)
	rule := func(name string, check func(t *testing.T, s misc.ScreenCaptureStore)) {
		t.Run(name, func(t *testing.T) { check(t, newStore(t)) })
	}

	rule("never set is off and no error", func(t *testing.T, s misc.ScreenCaptureStore) {
		wantCapture(t, s, pair(101, 102), misc.NoticeOff)
		wantCapture(t, s, group(103), misc.NoticeOff)
	})

	rule("a setting is read back, set once or again", func(t *testing.T, s misc.ScreenCaptureStore) {
		for _, c := range []misc.Conversation{pair(201, 202), group(203)} {
			for _, status := range []misc.NoticeStatus{0, 0, 1, 1, 0, 1} {
				setCapture(t, s, c, status)
				wantCapture(t, s, c, status)
			}
		}
	})

	// By number 2 is below 10, and as strings ID(10) is below ID(2); 4 and 5
	// come in the same order either way.
	rule("a pair is the same whoever asks", func(t *testing.T, s misc.ScreenCaptureStore) {
		for _, users := range [][2]uint32{{2, 10}, {5, 4}} {
			a, b := users[0], users[1]
			setCapture(t, s, pair(a, b), misc.NoticeOn)
			wantCapture(t, s, pair(b, a), misc.NoticeOn)
			setCapture(t, s, pair(b, a), misc.NoticeOff)
			wantCapture(t, s, pair(a, b), misc.NoticeOff)
		}
	})

	// A column that is compared with a number reads '7_10' as 7.
	rule("a group is not a pair of a user with its number", func(t *testing.T, s misc.ScreenCaptureStore) {
		checkApart(t, s, group(7), group(10), pair(7, 10))
		checkApart(t, s, pair(8, 20), group(8), group(20))
	})

	rule("a set leaves the other conversations alone", func(t *testing.T, s misc.ScreenCaptureStore) {
		checkApart(t, s, group(1), group(11), group(111), group(71), group(711),
			pair(1, 11), pair(1, 111), pair(11, 111), pair(1, 1111), pair(71, 1), pair(7, 11), pair(1, 23), pair(12, 3), pair(7, 71))
	})

	// A database may compare strings without regard to case.
	rule("ids that differ in case alone are different", func(t *testing.T, s misc.ScreenCaptureStore) {
		checkApart(t, s, group(109), group(109+caseTwin), pair(109, 173), pair(109+caseTwin, 173), pair(109, 173+caseTwin))
	})

	rule("many sets at the same time are all kept", func(t *testing.T, s misc.ScreenCaptureStore) {
		const each = 70
		together(func(i uint32) {
			for n := i * each; n < (i+1)*each; n++ {
				setCapture(t, s, pair(401, 2001+n), misc.NoticeOn)
				setCapture(t, s, group(2001+n), misc.NoticeStatus(n%2))
			}
		})
		for n := range uint32(workers * each) {
			wantCapture(t, s, pair(401, 2001+n), misc.NoticeOn)
			wantCapture(t, s, group(2001+n), misc.NoticeStatus(n%2))
		}
	})

	rule("an acknowledged set is what is read while others set", func(t *testing.T, s misc.ScreenCaptureStore) {
		together(func(i uint32) {
			for range 4 {
				for _, status := range []misc.NoticeStatus{misc.NoticeOn, misc.NoticeOff} {
					setCapture(t, s, pair(501, 510+i), status)
					wantCapture(t, s, pair(501, 510+i), status)
				}
			}
		})
	})

	rule("one conversation may be set many times at once", func(t *testing.T, s misc.ScreenCaptureStore) {
		for _, c := range []misc.Conversation{pair(601, 602), group(603)} {
			together(func(uint32) { setCapture(t, s, c, misc.NoticeOn) })
			wantCapture(t, s, c, misc.NoticeOn)
			together(func(i uint32) { setCapture(t, s, c, misc.NoticeStatus(i%2)) })
			if got, err := s.ScreenCapture(t.Context(), c); err != nil || got != misc.NoticeOff && got != misc.NoticeOn {
				t.Errorf("ScreenCapture(%v) = %v, %v; want one of the values that were set", c, got, err)
			}
		}
	})

	rule("a set is one atomic step", func(t *testing.T, s misc.ScreenCaptureStore) {
		c := pair(701, 702)
		setCapture(t, s, c, misc.NoticeOn)
		together(func(i uint32) {
			for range 8 {
				if i == 0 {
					setCapture(t, s, c, misc.NoticeOn)
				} else {
					wantCapture(t, s, c, misc.NoticeOn)
				}
			}
		})
	})

	rule("an invalid status is refused and changes nothing", func(t *testing.T, s misc.ScreenCaptureStore) {
		c := pair(751, 752)
		for _, before := range []misc.NoticeStatus{misc.NoticeOff, misc.NoticeOn} {
			setCapture(t, s, c, before)
			for _, status := range []misc.NoticeStatus{-1, 2, 256, 257} {
				if err := s.SetScreenCapture(t.Context(), c, status); !errors.Is(err, misc.ErrInvalidNoticeStatus) {
					t.Errorf("SetScreenCapture(%v, %d): %v; want misc.ErrInvalidNoticeStatus", c, status, err)
				}
				wantCapture(t, s, c, before)
			}
		}
	})

	rule("an invalid id is never set or misc.ErrInvalidID", func(t *testing.T, s misc.ScreenCaptureStore) {
		ask := func(c misc.Conversation, ids ...string) {
			got, err := s.ScreenCapture(t.Context(), c)
			wantInvalidID(t, "ScreenCapture", got != misc.NoticeOff, err, ids...)
			wantInvalidID(t, "SetScreenCapture", false, s.SetScreenCapture(t.Context(), c, misc.NoticeOff), ids...)
		}
		setCapture(t, s, pair(771, 772), misc.NoticeOn)
		setCapture(t, s, group(772), misc.NoticeOn)
		for _, n := range []uint32{771, 772} {
			for _, id := range invalidIDs(n) {
				ask(misc.PrivateConversation(ID(771+772-n), id), id)
				ask(misc.GroupConversation(id), id)
			}
		}
		for lower, higher := pair(771, 772).Users(); len(lower) > 1; { // a key may join the ids without a separator
			lower, higher = lower[:len(lower)-1], lower[len(lower)-1:]+higher
			ask(misc.PrivateConversation(lower, higher), lower, higher)
		}
		wantCapture(t, s, pair(771, 772), misc.NoticeOn)
		wantCapture(t, s, group(772), misc.NoticeOn)
	})

	rule("a cancelled call is an error and changes nothing", func(t *testing.T, s misc.ScreenCaptureStore) {
		for _, c := range []misc.Conversation{pair(901, 902), group(903)} {
			for _, status := range []misc.NoticeStatus{misc.NoticeOff, misc.NoticeOn} {
				_, err := s.ScreenCapture(cancelled(t), c)
				wantFailure(t, "ScreenCapture, cancelled", err)
				wantFailure(t, "SetScreenCapture, cancelled", s.SetScreenCapture(cancelled(t), c, misc.NoticeOn-status))
				wantCapture(t, s, c, status)
				setCapture(t, s, c, misc.NoticeOn)
			}
		}
	})

	if !untested(t, o.Second == nil, "StoreOptions.Second") {
		rule("a saved setting is visible through another instance", func(t *testing.T, s misc.ScreenCaptureStore) {
			checkInstances(t, s, o.Second(t), pair(951, 952), group(953))
		})
	}

	if !untested(t, o.Break == nil, "StoreOptions.Break") {
		rule("a failing backend is an error and loses nothing", func(t *testing.T, s misc.ScreenCaptureStore) {
			second := s
			if o.Second != nil {
				second = o.Second(t)
			}
			setCapture(t, s, group(991), misc.NoticeOn)
			setCapture(t, s, group(993), misc.NoticeOn)
			mend := o.Break(t)
			_, err := s.ScreenCapture(t.Context(), group(992))
			wantFailure(t, "ScreenCapture", err)
			wantFailure(t, "SetScreenCapture", s.SetScreenCapture(t.Context(), group(993), misc.NoticeOff))
			mend()
			wantCapture(t, s, group(991), misc.NoticeOn)
			wantSame(t, s, second, group(993)) // with either setting
			setCapture(t, s, group(993), misc.NoticeOff)
			wantCapture(t, second, group(993), misc.NoticeOff)
		})
	}
}

// caseTwin is what to add to a number to get one whose id differs only in case,
// for some numbers of the suites.
const caseTwin = 3782

func pair(a, b uint32) misc.Conversation { return misc.PrivateConversation(ID(a), ID(b)) }

func group(n uint32) misc.Conversation { return misc.GroupConversation(ID(n)) }

// checkApart switches one conversation after the other on, then off, and looks
// at all of them each time.
func checkApart(t *testing.T, s misc.ScreenCaptureStore, conversations ...misc.Conversation) {
	t.Helper()
	want := make(map[misc.Conversation]misc.NoticeStatus)
	for _, status := range []misc.NoticeStatus{misc.NoticeOn, misc.NoticeOff} {
		for _, c := range conversations {
			setCapture(t, s, c, status)
			want[c] = status
			for _, other := range conversations {
				wantCapture(t, s, other, want[other])
			}
		}
	}
}

// checkInstances sets through one of two instances and reads through both,
// often enough to come before a write that is still under way.
func checkInstances(t *testing.T, a, b misc.ScreenCaptureStore, conversations ...misc.Conversation) {
	t.Helper()
	for _, c := range conversations {
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
		together(func(i uint32) { setCapture(t, []misc.ScreenCaptureStore{a, b}[i%2], c, misc.NoticeStatus(i/2%2)) })
		wantSame(t, a, b, c)
	}
}

func wantSame(t *testing.T, a, b misc.ScreenCaptureStore, c misc.Conversation) {
	t.Helper()
	got, err := a.ScreenCapture(t.Context(), c)
	if err != nil {
		t.Errorf("ScreenCapture(%v): %v", c, err)
	}
	wantCapture(t, b, c, got)
}

func setCapture(t *testing.T, s misc.ScreenCaptureStore, c misc.Conversation, status misc.NoticeStatus) {
	t.Helper()
	if err := s.SetScreenCapture(t.Context(), c, status); err != nil {
		t.Errorf("SetScreenCapture(%v, %d): %v", c, status, err)
	}
}

func wantCapture(t *testing.T, s misc.ScreenCaptureStore, c misc.Conversation, want misc.NoticeStatus) {
	t.Helper()
	if got, err := s.ScreenCapture(t.Context(), c); err != nil || got != want {
		t.Errorf("ScreenCapture(%v) = %d, %v; want %d", c, got, err, want)
	}
}
