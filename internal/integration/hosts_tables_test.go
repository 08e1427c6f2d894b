//go:build unix

package integration_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/hosts/owntables"
	"github.com/sealtalk-go/misc/misctest"
)

// ownTables returns a database with the tables of package owntables.
func ownTables(t *testing.T) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "own.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec(owntables.Schema)
	require.NoError(t, err)
	return db
}

func TestOwnTablesAreRelations(t *testing.T) {
	misctest.TestRelations(t, func(t *testing.T, w misctest.World) misc.Relations {
		db := ownTables(t)
		for _, pair := range w.Friends {
			_, err := db.Exec(`INSERT INTO contacts VALUES (?, ?), (?, ?)`, pair[0], pair[1], pair[1], pair[0])
			require.NoError(t, err)
		}
		for team, members := range w.Groups {
			for _, member := range members {
				_, err := db.Exec(`INSERT INTO teams VALUES (?, ?)`, team, member)
				require.NoError(t, err)
			}
		}
		return owntables.New(db)
	})
}

func TestOwnTablesAreAScreenCaptureStore(t *testing.T) {
	db := ownTables(t)
	open := func(*testing.T) misc.ScreenCaptureStore { return owntables.New(db) }
	misctest.TestScreenCaptureStore(t, open, misctest.StoreOptions{Second: open})
}
