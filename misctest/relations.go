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

// RelationsOptions make [TestRelations] test more rules. Both functions act on
// the relations that newRelations returned last.
type RelationsOptions struct {
	// Change replaces the friendships and memberships in before, which exist,
	// with those in after.
	Change func(t *testing.T, before, after World)

	// Break makes the backend fail, until mend is called.
	Break func(t *testing.T) (mend func())
}

// TestRelations tests misc.Relations. newRelations must store the friendships
// and memberships of w before it returns. No two rules contradict each other,
// so all calls may use one database. It should hold nothing else about ID(1) to
// ID(5000).
func TestRelations(t *testing.T, newRelations func(t *testing.T, w World) misc.Relations, options ...RelationsOptions) {
	testRelations(t, newRelations, optional(options))
}

func testRelations(t *testing.T, newRelations func(t *testing.T, w World) misc.Relations, o RelationsOptions) {
	rule := func(name string, w world, check func(t *testing.T, r relations)) {
		t.Run(name, func(t *testing.T) { check(t, relations{newRelations(t, w.public())}) })
	}

	// By number 2 is below 10, and as strings ID(10) is below ID(2); 4 and 5
	// come in the same order either way.
	rule("friends are friends in both directions", world{friends: [][2]uint32{{2, 10}, {5, 4}}}, func(t *testing.T, r relations) {
		for _, p := range [][2]uint32{{2, 10}, {10, 2}, {4, 5}, {5, 4}} {
			r.wantFriends(t, p[0], p[1], true)
		}
	})

	rule("a member is in the group", world{groups: map[uint32][]uint32{301: {302, 303}, 304: {302}}}, func(t *testing.T, r relations) {
		for _, p := range [][2]uint32{{302, 301}, {303, 301}, {302, 304}} {
			r.wantMember(t, p[0], p[1], true)
		}
	})

	many := world{groups: map[uint32][]uint32{3001: {}}}
	for n := uint32(3002); n <= 3122; n++ {
		many.friends = append(many.friends, [2]uint32{3001, n})
		many.groups[3001] = append(many.groups[3001], n)
	}
	rule("all friends and members are found", many, func(t *testing.T, r relations) {
		for _, f := range many.friends {
			r.wantFriends(t, f[0], f[1], true)
			r.wantMember(t, f[1], f[0], true)
		}
	})

	rule("strangers are not friends, known or not", world{
		friends: [][2]uint32{{101, 102}, {102, 103}, {104, 105}},
		groups:  map[uint32][]uint32{106: {101, 104}},
	}, func(t *testing.T, r relations) {
		for _, p := range [][2]uint32{{101, 101}, {101, 103}, {101, 104}, {101, 105}, {101, 107}, {107, 108}} {
			r.wantFriends(t, p[0], p[1], false)
			r.wantFriends(t, p[1], p[0], false)
		}
	})

	rule("strangers are not in the group, known or not", world{
		friends: [][2]uint32{{402, 404}},
		groups:  map[uint32][]uint32{401: {402}, 403: {402, 405}, 406: {}},
	}, func(t *testing.T, r relations) {
		for _, p := range [][2]uint32{{404, 401}, {405, 401}, {402, 406}, {407, 401}, {402, 408}, {407, 408}} {
			r.wantMember(t, p[0], p[1], false)
		}
	})

	rule("a group is not the user with its number", world{
		friends: [][2]uint32{{7, 11}},
		groups:  map[uint32][]uint32{7: {12}, 11: {13}, 12: {14}},
	}, func(t *testing.T, r relations) {
		r.wantFriends(t, 7, 11, true) // the related ones first, for a cache
		r.wantMember(t, 14, 12, true)
		r.wantFriends(t, 14, 12, false)
		r.wantFriends(t, 7, 12, false)
		r.wantFriends(t, 12, 7, false)
		r.wantMember(t, 7, 7, false)
		r.wantMember(t, 11, 7, false)
		r.wantMember(t, 7, 11, false)
		r.wantMember(t, 7, 12, false)
	})

	// A database may compare strings without regard to case.
	rule("ids that differ in case alone are different", world{friends: [][2]uint32{{109, 173}}, groups: map[uint32][]uint32{288: {309}}}, func(t *testing.T, r relations) {
		r.wantFriends(t, 109+caseTwin, 173, false)
		r.wantFriends(t, 109, 173+caseTwin, false)
		r.wantMember(t, 309, 288+caseTwin, false)
		r.wantMember(t, 309+caseTwin, 288, false)
	})

	rule("an invalid id, or a part of one, is not related or misc.ErrInvalidID", world{
		friends: [][2]uint32{{4012, 4034}},
		groups:  map[uint32][]uint32{4056: {4012, 4034}},
	}, func(t *testing.T, r relations) {
		for _, part := range []uint32{401, 403, 40, 12, 34, 1, 3, 4, 124034} {
			r.wantFriends(t, 4012, part, false)
			r.wantFriends(t, part, 4034, false)
			r.wantMember(t, part, 4056, false)
		}
		lists := []string{ID(4034) + ID(4012), ID(4012) + "," + ID(4034)}
		for _, id := range slices.Concat(invalidIDs(4034), invalidIDs(4056), lists) {
			got, err := r.AreFriends(t.Context(), ID(4012), id)
			wantInvalidID(t, "AreFriends", got, err, id)
			got, err = r.AreFriends(t.Context(), id, ID(4012))
			wantInvalidID(t, "AreFriends", got, err, id)
			got, err = r.IsGroupMember(t.Context(), id, ID(4056))
			wantInvalidID(t, "IsGroupMember", got, err, id)
			got, err = r.IsGroupMember(t.Context(), ID(4012), id)
			wantInvalidID(t, "IsGroupMember", got, err, id)
		}
	})

	rule("questions at the same time get their own answers", world{
		friends: [][2]uint32{{601, 602}},
		groups:  map[uint32][]uint32{603: {601}},
	}, func(t *testing.T, r relations) {
		together(func(i uint32) {
			for range 4 {
				r.wantFriends(t, 601, 602+i%2*2, i%2 == 0)
				r.wantMember(t, 601+i%2, 603, i%2 == 0)
			}
		})
	})

	w := world{friends: [][2]uint32{{701, 702}}, groups: map[uint32][]uint32{702: {701}}}
	rule("a cancelled question is an error", w, func(t *testing.T, r relations) {
		for range 2 { // a cache must look at the context, too
			r.wantFailures(t, cancelled(t), 701, 702)
			r.wantFailures(t, cancelled(t), 701, 703)
			r.wantFriends(t, 701, 702, true)
			r.wantMember(t, 701, 702, true)
		}
	})

	if !untested(t, o.Change == nil, "Change") {
		before := world{friends: [][2]uint32{{901, 902}, {901, 904}}, groups: map[uint32][]uint32{903: {901, 902}}}
		after := world{friends: [][2]uint32{{901, 902}, {902, 904}}, groups: map[uint32][]uint32{903: {902, 904}}}
		rule("a change shows at once", before, func(t *testing.T, r relations) {
			for n := range 6 {
				changed := n == 2 || n == 3 // and each asked twice, so that a cache has it
				switch n {
				case 2:
					o.Change(t, before.public(), after.public())
				case 4:
					o.Change(t, after.public(), before.public())
				}
				r.wantFriends(t, 901, 902, true)
				r.wantFriends(t, 904, 901, !changed)
				r.wantFriends(t, 904, 902, changed)
				r.wantMember(t, 901, 903, !changed)
				r.wantMember(t, 902, 903, true)
				r.wantMember(t, 904, 903, changed)
			}
		})
	}

	if !untested(t, o.Break == nil, "Break") {
		w := world{friends: [][2]uint32{{951, 952}}, groups: map[uint32][]uint32{952: {951}}}
		rule("a failing backend is an error and not a no", w, func(t *testing.T, r relations) {
			mend := o.Break(t)
			r.wantFailures(t, t.Context(), 951, 952)
			r.wantFailures(t, t.Context(), 951, 953)
			mend()
			r.wantFriends(t, 951, 952, true)
			r.wantMember(t, 951, 952, true)
		})
	}
}

