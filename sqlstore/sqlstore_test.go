package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
)

// The statements themselves are tested on real databases, by the module
// internal/integration. Here a scripted database shows what reaches it, and
// what comes of each failure.

// fake is a database that answers each statement by its first words.
type fake struct {
	tables  [][]driver.Value // what the catalogue says
	answer  func(args []any) ([][]driver.Value, error)
	prepare error // fails the preparation of the last statement
	rowsErr error // comes after the rows of the catalogue
	ddl     func(f *fake, statement string) error

	calls  []string // the statements that ran, but for the catalogue
	args   []any    // of the last one
	closed int      // how many statements were
}

func (f *fake) Connect(context.Context) (driver.Conn, error) { return f, nil }
func (f *fake) Driver() driver.Driver                        { return nil }
func (f *fake) Begin() (driver.Tx, error)                    { return nil, errors.New("no transactions") }
func (f *fake) Close() error                                 { return nil }

func (f *fake) Prepare(text string) (driver.Stmt, error) {
	if f.prepare != nil && strings.Contains(text, "FROM group_members") {
		return nil, f.prepare
	}
	return &stmt{f, text}, nil
}

type stmt struct {
	f    *fake
	text string
}

func (s *stmt) Close() error {
	s.f.closed++
	return nil
}
func (s *stmt) NumInput() int { return -1 }

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	if len(args) == 0 {
		s.f.calls = append(s.f.calls, s.text)
		return driver.RowsAffected(0), s.f.ddl(s.f, s.text)
	}
	_, err := s.run(args)
	return driver.RowsAffected(1), err
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	if len(args) == 0 {
		return &rows{s.f.tables, 3, s.f.rowsErr}, nil
	}
	answer, err := s.run(args)
	return &rows{answer, 1, nil}, err
}

func (s *stmt) run(args []driver.Value) ([][]driver.Value, error) {
	s.f.calls = append(s.f.calls, s.text)
	s.f.args = nil
	for _, a := range args {
		s.f.args = append(s.f.args, a)
	}
	return s.f.answer(s.f.args)
}

type rows struct {
	left  [][]driver.Value
	width int
	err   error
}

func (r *rows) Columns() []string { return make([]string, r.width) }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(row []driver.Value) error {
	if len(r.left) == 0 {
		if r.err != nil {
			return r.err
		}
		return io.EOF
	}
	copy(row, r.left[0])
	r.left = r.left[1:]
	return nil
}

var (
	screenStatuses = [][]driver.Value{
		{"screen_statuses", "id", true}, {"screen_statuses", "operateId", true}, {"screen_statuses", "conversationType", false},
		{"screen_statuses", "status", false}, {"screen_statuses", "createdAt", false}, {"screen_statuses", "updatedAt", false},
	}
	friendships  = [][]driver.Value{{"friendships", "userId", false}, {"friendships", "friendId", false}, {"friendships", "status", false}}
	groupMembers = [][]driver.Value{{"group_members", "groupId", false}, {"group_members", "memberId", false}}
	isDeleted    = [][]driver.Value{{"group_members", "isDeleted", false}}
)

func join(tables ...[][]driver.Value) (all [][]driver.Value) {
	for _, t := range tables {
		all = append(all, t...)
	}
	return all
}

func codec(t testing.TB) *n3d.Codec {
	t.Helper()
	c, err := n3d.New(misctest.Key)
	require.NoError(t, err)
	return c
}

func newStore(t testing.TB, f *fake, d sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	if f.tables == nil {
		f.tables = join(screenStatuses, friendships, groupMembers)
	}
	db := sql.OpenDB(f)
	s, err := sqlstore.New(t.Context(), db, d, sqlstore.Config{
		Codec: codec(t),
		Now:   func() time.Time { return time.Date(2026, 1, 2, 20, 4, 5, 600700800, time.UTC) },
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, db.Close())
	})
	return s
}

var (
	id   = misctest.ID
	pair = misc.PrivateConversation(id(10), id(2))
)

