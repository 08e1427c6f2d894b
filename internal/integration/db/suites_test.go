//go:build unix

package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

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
			Break:  d.HideTables,
		})
	})
}

func TestStoreIsRelations(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		misctest.TestRelations(t, misctest.RelationsSuite{
			New:    func(t *testing.T, w misctest.World) misc.Relations { d.Put(t, w); return s },
			Change: d.Change,
			Break:  d.HideTables,
		})
	})
}

func TestStoreIsAStore(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		misctest.TestStore(t, misctest.StoreSuite{
			New:    func(t *testing.T, w misctest.World) misc.Store { d.Put(t, w); return s },
			Second: func(t *testing.T) misc.Store { return d.second(t) },
			Change: d.Change,
			Break:  d.HideTables,
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
