package misctest

import (
	"context"
	"fmt"
	"testing"

	"github.com/sealtalk-go/misc"
)

// A StoreSuite says what [TestStore] tests. New is required.
type StoreSuite struct {
	// New stores the friendships and memberships of w, and returns a store that
	// knows them. No two rules contradict each other or use the same
	// conversation, so all calls may use one database, and add to it.
	New func(t *testing.T, w World) misc.Store

	// Second is as in [CaptureSuite].
	Second func(t *testing.T) misc.Store

	// Change is as in [RelationsSuite].
	Change func(t *testing.T, before, after World)

	// Break makes the backend fail, for all instances, until mend is called.
	Break func(t *testing.T) (mend func())

	// ID and OpaqueIDs are as in [CaptureSuite].
	ID        func(n uint32) string
	OpaqueIDs bool
}

// TestStore tests a misc.Store. It has the rules of [TestRelations] for whether
// Access allows a user to act, and those of [TestScreenCaptureStore] for the
// setting that Access returns to all who are allowed. The setting that it
// returns to others is not tested. The requirements for the data are the same.
func TestStore(t *testing.T, s StoreSuite) {
	required(t, s.New != nil, "StoreSuite.New")
	t.Run("relations", func(t *testing.T) {
		TestRelations(t, RelationsSuite{
			New:    func(t *testing.T, w World) misc.Relations { return accessRelations{s.New(t, w)} },
			Change: s.Change, Break: s.Break, ID: s.ID, OpaqueIDs: s.OpaqueIDs,
		})
	})

	f := newForm(s.ID, s.OpaqueIDs)
	t.Run("settings", func(t *testing.T) {
		var last accessCaptures
		captures := CaptureSuite{Break: s.Break, ID: s.ID, OpaqueIDs: s.OpaqueIDs}
		if s.Second != nil {
			captures.Second = func(t *testing.T) misc.ScreenCaptureStore {
				if second := s.Second(t); second != nil {
					return accessCaptures{second, last.members, last.known}
				}
				return nil
			}
		}
		testCaptures(t, captures, func(t *testing.T, cs []misc.Conversation) misc.ScreenCaptureStore {
			last = accessCaptures{nil, f.ids(4991, 4992), make(map[misc.Conversation]bool)}
			if len(cs) > 1000 {
				last.members = last.members[:1] // to save time
			}
			w := World{nil, make(map[string][]string)}
			for _, c := range cs {
				last.known[c] = true
				if a, b := c.Users(); c.Type() == misc.Private {
					w.Friends = append(w.Friends, [2]string{a, b})
				} else {
					w.Groups[c.GroupID()] = last.members
				}
			}
			last.Store = s.New(t, w)
			return last
		})
	})

	w := World{
		[][2]string{{f.id(4601), f.id(4602)}, {f.id(4603), f.id(4601)}, {f.id(4604), f.id(4602)}},
		map[string][]string{f.id(4605): f.ids(4601, 4602), f.id(4603): f.ids(4604)},
	}
	t.Run("nobody else is allowed, whatever is set", func(t *testing.T) {
		store := s.New(t, w)
		for c, others := range map[misc.Conversation][]string{
			f.pair(4601, 4602): f.ids(4603, 4604, 4606), // a friend of either, and of nobody
			f.pair(4602, 4603): f.ids(4601, 4602, 4603),
			f.pair(4603, 4604): f.ids(4603, 4604),
			f.group(4605):      f.ids(4603, 4604, 4606),
			f.group(4603):      f.ids(4601, 4603),
			f.group(4607):      f.ids(4601),
		} {
			setCapture(t, accessCaptures{Store: store}, c, misc.NoticeOn)
			for _, id := range others {
				if allowed, _, err := store.Access(t.Context(), id, c); err != nil || allowed {
					t.Errorf("Access(%q, %v) = %v, %v; want false", id, c, allowed, err)
				}
			}
			for _, id := range f.invalid(4601) {
				allowed, _, err := store.Access(t.Context(), id, c)
				wantInvalidID(t, "Access", allowed, err, id)
			}
		}
	})
}

// accessRelations are what Access says about relations.
type accessRelations struct{ misc.Store }

func (r accessRelations) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	allowed, _, err := r.Access(ctx, userID, misc.PrivateConversation(userID, otherID))
	return allowed, err
}

func (r accessRelations) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	allowed, _, err := r.Access(ctx, userID, misc.GroupConversation(groupID))
	return allowed, err
}

// accessCaptures read a setting through Access, as both users of a pair and as
// the members of a group. They must be allowed if the conversation is known, and
// only then, and be told the same.
type accessCaptures struct {
	misc.Store
	members []string
	known   map[misc.Conversation]bool
}

func (s accessCaptures) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	users, status := s.members, misc.NoticeOff
	if a, b := c.Users(); c.Type() == misc.Private {
		users = []string{a, b}
	}
	for i, id := range users {
		allowed, setting, err := s.Access(ctx, id, c)
		switch {
		case err != nil:
			return misc.NoticeOff, err
		case allowed != s.known[c]:
			return misc.NoticeOff, fmt.Errorf("access of %q to %v: allowed is %v", id, c, allowed)
		case allowed && i > 0 && setting != status:
			return misc.NoticeOff, fmt.Errorf("setting is %d for %q and %d for %q", status, users[0], setting, id)
		case allowed:
			status = setting
		}
	}
	return status, nil
}
