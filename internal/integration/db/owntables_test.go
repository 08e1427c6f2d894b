//go:build unix

package db_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/hosts/owntables"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

func TestOwnTablesAreAStore(t *testing.T) {
	for _, kind := range servers.Plain()[1:] {
		t.Run(kind.Name, func(t *testing.T) { testOwnTables(t, servers.EmptyDatabase(t, kind)) })
	}
}

func testOwnTables(t *testing.T, d *servers.Database) {
	schema, postgreSQL := owntables.MySQLSchema, d.Dialect == sqlstore.PostgreSQL
	if postgreSQL {
		schema = owntables.PostgreSQLSchema
	}
	for statement := range strings.SplitSeq(strings.TrimSuffix(schema, ";"), ";") {
		d.Exec(t, statement)
	}
	open := func(t *testing.T) misc.Store { // with connections of its own, like another server
		s, err := owntables.New(t.Context(), d.Pool(t), postgreSQL)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	misctest.TestStore(t, misctest.StoreSuite{
		New: func(t *testing.T, w misctest.World) misc.Store {
			tx, err := d.DB.Begin()
			require.NoError(t, err)
			insert := func(table, a, b string) {
				_, err := tx.Exec(d.SQL(`INSERT INTO `+table+` VALUES (?, ?)`), a, b)
				require.NoError(t, err)
			}
			for _, pair := range w.Friends {
				insert("contacts", pair[0], pair[1])
				insert("contacts", pair[1], pair[0])
			}
			for team, members := range w.Groups {
				for _, member := range members {
					insert("team_members", team, member)
				}
			}
			require.NoError(t, tx.Commit())
			return open(t)
		},
		Second:    open,
		OpaqueIDs: true, // any string is an id here; with numbers or UUIDs, set ID instead
	})
}