// world is a World in numbers.
type world struct {
	friends [][2]uint32
	groups  map[uint32][]uint32
}

func (w world) public() World {
	p := World{Groups: make(map[string][]string)}
	for _, f := range w.friends {
		p.Friends = append(p.Friends, [2]string{ID(f[0]), ID(f[1])})
	}
	for g, members := range w.groups {
		p.Groups[ID(g)] = []string{}
		for _, m := range members {
			p.Groups[ID(g)] = append(p.Groups[ID(g)], ID(m))
		}
	}
	return p
}

type relations struct{ misc.Relations }

func (r relations) wantFriends(t *testing.T, user, other uint32, want bool) {
	t.Helper()
	if got, err := r.AreFriends(t.Context(), ID(user), ID(other)); err != nil || got != want {
		t.Errorf("AreFriends(ID(%d), ID(%d)) = %v, %v; want %v", user, other, got, err, want)
	}
}

func (r relations) wantMember(t *testing.T, user, group uint32, want bool) {
	t.Helper()
	if got, err := r.IsGroupMember(t.Context(), ID(user), ID(group)); err != nil || got != want {
		t.Errorf("IsGroupMember(ID(%d), ID(%d)) = %v, %v; want %v", user, group, got, err, want)
	}
}

// wantFailures asks about other as a friend and as a group.
func (r relations) wantFailures(t *testing.T, ctx context.Context, user, other uint32) {
	t.Helper()
	_, err := r.AreFriends(ctx, ID(user), ID(other))
	wantFailure(t, "AreFriends", err)
	_, err = r.IsGroupMember(ctx, ID(user), ID(other))
	wantFailure(t, "IsGroupMember", err)
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
