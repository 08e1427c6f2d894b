package misctest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/sealtalk-go/misc"
)

// A World lists which users are friends and which users are in which groups, by
// public id. No others are.
type World struct {
	Friends [][2]string         // each pair once; each is a friend of the other
	Groups  map[string][]string // the members of each group
}

// A RelationsSuite says what [TestRelations] tests. New is required.
type RelationsSuite struct {
	// New stores the friendships and memberships of w, and returns Relations
	// that know them. No two rules contradict each other, so all calls may use
	// one database, and add to it.
	New func(t *testing.T, w World) misc.Relations

	// Change replaces the friendships and memberships in before, which exist,
	// with those in after, for the Relations that New returned last. Without it,
	// a cache that keeps answers is not found.
	Change func(t *testing.T, before, after World)

	// Break makes the backend fail until mend is called.
	Break func(t *testing.T) (mend func())

	// ID and OpaqueIDs are as in [CaptureSuite].
	ID        func(n uint32) string
	OpaqueIDs bool
}

// TestRelations tests misc.Relations. Their data should hold nothing about the
// users and groups ID(1) to ID(9999), and with OpaqueIDs about ids that contain
// those, but what New and Change put there.
func TestRelations(t *testing.T, s RelationsSuite) {
	required(t, s.New != nil, "RelationsSuite.New")
	type (
		pairs  = [][2]string
		groups = map[string][]string
	)
	f := newForm(s.ID, s.OpaqueIDs)
	id, ids := f.id, f.ids
	p := func(a, b uint32) [2]string { return [2]string{id(a), id(b)} }
	rule := func(name string, w World, check func(t *testing.T, r relations)) {
		t.Run(name, func(t *testing.T) { check(t, relations{s.New(t, w)}) })
	}

	// By number 42 is below 100, and as strings ID(100) is below ID(42).
	many := World{pairs{p(42, 100), p(44, 43)}, groups{id(3300): ids(3302, 3305)}}
	for n := uint32(3302); n <= 3422; n++ {
		many.Friends = append(many.Friends, p(3301, n))
		many.Groups[id(3301)] = append(many.Groups[id(3301)], id(n))
	}
	rule("all friends and members are found, whoever asks", many, func(t *testing.T, r relations) {
		for _, f := range many.Friends {
			r.wantFriends(t, true, f, [2]string{f[1], f[0]})
		}
		for group, members := range many.Groups {
			for _, m := range members {
				r.wantMembers(t, true, [2]string{m, group})
			}
		}
	})

	rule("strangers are not related, known or not", World{
		pairs{p(3501, 3502), p(3502, 3503), p(3504, 3505)},
		groups{id(3506): ids(3501, 3504), id(3507): ids(3501), id(3508): nil},
	}, func(t *testing.T, r relations) {
		for _, q := range (pairs{p(3501, 3501), p(3501, 3503), p(3501, 3504), p(3501, 3505), p(3501, 3509), p(3509, 3510)}) {
			r.wantFriends(t, false, q, [2]string{q[1], q[0]})
		}
		r.wantMembers(t, false, p(3502, 3506), p(3504, 3507), p(3502, 3507), p(3501, 3508), p(3509, 3506), p(3501, 3509), p(3509, 3510))
	})

	rule("a group is not the user with its number", World{
		pairs{p(3707, 3711)},
		groups{id(3707): ids(3712), id(3711): ids(3713), id(3712): ids(3714)},
	}, func(t *testing.T, r relations) {
		r.wantFriends(t, true, p(3707, 3711)) // the related ones first, for a cache
		r.wantMembers(t, true, p(3714, 3712))
		r.wantFriends(t, false, p(3714, 3712), p(3707, 3712), p(3712, 3707))
		r.wantMembers(t, false, p(3707, 3707), p(3711, 3707), p(3707, 3711), p(3707, 3712))
	})

	// Only every other one of the ids has relations.
	if near, separators := f.alike(id(3801)); near != nil {
		x, y, z := f.three(3802)
		w := World{nil, groups{}}
		for i := 0; i < len(near); i += 2 {
			w.Friends = append(w.Friends, [2]string{x, near[i]})
			w.Groups[near[i]] = []string{x}
			w.Groups[y] = append(w.Groups[y], near[i])
		}
		for _, s := range separators {
			w.Friends = append(w.Friends, [2]string{x, y + s + z})
			w.Groups[x+s+y] = []string{z}
		}
		rule("ids that look alike are different", w, func(t *testing.T, r relations) {
			for i, id := range near {
				r.wantFriends(t, i%2 == 0, [2]string{x, id}, [2]string{id, x})
				r.wantMembers(t, i%2 == 0, [2]string{x, id}, [2]string{id, y})
			}
			for _, s := range separators {
				r.wantFriends(t, true, [2]string{x, y + s + z})
				r.wantMembers(t, true, [2]string{z, x + s + y})
				r.wantFriends(t, false, [2]string{x + s + y, z}, [2]string{z, x + s + y})
				r.wantMembers(t, false, [2]string{y + s + z, x}, [2]string{z + s + x, y})
			}
		})
	}

	rule("an invalid id, or a part of one, is not related or misc.ErrInvalidID", World{
		pairs{p(4012, 4034)},
		groups{id(4056): ids(4012, 4034)},
	}, func(t *testing.T, r relations) {
		for _, part := range []uint32{401, 403, 40, 12, 34, 1, 3, 4} {
			r.wantFriends(t, false, p(4012, part), p(part, 4034))
			r.wantMembers(t, false, p(part, 4056))
		}
		a, b, group := id(4012), id(4034), id(4056)
		for _, id := range slices.Concat(f.invalid(4034), f.invalid(4056), []string{b + a, a + "," + b}) {
			got, err := r.AreFriends(t.Context(), a, id)
			wantInvalidID(t, "AreFriends", got, err, id)
			got, err = r.AreFriends(t.Context(), id, a)
			wantInvalidID(t, "AreFriends", got, err, id)
			got, err = r.IsGroupMember(t.Context(), id, group)
			wantInvalidID(t, "IsGroupMember", got, err, id)
			got, err = r.IsGroupMember(t.Context(), a, id)
			wantInvalidID(t, "IsGroupMember", got, err, id)
		}
	})

	rule("questions at the same time get their own answers", World{pairs{p(4101, 4102)}, groups{id(4103): ids(4101)}}, func(t *testing.T, r relations) {
		together(func(i uint32) {
			for range 4 {
				r.wantFriends(t, i%2 == 0, p(4101, 4102+i%2*2))
				r.wantMembers(t, i%2 == 0, p(4101+i%2, 4103))
			}
		})
	})

	rule("a cancelled question is an error", World{pairs{p(4201, 4202)}, groups{id(4202): ids(4201)}}, func(t *testing.T, r relations) {
		for range 2 { // a cache must look at the context, too
			r.wantFailures(t, cancelled(t), p(4201, 4202), p(4201, 4203))
			r.wantFriends(t, true, p(4201, 4202))
			r.wantMembers(t, true, p(4201, 4202))
		}
	})

	if !untested(t, s.Change == nil, "Change") {
		before := World{pairs{p(4301, 4302), p(4301, 4304)}, groups{id(4303): ids(4301, 4302)}}
		after := World{pairs{p(4301, 4302), p(4302, 4304)}, groups{id(4303): ids(4302, 4304)}}
		rule("a change shows at once", before, func(t *testing.T, r relations) {
			for n := range 6 {
				changed := n == 2 || n == 3 // and each asked twice, so that a cache has it
				switch n {
				case 2:
					s.Change(t, before, after)
				case 4:
					s.Change(t, after, before)
				}
				r.wantFriends(t, true, p(4301, 4302))
				r.wantFriends(t, !changed, p(4304, 4301))
				r.wantFriends(t, changed, p(4304, 4302))
				r.wantMembers(t, true, p(4302, 4303))
				r.wantMembers(t, !changed, p(4301, 4303))
				r.wantMembers(t, changed, p(4304, 4303))
			}
		})
	}

	if !untested(t, s.Break == nil, "Break") {
		rule("a failing backend is an error and not a no", World{pairs{p(4401, 4402)}, groups{id(4402): ids(4401)}}, func(t *testing.T, r relations) {
			mend := s.Break(t)
			r.wantFailures(t, t.Context(), p(4401, 4402), p(4401, 4403))
			mend()
			r.wantFriends(t, true, p(4401, 4402))
			r.wantMembers(t, true, p(4401, 4402))
		})
	}
}

