package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/session"
	"github.com/sealtalk-go/misc/sqlstore"
)

var _ session.TokenStore = (*sqlstore.Tokens)(nil)

// row is an answer of one row.
func row(values ...driver.Value) func([]driver.Value) ([][]driver.Value, error) {
	return func([]driver.Value) ([][]driver.Value, error) { return [][]driver.Value{values}, nil }
}

func TestALoginTokenIsReadByItsId(t *testing.T) {
	f := &fake{tables: table("login_token", "id", "user_id", "login_time")}
	db := sql.OpenDB(f)
	tokens, err := sqlstore.NewTokens(t.Context(), db, sqlstore.PostgreSQL)
	require.NoError(t, err)
	at := time.UnixMilli(1764374400000)
	for _, tt := range []struct {
		user, ms driver.Value
		found    bool
	}{
		{int64(1), int64(1764374400000), true},
		{int64(math.MaxUint32), int64(1764374400000), true},
		{int64(0), int64(1764374400000), false},
		{int64(-1), int64(1764374400000), false},
		{int64(math.MaxUint32 + 1), int64(1764374400000), false},
		{nil, int64(1764374400000), false},
	} {
		f.answer = row(tt.user, tt.ms)
		user, loggedIn, found, err := tokens.LoginToken(t.Context(), 42)
		require.NoError(t, err)
		assert.Equal(t, tt.found, found, tt.user)
		assert.Equal(t, []driver.Value{int64(42)}, f.args)
		if found {
			assert.EqualValues(t, tt.user, user)
			assert.True(t, at.Equal(loggedIn))
		}
	}
	f.answer = nil
	_, _, found, err := tokens.LoginToken(t.Context(), 42)
	require.NoError(t, err)
	assert.False(t, found, "no row")
	broken := errors.New("broken")
	f.answer = func([]driver.Value) ([][]driver.Value, error) { return nil, broken }
	_, _, _, err = tokens.LoginToken(t.Context(), 42)
	require.ErrorIs(t, err, broken)
	require.NoError(t, tokens.Close())
	require.NoError(t, db.Close())
}

func TestTheFilesOfTheTable(t *testing.T) {
	f := &fake{tables: table("config_list", "att_key", "att_value")}
	db := sql.OpenDB(f)
	files, err := sqlstore.NewConfigFiles(t.Context(), db, sqlstore.MySQL)
	require.NoError(t, err)
	f.answer = func(args []driver.Value) ([][]driver.Value, error) {
		return [][]driver.Value{{"the value of " + args[0].(string)}}, nil
	}
	for name, want := range map[string]string{
		"client_version.json": "the value of mobileVersion", "demo_square.json": "the value of demoSquare", "releases.json": `{"releases":[]}`} {
		got, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	directory, err := fs.Stat(files, ".")
	require.NoError(t, err)
	assert.True(t, directory.IsDir())

	f.calls = nil
	for name, exists := range map[string]bool{"client_version.json": true, "releases.json": true, "squirrel.json": false} {
		info, err := fs.Stat(files, name)
		require.Equal(t, exists, err == nil)
		require.True(t, !exists || info.Mode().IsRegular() && info.Name() == name)
	}
	require.Empty(t, f.calls, "no statement")

	f.answer = row(nil)
	got, err := fs.ReadFile(files, "demo_square.json")
	require.NoError(t, err)
	assert.Empty(t, got)
	f.answer = nil
	_, err = files.Open("demo_square.json")
	require.ErrorIs(t, err, fs.ErrNotExist, "no row")
	_, err = files.Open("squirrel.json")
	require.ErrorIs(t, err, fs.ErrNotExist)
	broken := errors.New("broken")
	f.answer = func([]driver.Value) ([][]driver.Value, error) { return nil, broken }
	_, err = files.Open("demo_square.json")
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, files.Close())
	require.NoError(t, db.Close())
}

func TestReadingAFileEndsAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{tables: table("config_list", "att_key", "att_value"), answer: func([]driver.Value) ([][]driver.Value, error) { return nil, errDeadlock }}
		db := sql.OpenDB(f)
		files, err := sqlstore.NewConfigFiles(t.Context(), db, sqlstore.MySQL)
		require.NoError(t, err)
		hang := make(chan struct{})
		f.answer = func([]driver.Value) ([][]driver.Value, error) { <-hang; return nil, context.DeadlineExceeded }
		start := time.Now()
		time.AfterFunc(5*time.Second, func() { close(hang) }) // as a driver does when the context ends
		_, err = files.Open("demo_square.json")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.NoError(t, files.Close())
		require.NoError(t, db.Close())
	})
}

func TestNewTokensAndNewConfigFilesNameWhatIsMissing(t *testing.T) {
	const denied = ": this user of the database has no privilege to "
	for _, tt := range []struct {
		tables [][]driver.Value
		want   string
	}{
		{nil, "sqlstore: table login_token is missing, or not visible to this user of the database"},
		{table("login_token", "id", "login_time"), "sqlstore: table login_token has no column user_id that this user of the database can see"},
		{[][]driver.Value{{"login_token", "id", true, "SELECT", ""}, {"login_token", "user_id", true, "", ""}, {"login_token", "login_time", true, "SELECT", ""}},
			"sqlstore: table login_token" + denied + "SELECT user_id"},
	} {
		_, err := sqlstore.NewTokens(t.Context(), sql.OpenDB(&fake{tables: tt.tables}), sqlstore.PostgreSQL)
		require.EqualError(t, err, tt.want)
	}
	_, err := sqlstore.NewConfigFiles(t.Context(), sql.OpenDB(&fake{tables: table("config_list", "att_key")}), sqlstore.SQLite)
	require.EqualError(t, err, "sqlstore: table config_list has no column att_value that this user of the database can see")
	_, err = sqlstore.NewConfigFiles(t.Context(), nil, "oracle")
	require.EqualError(t, err, `sqlstore: dialect "oracle" is unknown: use mysql, postgres or sqlite`+"\nsqlstore: db is required")
}
