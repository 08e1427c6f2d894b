package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
)

// The module internal/integration tests the statements themselves on real
// databases. The tests here use a scripted database, which shows what reaches it
// and what each failure causes.

// fake is a database whose answer to a statement depends on the arguments.
type fake struct {
	tables  [][]driver.Value // the rows of the catalogue
	answer  func(args []driver.Value) ([][]driver.Value, error)
	prepare error // the error of preparing the last statement
	rowsErr error // returned after the rows of the catalogue
	ddl     func(f *fake, statement string) error

	calls  []string       // the statements that ran, except the catalogue's
	args   []driver.Value // of the last one
	closed int            // how many statements were closed
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
	*fake
	text string
}

func (s *stmt) NumInput() int { return -1 }

func (s *stmt) Close() error {
	s.closed++
	return nil
}

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	if len(args) == 0 {
		s.calls = append(s.calls, s.text)
		return driver.RowsAffected(0), s.ddl(s.fake, s.text)
	}
	_, err := s.run(args)
	return driver.RowsAffected(1), err
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	if strings.Contains(s.text, "'SELECT") { // the catalogue
		return &rows{s.tables, 5, s.rowsErr}, nil
	}
	answer, err := s.run(args)
	columns := 1 + strings.Count(s.text, "), (") + strings.Count(s.text, ", login_time")
	return &rows{answer, columns, nil}, err
}

