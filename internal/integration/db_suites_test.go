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
		misctest.TestScreenCaptureStore(t, func(*testing.T) misc.ScreenCaptureStore { return s })
	})
}

func TestStoreIsRelations(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		misctest.TestRelations(t, func(t *testing.T, w misctest.World) misc.Relations {
			d.put(t, w)
			return s
		})
	})
}

func TestStoreIsARelatedStore(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		misctest.TestRelatedStore(t, func(t *testing.T, w misctest.World) misc.RelatedStore {
			d.put(t, w)
			return s
		})
	})
}

// put adds the relations in w as SealTalk's servers do: two rows for friends.
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
