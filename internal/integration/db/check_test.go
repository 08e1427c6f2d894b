//go:build unix

package db_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/sqlstore"
)

// A ping sees none of these, and reads go on.
func TestCheckSaysThatTheDatabaseTakesNoWrites(t *testing.T) {
	for _, tt := range []struct {
		on                   sqlstore.Dialect
		statement, off, want string
		starts               bool
	}{
		{sqlstore.MySQL, `SET GLOBAL read_only = `, "0", ": the database takes no writes: read_only is on", true},
		{sqlstore.MySQL, `SET tx_read_only = `, "0", ": the database takes no writes: transaction_read_only is on", false},
		{sqlstore.PostgreSQL, `SET default_transaction_read_only = `, "off", ": the database takes no writes: transaction_read_only is on", true},
		{sqlstore.SQLite, `PRAGMA query_only = `, "0", ": attempt to write a readonly database (8)", true},
	} {
		eachKind(t, servers.Plain(), func(t *testing.T, d *database) {
			if d.Dialect != tt.on {
				return
			}
			d.DB.SetMaxOpenConns(1) // the statement may count for this one only
			s := d.Store(t, nil)
			require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn))
			rows := d.rows(t)
			require.NoError(t, s.Check(t.Context()))
			d.Exec(t, tt.statement+"1")
			defer d.Exec(t, tt.statement+tt.off)
			require.EqualError(t, s.Check(t.Context()), "sqlstore: check"+tt.want)
			wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{group(7): misc.NoticeOn})
			if tt.starts {
				require.NoError(t, d.newError(t), "an instance has to start while a failover goes on")
			}
			d.Exec(t, tt.statement+tt.off)
			require.NoError(t, s.Check(t.Context()))
			require.Equal(t, rows, d.rows(t))
		})
	}
}

func TestCheckSaysThatASQLiteFileIsReadOnly(t *testing.T) {
	d := newDatabase(t, servers.Plain()[0])
	db := testhost.Must(sql.Open("sqlite", "file:"+d.DBName+"?mode=ro"))
	defer db.Close()
	s, err := sqlstore.New(t.Context(), db, d.Dialect, sqlstore.Config{Codec: servers.Codec})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, db.Ping())
	require.ErrorContains(t, s.Check(t.Context()), "readonly")
}

func TestCheckFailsAsTheCallsDo(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		mend := d.HideTables(t)
		err := s.Check(t.Context())
		mend()
		require.ErrorContains(t, err, "sqlstore: check: ")
		require.NotContains(t, err.Error(), "takes no writes")
		require.NoError(t, s.Check(t.Context()))
	})
}
