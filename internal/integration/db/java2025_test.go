//go:build unix

package db_test

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/sqlstore"
)

func TestTheTablesOfJava2025(t *testing.T) {
	eachKind(t, servers.Plain(), func(t *testing.T, d *database) {
		_, err := sqlstore.NewTokens(t.Context(), d.DB, d.Dialect)
		require.EqualError(t, err, "sqlstore: table login_token "+noTable)
		_, err = sqlstore.NewConfigFiles(t.Context(), d.DB, d.Dialect)
		require.EqualError(t, err, "sqlstore: table config_list "+noTable)

		d.Exec(t, `CREATE TABLE login_token (id INTEGER PRIMARY KEY, user_id INTEGER, login_time BIGINT)`)
		d.Exec(t, `CREATE TABLE config_list (att_key VARCHAR(64) PRIMARY KEY, att_value TEXT)`)
		d.Exec(t, `INSERT INTO login_token VALUES (42, 7, 1764374400000)`)
		d.Exec(t, `INSERT INTO config_list VALUES ('mobileVersion', 'the first')`)

		tokens, err := sqlstore.NewTokens(t.Context(), d.DB, d.Dialect)
		require.NoError(t, err)
		defer tokens.Close()
		user, at, found, err := tokens.LoginToken(t.Context(), 42)
		require.NoError(t, err)
		assert.True(t, found)
		assert.Equal(t, uint32(7), user)
		assert.True(t, time.UnixMilli(1764374400000).Equal(at), at)
		d.Exec(t, `DELETE FROM login_token`)
		for _, id := range []int64{42, 1 << 62} { // logged out; wider than the column
			_, _, found, err = tokens.LoginToken(t.Context(), id)
			require.NoError(t, err)
			assert.False(t, found)
		}

		files, err := sqlstore.NewConfigFiles(t.Context(), d.DB, d.Dialect)
		require.NoError(t, err)
		defer files.Close()
		text, err := fs.ReadFile(files, "client_version.json")
		require.NoError(t, err)
		assert.Equal(t, `the first`, string(text))
		d.Exec(t, `UPDATE config_list SET att_value = 'the second'`)
		text, err = fs.ReadFile(files, "client_version.json")
		require.NoError(t, err)
		assert.Equal(t, `the second`, string(text))
		_, err = fs.ReadFile(files, "demo_square.json")
		assert.ErrorIs(t, err, fs.ErrNotExist)
	})
}
