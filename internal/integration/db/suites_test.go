//go:build unix

package db_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

func TestStoreIsAScreenCaptureStore(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		misctest.TestScreenCaptureStore(t, misctest.CaptureSuite{
			New:    func(*testing.T) misc.ScreenCaptureStore { return s },
			Second: func(t *testing.T) misc.ScreenCaptureStore { return d.second(t) },
			Break:  d.hideTables,
		})
	})
}

func TestStoreIsRelations(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		misctest.TestRelations(t, misctest.RelationsSuite{
			New:    func(t *testing.T, w misctest.World) misc.Relations { d.put(t, w); return s },
			Change: d.change,
			Break:  d.hideTables,
		})
	})
}

func TestStoreIsAStore(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		misctest.TestStore(t, misctest.StoreSuite{
			New:    func(t *testing.T, w misctest.World) misc.Store { d.put(t, w); return s },
			Second: func(t *testing.T) misc.Store { return d.second(t) },
			Change: d.change,
			Break:  d.hideTables,
		})
	})
}

type instance interface {
	misc.Store
	misc.ScreenCaptureStore
}

// second returns a store over a pool of its own, or nil if New fails.
func (d *database) second(t *testing.T) instance {
	s, err := sqlstore.New(t.Context(), d.Pool(t), d.Dialect, sqlstore.Config{Codec: servers.Codec})
	if err != nil {
		return nil
	}
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// hideTables makes every statement fail.
func (d *database) hideTables(t *testing.T) (mend func()) {
	rename := func(from, to string) {
		for _, table := range []string{"screen_statuses", "friendships", "group_members"} {
			d.Exec(t, `ALTER TABLE "`+from+table+`" RENAME TO "`+to+table+`"`)
		}
	}
	rename("", "hidden_")
	return func() { rename("hidden_", "") }
}

// put adds the relations in w as SealTalk's servers do, with two rows for each pair of
// friends.
func (d *database) put(t *testing.T, w misctest.World) {
	for _, f := range w.Friends {
		a, b := number(t, f[0]), number(t, f[1])
		d.AddFriend(t, a, b, 20)
		d.AddFriend(t, b, a, 20)
	}
	for g, members := range w.Groups {
		for _, m := range slices.Sorted(slices.Values(members)) {
			d.AddMember(t, number(t, g), number(t, m))
		}
	}
}

// change removes what put has added for before, and puts after in its place.
func (d *database) change(t *testing.T, before, after misctest.World) {
	for _, f := range before.Friends {
		a, b := number(t, f[0]), number(t, f[1])
		d.Exec(t, `DELETE FROM "friendships" WHERE "userId" = ? AND "friendId" = ? OR "userId" = ? AND "friendId" = ?`, a, b, b, a)
	}
	for g, members := range before.Groups {
		for _, m := range members {
			d.Exec(t, `DELETE FROM "group_members" WHERE "groupId" = ? AND "memberId" = ?`, number(t, g), number(t, m))
		}
	}
	d.put(t, after)
}

func number(t *testing.T, public string) uint32 {
	n, err := servers.Codec.Decode(public)
	require.NoError(t, err)
	return n
}