func TestNewNamesEveryFaultOfItsArguments(t *testing.T) {
	_, err := sqlstore.New(t.Context(), nil, "oracle", sqlstore.Config{})
	require.EqualError(t, err, "sqlstore: db is required\n"+
		`sqlstore: dialect "oracle" is unknown: use mysql, postgres or sqlite`+"\n"+
		"sqlstore: Config.Codec is required")
	_, err = sqlstore.Schema("oracle")
	require.Error(t, err)
	require.Error(t, sqlstore.Migrate(t.Context(), sql.OpenDB(&fake{}), "oracle"))
}

func TestNewNamesEverythingThatTheTablesLack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tables [][]driver.Value
		want   string
	}{
		{"empty database", nil, "sqlstore: table screen_statuses is missing, or not visible to this user of the database\n" +
			"sqlstore: table friendships is missing, or not visible to this user of the database\n" +
			"sqlstore: table group_members is missing, or not visible to this user of the database"},
		{"columns", join(screenStatuses[:5], friendships[:1], groupMembers[1:]), "sqlstore: table screen_statuses has no column updatedAt\n" +
			"sqlstore: table friendships has no column friendId\n" +
			"sqlstore: table friendships has no column status\n" +
			"sqlstore: table group_members has no column groupId"},
		{"key", join([][]driver.Value{{"screen_statuses", "operateId", false}}, screenStatuses[2:], friendships, groupMembers),
			"sqlstore: table screen_statuses has no unique key on operateId alone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := sqlstore.New(t.Context(), sql.OpenDB(&fake{tables: tt.tables}), sqlstore.MySQL, sqlstore.Config{Codec: codec(t)})
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestFailuresOfTheDatabaseAreWrappedAndNotTakenForMissingTables(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range map[string]*fake{
		"catalogue": {rowsErr: broken},
		"prepare":   {tables: join(screenStatuses, friendships, groupMembers), prepare: broken},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlstore.New(t.Context(), sql.OpenDB(f), sqlstore.MySQL, sqlstore.Config{Codec: codec(t)})
			require.ErrorIs(t, err, broken)
			require.NotContains(t, err.Error(), "missing")
			require.NotContains(t, err.Error(), "SELECT")
			if name == "prepare" {
				require.Equal(t, 4, f.closed, "the catalogue's and the other three")
			}
		})
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sqlstore.New(cancelled, sql.OpenDB(&fake{}), sqlstore.MySQL, sqlstore.Config{Codec: codec(t)})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, sqlstore.Migrate(cancelled, sql.OpenDB(&fake{}), sqlstore.MySQL), context.Canceled)
	bad := &fake{tables: [][]driver.Value{{"friendships", "userId", "perhaps"}}}
	_, err = sqlstore.New(t.Context(), sql.OpenDB(bad), sqlstore.MySQL, sqlstore.Config{Codec: codec(t)})
	require.ErrorContains(t, err, "sqlstore: look for the tables: ")
}

func TestASetSendsNumbersAsNumbersAndTheKeyAsAString(t *testing.T) {
	at := time.Date(2026, 1, 2, 20, 4, 5, 600700800, time.UTC)
	for _, tt := range []struct {
		dialect sqlstore.Dialect
		c       misc.Conversation
		status  misc.NoticeStatus
		want    []any
	}{
		{sqlstore.MySQL, pair, misc.NoticeOn, []any{"2_10", int64(1), int64(1), "2026-01-03 04:04:05", "2026-01-03 04:04:05", int64(1), "2026-01-03 04:04:05"}},
		{sqlstore.PostgreSQL, misc.GroupConversation(id(7)), misc.NoticeOff, []any{"7", int64(3), int64(0), at, at, int64(0), at}},
		{sqlstore.SQLite, misc.PrivateConversation(id(3), id(3)), misc.NoticeOn, []any{"3_3", int64(1), int64(1), "2026-01-02 20:04:05", "2026-01-02 20:04:05", int64(1), "2026-01-02 20:04:05"}},
	} {
		f := &fake{answer: func([]any) ([][]driver.Value, error) { return nil, nil }}
		require.NoError(t, newStore(t, f, tt.dialect).SetScreenCapture(t.Context(), tt.c, tt.status))
		require.Equal(t, tt.want, f.args)
		require.Len(t, f.calls, 1)
	}
}