func (s *stmt) run(args []driver.Value) ([][]driver.Value, error) {
	s.calls, s.args = append(s.calls, s.text), args
	if s.answer == nil {
		return nil, nil
	}
	return s.answer(args)
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

// table returns the rows of the catalogue about a table, with all privileges on it.
func table(name string, columns ...string) (rows [][]driver.Value) {
	for _, column := range columns {
		rows = append(rows, []driver.Value{name, column, true, "SELECT, INSERT, UPDATE", ""})
	}
	return rows
}

var (
	screenStatuses = table("screen_statuses", "id", "operateId", "conversationType", "status", "createdAt", "updatedAt")
	friendships    = table("friendships", "userId", "friendId", "status")
	groupMembers   = table("group_members", "groupId", "memberId")
	allTables      = slices.Concat(screenStatuses, friendships, groupMembers)
)

func config(t testing.TB) sqlstore.Config {
	t.Helper()
	c, err := n3d.New(misctest.Key)
	require.NoError(t, err)
	return sqlstore.Config{Codec: c}
}

func newStore(t testing.TB, f *fake, d sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	if f.tables == nil {
		f.tables = allTables
	}
	db := sql.OpenDB(f)
	s, err := sqlstore.New(t.Context(), db, d, config(t))
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

func TestNewNamesEveryFaultOfItsArgumentsAndOfTheTables(t *testing.T) {
	_, err := sqlstore.New(t.Context(), nil, "oracle", sqlstore.Config{})
	require.EqualError(t, err, `sqlstore: dialect "oracle" is unknown: use mysql, postgres or sqlite`+"\n"+
		"sqlstore: db is required\nsqlstore: Config.Codec is required")
	require.ErrorContains(t, sqlstore.Migrate(t.Context(), sql.OpenDB(&fake{}), "oracle"), "oracle")

	const unseen, denied = " that this user of the database can see", ": this user of the database has no privilege to "
	for _, tt := range []struct {
		tables [][]driver.Value
		want   []string
	}{
		{nil, []string{
			"table screen_statuses is missing, or not visible to this user of the database",
			"table friendships is missing, or not visible to this user of the database",
			"table group_members is missing, or not visible to this user of the database",
		}},
		{slices.Concat(screenStatuses[:5], friendships[:1], groupMembers[1:]), []string{
			"table screen_statuses has no column updatedAt" + unseen, "table friendships has no column friendId" + unseen,
			"table friendships has no column status" + unseen, "table group_members has no column groupId" + unseen,
		}},
		{slices.Concat([][]driver.Value{{"screen_statuses", "operateId", false, "SELECT, INSERT", ""}}, screenStatuses[2:], friendships, groupMembers), []string{
			"screen_statuses must be a table, not a view, with a unique key on operateId alone, " +
				"in full and not deferrable, and with no other unique key that two conversations could share",
		}},
		{slices.Concat(screenStatuses[:3], [][]driver.Value{{"screen_statuses", "status", false, "INSERT", ""}}, screenStatuses[4:], friendships,
			groupMembers, [][]driver.Value{{"group_members", "isDeleted", false, "", ""}}), []string{
			"table screen_statuses" + denied + "SELECT status", "table screen_statuses" + denied + "UPDATE status",
			"table group_members" + denied + "SELECT isDeleted",
		}},
		{slices.Concat([][]driver.Value{{"screen_statuses", "operateId", true, "SELECT, INSERT", "a fault"}, {"screen_statuses", "status", true, "SELECT, INSERT, UPDATE", "another"}},
			screenStatuses[2:3], screenStatuses[4:], [][]driver.Value{{"friendships", "userId", false, "SELECT", "another"}}, friendships[1:], groupMembers), []string{
			"a fault", "another",
		}},
	} {
		_, err := sqlstore.New(t.Context(), sql.OpenDB(&fake{tables: tt.tables}), sqlstore.PostgreSQL, config(t))
		require.EqualError(t, err, "sqlstore: "+strings.Join(tt.want, "\nsqlstore: "))
	}
}

func TestFailuresOfTheDatabaseAreWrappedAndNotTakenForMissingTables(t *testing.T) {
	broken := errors.New("broken")
	for _, f := range []*fake{{rowsErr: broken}, {tables: allTables, prepare: broken}} {
		_, err := sqlstore.New(t.Context(), sql.OpenDB(f), sqlstore.MySQL, config(t))
		require.ErrorIs(t, err, broken)
		require.NotContains(t, err.Error(), "missing")
		require.NotContains(t, err.Error(), "SELECT")
		if f.prepare != nil {
			require.Equal(t, 5, f.closed, "the catalogue's and the other four")
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sqlstore.New(cancelled, sql.OpenDB(&fake{}), sqlstore.MySQL, config(t))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, sqlstore.Migrate(cancelled, sql.OpenDB(&fake{}), sqlstore.MySQL), context.Canceled)
	bad := &fake{tables: [][]driver.Value{{"friendships", "userId", "perhaps", "", ""}}}
	_, err = sqlstore.New(t.Context(), sql.OpenDB(bad), sqlstore.MySQL, config(t))
	require.ErrorContains(t, err, "sqlstore: look for the tables: ")
}

func TestASetSendsNumbersAsNumbersAndTheKeyAsAString(t *testing.T) {
	at := time.Date(2026, 1, 2, 20, 4, 5, 600700800, time.UTC)
	for _, tt := range []struct {
		dialect sqlstore.Dialect
		c       misc.Conversation
		status  misc.NoticeStatus
		want    []driver.Value
	}{
		{sqlstore.MySQL, pair, misc.NoticeOn, []driver.Value{"2_10", int64(1), int64(1), "2026-01-03 04:04:05", "2026-01-03 04:04:05", int64(1), "2026-01-03 04:04:05"}},
		{sqlstore.PostgreSQL, misc.GroupConversation(id(7)), misc.NoticeOff, []driver.Value{"7", int64(3), int64(0), at, at, int64(0), at}},
		{sqlstore.SQLite, misc.PrivateConversation(id(3), id(3)), misc.NoticeOn,
			[]driver.Value{"3_3", int64(1), int64(1), "2026-01-02 20:04:05", "2026-01-02 20:04:05", int64(1), "2026-01-02 20:04:05"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(at))
			f := &fake{}
			require.NoError(t, newStore(t, f, tt.dialect).SetScreenCapture(t.Context(), tt.c, tt.status))
			require.Equal(t, tt.want, f.args)
			require.Len(t, f.calls, 1)
		})
	}
}

func TestAQuestionSendsNumbers(t *testing.T) {
	f := &fake{tables: slices.Concat(allTables, table("group_members", "isDeleted"))}
	s := newStore(t, f, sqlstore.MySQL)
	for _, tt := range []struct {
		ask  func() (yes bool, status misc.NoticeStatus, err error)
		want []driver.Value
	}{
		{func() (yes bool, _ misc.NoticeStatus, err error) {
			yes, err = s.AreFriends(t.Context(), id(10), id(2))
			return yes, misc.NoticeOn, err
		}, []driver.Value{int64(10), int64(2)}},
		{func() (yes bool, _ misc.NoticeStatus, err error) {
			yes, err = s.IsGroupMember(t.Context(), id(2), id(4294967295))
			return yes, misc.NoticeOn, err
		}, []driver.Value{int64(4294967295), int64(2)}},
		{func() (_ bool, status misc.NoticeStatus, err error) {
			status, err = s.ScreenCapture(t.Context(), pair)
			return status == misc.NoticeOn, status, err
		}, []driver.Value{"2_10"}},
		{func() (bool, misc.NoticeStatus, error) { return s.Access(t.Context(), id(10), pair) },
			[]driver.Value{int64(10), int64(2), "2_10"}},
		{func() (bool, misc.NoticeStatus, error) { return s.Access(t.Context(), id(2), pair) },
			[]driver.Value{int64(2), int64(10), "2_10"}},
		{func() (bool, misc.NoticeStatus, error) {
			return s.Access(t.Context(), id(2), misc.GroupConversation(id(7)))
		}, []driver.Value{int64(7), int64(2), "7"}},
	} {
		f.answer = func([]driver.Value) ([][]driver.Value, error) { return [][]driver.Value{{int64(1), int64(1)}}, nil }
		yes, status, err := tt.ask()
		require.NoError(t, err)
		require.True(t, yes)
		require.Equal(t, misc.NoticeOn, status)
		require.Equal(t, tt.want, f.args)
		last := f.calls[len(f.calls)-1]
		require.Equal(t, strings.Contains(last, "group_members"), strings.Contains(last, "isDeleted = 0"))

		broken := errors.New("broken")
		f.answer = func([]driver.Value) ([][]driver.Value, error) { return nil, broken }
		_, _, err = tt.ask()
		require.ErrorIs(t, err, broken)
	}
	f.answer = nil
	status, err := s.ScreenCapture(t.Context(), pair)
	require.NoError(t, err)
	require.Equal(t, misc.NoticeOff, status, "a setting without a row")
}

func TestAnInvalidIDDoesNotReachTheDatabase(t *testing.T) {
	f := &fake{}
	s := newStore(t, f, sqlstore.MySQL)
	for name, ask := range map[string]func() error{
		"sqlstore: userID: ":  func() error { _, err := s.AreFriends(t.Context(), "no id", id(1)); return err },
		"sqlstore: otherID: ": func() error { _, err := s.AreFriends(t.Context(), id(1), ""); return err },
		"sqlstore: groupID: ": func() error { _, err := s.IsGroupMember(t.Context(), id(1), "7"); return err },
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
			_, _, err := s.Access(t.Context(), id(1), misc.GroupConversation("kFpN4KiZnn"))
			return err
		},
		"sqlstore: userID": func() error {
			_, _, err := s.Access(t.Context(), "no id", misc.GroupConversation(id(1)))
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
	}
	for _, ask := range []func() error{
		func() error { _, err := s.AreFriends(t.Context(), "user", "a target"); return err },
		func() error { _, err := s.IsGroupMember(t.Context(), "user", "a target"); return err },
		func() error {
			_, _, err := s.Access(t.Context(), "user", misc.GroupConversation("a target"))
			return err
		},
		func() error {
			_, _, err := s.Access(t.Context(), "user", misc.PrivateConversation("user", "a target"))
			return err
		},
	} {
		var wrong *misc.IDError
		require.ErrorAs(t, ask(), &wrong)
		require.Equal(t, "user", wrong.ID, "with a wrong key every id is invalid, and that is not the client's fault")
	}
	for _, status := range []misc.NoticeStatus{-1, 2} {
		require.ErrorIs(t, s.SetScreenCapture(t.Context(), pair, status), misc.ErrInvalidNoticeStatus)
	}
	require.Empty(t, f.calls)
}

type state string

func (s state) Error() string    { return "undone" }
func (s state) SQLState() string { return string(s) }

var errDeadlock = errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction")

func TestASetIsRepeatedAFewTimesAfterAConflict(t *testing.T) {
	for _, tt := range []struct {
		err      error
		failures int
		want     int // the number of attempts
	}{
		{errDeadlock, 1, 2},
		{errDeadlock, 8, 9},
		{errDeadlock, 1000, 9},
		{state("40001"), 3, 4},
		{state("40P01"), 3, 4},
		{state("57P01"), 3, 4},
		{state("57P05"), 3, 4},
		{errors.New("Error 1020 (HY000): Record has changed since last read in table 'screen_statuses'"), 3, 4},
		{state("23505"), 3, 1},
		{errors.New("broken"), 3, 1},
		{errors.New("Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction"), 3, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			f.answer = func([]driver.Value) ([][]driver.Value, error) {
				if len(f.calls) <= tt.failures {
					return nil, tt.err
				}
				return nil, nil
			}
			s, start := newStore(t, f, sqlstore.MySQL), time.Now()
			err := s.SetScreenCapture(t.Context(), pair, misc.NoticeOn)
			if tt.want > tt.failures {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, tt.err)
			}
			assert.Len(t, f.calls, tt.want, "%v", tt.err)
			least := time.Duration(1<<(tt.want-1)-1) * time.Millisecond
			assert.GreaterOrEqual(t, time.Since(start), least)
			assert.LessOrEqual(t, time.Since(start), 2*least)
		})
	}
}

func TestThePausesBetweenRepetitionsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func([]driver.Value) ([][]driver.Value, error) { return nil, errDeadlock }}
		s, start := newStore(t, f, sqlstore.MySQL), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.SetScreenCapture(ctx, pair, misc.NoticeOn), context.DeadlineExceeded)
		require.Equal(t, 20*time.Millisecond, time.Since(start))
		require.Greater(t, len(f.calls), 1)
	})
}

func TestCheckSaysWhyTheDatabaseTakesNoWritesOrDoesNotAnswer(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		answer [][]driver.Value
		err    error
		want   string
	}{
		{answer: [][]driver.Value{{""}}},
		{answer: nil}, // SQLite
		{answer: [][]driver.Value{{"it is a standby"}}, want: "sqlstore: check: the database takes no writes: it is a standby"},
		{err: broken, want: "sqlstore: check: broken"},
	} {
		f := &fake{answer: func([]driver.Value) ([][]driver.Value, error) { return tt.answer, tt.err }}
		s := newStore(t, f, sqlstore.PostgreSQL)
		err := s.Check(t.Context())
		if tt.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, tt.want)
			require.Equal(t, tt.err != nil, errors.Is(err, broken))
		}
		require.Len(t, f.calls, 1)
	}
}

// Otherwise the busy connections of SQLite would keep reads waiting.
func TestSetsWaitForEachOtherOnSQLiteOnly(t *testing.T) {
	for dialect, atOnce := range map[sqlstore.Dialect]int{sqlstore.MySQL: 2, sqlstore.PostgreSQL: 2, sqlstore.SQLite: 1} {
		synctest.Test(t, func(t *testing.T) {
			proceed := make(chan struct{})
			f := &fake{answer: func([]driver.Value) ([][]driver.Value, error) {
				<-proceed
				return nil, nil
			}}
			s := newStore(t, f, dialect)
			done := make(chan error, 2)
			for range 2 {
				go func() { done <- s.SetScreenCapture(t.Context(), pair, misc.NoticeOn) }()
				synctest.Wait()
			}
			require.Len(t, f.calls, atOnce)
			if dialect == sqlstore.SQLite {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.ErrorIs(t, s.SetScreenCapture(ctx, pair, misc.NoticeOn), context.DeadlineExceeded)
				require.ErrorIs(t, s.Check(ctx), context.DeadlineExceeded)
			}
			close(proceed)
			require.NoError(t, errors.Join(<-done, <-done))
			require.Len(t, f.calls, 2)
		})
	}
}