type relations struct{ misc.Relations }

// wantFriends asks about pairs of users.
func (r relations) wantFriends(t *testing.T, want bool, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		if got, err := r.AreFriends(t.Context(), p[0], p[1]); err != nil || got != want {
			t.Errorf("AreFriends(%q, %q) = %v, %v; want %v", p[0], p[1], got, err, want)
		}
	}
}

// wantMembers asks about pairs of a user and a group.
func (r relations) wantMembers(t *testing.T, want bool, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		if got, err := r.IsGroupMember(t.Context(), p[0], p[1]); err != nil || got != want {
			t.Errorf("IsGroupMember(%q, %q) = %v, %v; want %v", p[0], p[1], got, err, want)
		}
	}
}

// wantFailures asks about each pair as friends and as a user and a group.
func (r relations) wantFailures(t *testing.T, ctx context.Context, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		_, err := r.AreFriends(ctx, p[0], p[1])
		wantFailure(t, "AreFriends", err)
		_, err = r.IsGroupMember(ctx, p[0], p[1])
		wantFailure(t, "IsGroupMember", err)
	}
}

var _ misc.Relations = (*Relations)(nil)

// Relations are fake misc.Relations, to which every string is an id. Make them
// with [NewRelations].
type Relations struct {
	friends [][2]string
	groups  map[string][]string
}

// NewRelations returns Relations with a copy of w.
func NewRelations(w World) *Relations {
	r := &Relations{slices.Clone(w.Friends), maps.Clone(w.Groups)}
	for g, members := range r.groups {
		r.groups[g] = slices.Clone(members)
	}
	return r
}

// AreFriends implements misc.Relations.
func (r *Relations) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	either := slices.Contains(r.friends, [2]string{userID, otherID}) || slices.Contains(r.friends, [2]string{otherID, userID})
	err := ctx.Err()
	return either && err == nil, err
}

// IsGroupMember implements misc.Relations.
func (r *Relations) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	err := ctx.Err()
	return err == nil && slices.Contains(r.groups[groupID], userID), err
}