func TestAQuestionSendsNumbers(t *testing.T) {
	f := &fake{tables: join(screenStatuses, friendships, groupMembers, isDeleted)}
	f.answer = func([]any) ([][]driver.Value, error) { return [][]driver.Value{{int64(1)}}, nil }
	s := newStore(t, f, sqlstore.MySQL)
	yes, err := s.AreFriends(t.Context(), id(10), id(2))
	require.NoError(t, err)
	require.True(t, yes)
	require.Equal(t, []any{int64(10), int64(2)}, f.args)
	yes, err = s.IsGroupMember(t.Context(), id(4294967295), id(2))
	require.NoError(t, err)
	require.True(t, yes)
	require.Equal(t, []any{int64(4294967295), int64(2)}, f.args)
	require.Contains(t, f.calls[1], "isDeleted = 0")
	status, err := s.ScreenCapture(t.Context(), pair)
	require.NoError(t, err)
	require.Equal(t, misc.NoticeOn, status)
	require.Equal(t, []any{"2_10"}, f.args)
}

func TestWhatIsNoIDReachesNoDatabase(t *testing.T) {
	f := &fake{}
	s := newStore(t, f, sqlstore.MySQL)
	for name, ask := range map[string]func() error{
		"sqlstore: userID: ":  func() error { _, err := s.AreFriends(t.Context(), "no id", id(1)); return err },
		"sqlstore: otherID: ": func() error { _, err := s.AreFriends(t.Context(), id(1), ""); return err },
		"sqlstore: groupID: ": func() error { _, err := s.IsGroupMember(t.Context(), "7", id(1)); return err },
		"sqlstore: user of the conversation: ": func() error {
			return s.SetScreenCapture(t.Context(), misc.PrivateConversation(id(1), "~"), misc.NoticeOn)
		},
		"sqlstore: user of the conversation: n3d": func() error {
			return s.SetScreenCapture(t.Context(), misc.PrivateConversation("!", id(1)), misc.NoticeOn)
		},
		"sqlstore: user of the conversation": func() error {
			return s.SetScreenCapture(t.Context(), misc.Conversation{}, misc.NoticeOn)
		},
		"sqlstore: group of the": func() error {
			_, _, err := s.RelatedScreenCapture(t.Context(), id(1), misc.GroupConversation("kFpN4KiZnn"))
			return err
		},
		"sqlstore: userID": func() error {
			_, _, err := s.RelatedScreenCapture(t.Context(), "no id", misc.GroupConversation(id(1)))
			return err
		},
		"sqlstore: group of the conversation: ": func() error {
			_, err := s.ScreenCapture(t.Context(), misc.GroupConversation("?"))
			return err
		},
	} {
		err := ask()
		require.ErrorIs(t, err, misc.ErrInvalidID, name)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), id(1))
	}
	for _, status := range []misc.NoticeStatus{-1, 2} {
		require.ErrorIs(t, s.SetScreenCapture(t.Context(), pair, status), misc.ErrInvalidNoticeStatus)
	}
	require.Empty(t, f.calls)
}

func TestFailedQuestionsAreErrors(t *testing.T) {
	broken := errors.New("broken")
	f := &fake{answer: func([]any) ([][]driver.Value, error) { return nil, broken }}
	s := newStore(t, f, sqlstore.MySQL)
	_, err := s.ScreenCapture(t.Context(), pair)
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, s.SetScreenCapture(t.Context(), pair, misc.NoticeOn), broken)
	require.Len(t, f.calls, 2, "a set that fails for another reason is not repeated")
	_, err = s.AreFriends(t.Context(), id(1), id(2))
	require.ErrorIs(t, err, broken)
	_, err = s.IsGroupMember(t.Context(), id(1), id(2))
	require.ErrorIs(t, err, broken)
	_, _, err = s.RelatedScreenCapture(t.Context(), id(1), pair)
	require.ErrorIs(t, err, broken)
}

type state string

func (s state) Error() string    { return "undone" }
func (s state) SQLState() string { return string(s) }