func TestCloseClosesEveryStatement(t *testing.T) {
	f := &fake{tables: allTables}
	s, err := sqlstore.New(t.Context(), sql.OpenDB(f), sqlstore.SQLite, config(t))
	require.NoError(t, err)
	before := f.closed
	require.NoError(t, s.Close())
	require.Equal(t, before+7, f.closed)
}

func TestMigrateMakesWhatIsMissingAndNothingElse(t *testing.T) {
	for _, d := range []sqlstore.Dialect{sqlstore.MySQL, sqlstore.PostgreSQL, sqlstore.SQLite} {
		file, err := os.ReadFile(string(d) + ".sql")
		require.NoError(t, err)
		schema := strings.Split(string(file), ";\n")
		f := &fake{tables: friendships, ddl: func(*fake, string) error { return nil }}
		require.NoError(t, sqlstore.Migrate(t.Context(), sql.OpenDB(f), d))
		require.Equal(t, []string{strings.TrimSpace(schema[0]), strings.TrimSpace(schema[2])}, f.calls)
	}
}

func TestMigrateForgivesTheFailureWhenAnotherInstanceMadeTheTable(t *testing.T) {
	broken := errors.New("broken")
	f := &fake{tables: slices.Concat(friendships, groupMembers), ddl: func(f *fake, _ string) error {
		f.tables = append(f.tables, screenStatuses...)
		return broken
	}}
	require.NoError(t, sqlstore.Migrate(t.Context(), sql.OpenDB(f), sqlstore.PostgreSQL))

	for _, gone := range []error{nil, errors.New("gone")} {
		f = &fake{ddl: func(f *fake, _ string) error {
			f.rowsErr = gone
			return broken
		}}
		err := sqlstore.Migrate(t.Context(), sql.OpenDB(f), sqlstore.PostgreSQL)
		require.ErrorIs(t, err, broken)
		require.EqualError(t, err, "sqlstore: migrate: table screen_statuses: broken")
	}
}
