//go:build unix

package integration_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
)

func TestStoreIsAScreenCaptureStore(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		second := d.store(t, d.pool(t))
		misctest.TestScreenCaptureStore(t, func(*testing.T) misc.ScreenCaptureStore { return s }, misctest.StoreOptions{
			Second: func(*testing.T) misc.ScreenCaptureStore { return second },
			Break:  d.hideTables,
		})
	})
}

func TestStoreIsRelations(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		misctest.TestRelations(t, func(t *testing.T, w misctest.World) misc.Relations {
			d.put(t, w)
			return s
		}, misctest.RelationsOptions{
			Change: d.change,
			Break:  d.hideTables,
		})
	})
}

// hideTables makes every statement fail.
func (d *database) hideTables(t *testing.T) (mend func()) {
	rename := func(from, to string) {
		for _, table := range []string{"screen_statuses", "friendships", "group_members"} {
			d.exec(t, `ALTER TABLE "`+from+table+`" RENAME TO "`+to+table+`"`)
		}
	}
	rename("", "hidden_")
	return func() { rename("hidden_", "") }
}

// change removes what put has added for before, and puts after in its place.
func (d *database) change(t *testing.T, before, after misctest.World) {
	c := codec(t)
	for _, f := range before.Friends {
		a, b := number(t, c, f[0]), number(t, c, f[1])
		d.exec(t, `DELETE FROM "friendships" WHERE "userId" = ? AND "friendId" = ? OR "userId" = ? AND "friendId" = ?`, a, b, b, a)
	}
	for g, members := range before.Groups {
		for _, m := range members {
			d.exec(t, `DELETE FROM "group_members" WHERE "groupId" = ? AND "memberId" = ?`, number(t, c, g), number(t, c, m))
		}
	}
	d.put(t, after)
}

func TestStoreIsARelatedStore(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		second := d.store(t, d.pool(t))
		misctest.TestRelatedStore(t, func(t *testing.T, w misctest.World) misc.RelatedStore {
			d.put(t, w)
			return s
		}, misctest.RelatedOptions{
			Second: func(*testing.T) misc.RelatedStore { return second },
			Change: d.change,
			Break:  d.hideTables,
		})
	})
}

// put adds the relations in w as SealTalk's servers do, with two rows for each pair of
// friends.
func (d *database) put(t testing.TB, w misctest.World) {
	t.Helper()
	c := codec(t)
	for _, f := range w.Friends {
		a, b := number(t, c, f[0]), number(t, c, f[1])
		d.addFriend(t, a, b, 20)
		d.addFriend(t, b, a, 20)
	}
	for g, members := range w.Groups {
		for _, m := range slices.Sorted(slices.Values(members)) {
			d.addMember(t, number(t, c, g), number(t, c, m), 0)
		}
	}
}

func number(t testing.TB, c *n3d.Codec, public string) uint32 {
	t.Helper()
	n, err := c.Decode(public)
	require.NoError(t, err)
	return n
}