func TestASetIsRepeatedAFewTimesAfterAConflict(t *testing.T) {
	deadlock := errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction")
	for _, tt := range []struct {
		err      error
		failures int
		want     int // how often it is tried
	}{
		{deadlock, 1, 2},
		{deadlock, 39, 40},
		{deadlock, 1000, 40},
		{state("40001"), 3, 4},
		{state("40P01"), 3, 4},
		{state("57P01"), 3, 4},
		{state("23505"), 3, 1},
		{errors.New("Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction"), 3, 1},
	} {
		f := &fake{}
		f.answer = func([]any) ([][]driver.Value, error) {
			if len(f.calls) <= tt.failures {
				return nil, tt.err
			}
			return nil, nil
		}
		err := newStore(t, f, sqlstore.MySQL).SetScreenCapture(t.Context(), pair, misc.NoticeOn)
		if tt.want > tt.failures {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, tt.err)
		}
		assert.Len(t, f.calls, tt.want, "%v", tt.err)
	}
}

func TestASetIsNotRepeatedOnceItsContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{answer: func([]any) ([][]driver.Value, error) {
		cancel()
		return nil, state("40001")
	}}
	require.ErrorIs(t, newStore(t, f, sqlstore.MySQL).SetScreenCapture(ctx, pair, misc.NoticeOn), context.Canceled)
	require.Len(t, f.calls, 1)
}

func TestCloseGivesUpEveryStatement(t *testing.T) {
	f := &fake{tables: join(screenStatuses, friendships, groupMembers)}
	s, err := sqlstore.New(t.Context(), sql.OpenDB(f), sqlstore.SQLite, sqlstore.Config{Codec: codec(t)})
	require.NoError(t, err)
	before := f.closed
	require.NoError(t, s.Close())
	require.Equal(t, before+6, f.closed)
}

func TestMigrateMakesWhatIsMissingAndNothingElse(t *testing.T) {
	for _, d := range []sqlstore.Dialect{sqlstore.MySQL, sqlstore.PostgreSQL, sqlstore.SQLite} {
		schema, err := sqlstore.Schema(d)
		require.NoError(t, err)
		require.Len(t, schema, 3)
		f := &fake{tables: friendships, ddl: func(*fake, string) error { return nil }}
		require.NoError(t, sqlstore.Migrate(t.Context(), sql.OpenDB(f), d))
		require.Equal(t, []string{schema[0], schema[2]}, f.calls)
	}
}

func TestMigrateForgivesTheFailureWhenAnotherInstanceMadeTheTable(t *testing.T) {
	broken := errors.New("broken")
	f := &fake{tables: join(friendships, groupMembers), ddl: func(f *fake, _ string) error {
		f.tables = append(f.tables, screenStatuses...)
		return broken
	}}
	require.NoError(t, sqlstore.Migrate(t.Context(), sql.OpenDB(f), sqlstore.PostgreSQL))

	f = &fake{ddl: func(*fake, string) error { return broken }}
	err := sqlstore.Migrate(t.Context(), sql.OpenDB(f), sqlstore.PostgreSQL)
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "sqlstore: migrate: table screen_statuses: broken")

	f = &fake{ddl: func(f *fake, _ string) error {
		f.rowsErr = errors.New("gone")
		return broken
	}}
	require.ErrorIs(t, sqlstore.Migrate(t.Context(), sql.OpenDB(f), sqlstore.PostgreSQL), broken)
}

func TestASettingThatHasNoRowIsOff(t *testing.T) {
	f := &fake{answer: func([]any) ([][]driver.Value, error) { return nil, nil }}
	status, err := newStore(t, f, sqlstore.MySQL).ScreenCapture(t.Context(), pair)
	require.NoError(t, err)
	require.Equal(t, misc.NoticeOff, status)
}

func TestTheClockIsThatOfTheMachineUnlessConfigured(t *testing.T) {
	f := &fake{
		tables: join(screenStatuses, friendships, groupMembers),
		answer: func([]any) ([][]driver.Value, error) { return nil, nil },
	}
	s, err := sqlstore.New(t.Context(), sql.OpenDB(f), sqlstore.PostgreSQL, sqlstore.Config{Codec: codec(t)})
	require.NoError(t, err)
	before := time.Now()
	require.NoError(t, s.SetScreenCapture(t.Context(), pair, misc.NoticeOn))
	written := f.args[3].(time.Time)
	require.False(t, written.Before(before.Round(0)), "%v", written)
	require.False(t, written.After(time.Now()), "%v", written)
	require.NoError(t, s.Close())
}
