//go:build unix

package db_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// rows returns every setting as text: operateId, type, status and both times.
func (d *database) rows(t testing.TB) [][]string {
	t.Helper()
	times := `"createdAt", "updatedAt"`
	switch d.Dialect {
	case sqlstore.MySQL:
		times = `CAST("createdAt" AS char), CAST("updatedAt" AS char)`
	case sqlstore.PostgreSQL:
		times = `("createdAt" AT TIME ZONE 'UTC')::text, ("updatedAt" AT TIME ZONE 'UTC')::text`
	}
	rows, err := d.DB.Query(d.SQL(`SELECT "operateId", "conversationType", "status", ` + times + ` FROM "screen_statuses" ORDER BY "operateId"`))
	require.NoError(t, err)
	defer rows.Close()
	var all [][]string
	for rows.Next() {
		row := make([]string, 5)
		require.NoError(t, rows.Scan(&row[0], &row[1], &row[2], &row[3], &row[4]))
		all = append(all, row)
	}
	require.NoError(t, rows.Err())
	return all
}

func TestTheRowOfASettingIsTheOneThatSealTalksServersWrite(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		start := time.Now().Truncate(time.Second)
		wantNow := func(text string) {
			t.Helper()
			zone := time.UTC
			if d.Dialect == sqlstore.MySQL {
				zone = time.FixedZone("", 8*60*60)
			}
			at, err := time.ParseInLocation(time.DateTime, text, zone)
			require.NoError(t, err)
			require.WithinRange(t, at, start, time.Now())
		}
		settings := []misc.Conversation{pair(10, 2), pair(4294967295, 4294967294), group(7)}
		for i, c := range settings {
			require.NoError(t, s.SetScreenCapture(t.Context(), c, misc.NoticeStatus(i%2)))
		}
		rows := d.rows(t)
		for i, want := range [][]string{{"2_10", "1", "0"}, {"4294967294_4294967295", "1", "1"}, {"7", "3", "0"}} {
			require.Equal(t, want, rows[i][:3])
			require.Equal(t, rows[i][3], rows[i][4])
			wantNow(rows[i][3])
		}

		d.Exec(t, `UPDATE "screen_statuses" SET "createdAt" = ?, "updatedAt" = ?`, servers.SomeTime, servers.SomeTime)
		old := d.rows(t)
		for i, c := range []misc.Conversation{pair(2, 10), group(7)} {
			require.NoError(t, s.SetScreenCapture(t.Context(), c, misc.NoticeStatus(1-i)))
		}
		rows = d.rows(t)
		require.Equal(t, []string{"2_10", "1", "1", old[0][3]}, rows[0][:4])
		require.Equal(t, old[1], rows[1])
		require.Equal(t, []string{"7", "3", "0", old[2][3]}, rows[2][:4])
		wantNow(rows[0][4])
		wantNow(rows[2][4])
	})
}

func TestSettingsThatSealTalksServersWroteAreRead(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		for _, row := range []struct {
			operateID    string
			kind, status int
		}{{"7_10", 1, 1}, {"8", 3, 1}, {"2_10", 1, 0}} {
			d.Exec(t, `INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt")
				VALUES (?, ?, ?, ?, ?)`, row.operateID, row.kind, row.status, servers.SomeTime, servers.SomeTime)
		}
		wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{
			pair(10, 7): misc.NoticeOn,
			group(7):    misc.NoticeOff, // a database that compares numbers reads '7_10' as 7
			group(8):    misc.NoticeOn,
			pair(8, 10): misc.NoticeOff,
			pair(2, 10): misc.NoticeOff,
		})
		require.NoError(t, s.SetScreenCapture(t.Context(), pair(2, 10), misc.NoticeOn))
		require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
		wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{
			pair(2, 10): misc.NoticeOn,
			pair(7, 10): misc.NoticeOn,
		})
		require.Equal(t, 4, d.count(t, `SELECT COUNT(*) FROM "screen_statuses"`))
	})
}

func TestOnlyFriendshipsOfStatus20AreFriends(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		for i, status := range []int{10, 11, 20, 30, 31, 0, 21} {
			friend := uint32(100 + i)
			d.AddFriend(t, 1, friend, status)
			got, err := s.AreFriends(t.Context(), misctest.ID(1), misctest.ID(friend))
			require.NoError(t, err)
			require.Equal(t, status == 20, got, "status %d", status)
			got, err = s.AreFriends(t.Context(), misctest.ID(friend), misctest.ID(1))
			require.NoError(t, err)
			require.False(t, got, "status %d, which the other has not", status)
		}
		d.AddFriend(t, 4294967295, 4294967294, 20)
		got, err := s.AreFriends(t.Context(), misctest.ID(4294967295), misctest.ID(4294967294))
		require.NoError(t, err)
		require.True(t, got, "the highest ids")
	})
}

func TestAMemberThatLeftIsNoMember(t *testing.T) {
	for _, tt := range []struct {
		servers.Kind
		column    string // if not empty, isDeleted is added to group_members with this type
		yes, stay string
	}{
		{servers.Kinds()[0], "boolean", "true", "false"},
		{servers.Kinds()[0], "smallint", "1", "0"},
		{servers.Kinds()[1], "boolean", "true", "false"},
		{servers.Kinds()[1], "smallint", "1", "0"},
		{servers.Kinds()[3], "", "1", "0"}, // Node.js, where a member may leave and come back
	} {
		t.Run(tt.Name+" "+tt.column, func(t *testing.T) {
			d := newDatabase(t, tt.Kind)
			if tt.column != "" {
				d.Exec(t, `ALTER TABLE "group_members" ADD COLUMN "isDeleted" `+tt.column+` NOT NULL DEFAULT `+tt.stay)
			}
			s := d.Store(t, nil)
			want := map[uint32]bool{11: true, 12: false, 14: false}
			d.AddMember(t, 1, 11)
			d.AddMember(t, 1, 12)
			d.Exec(t, `UPDATE "group_members" SET "isDeleted" = `+tt.yes+` WHERE "memberId" = 12`)
			if d.IsDeleted {
				want[13] = true
				d.AddMember(t, 1, 13)
				d.Exec(t, `UPDATE group_members SET isDeleted = 1 WHERE memberId = 13`)
				d.AddMember(t, 1, 13)
			}
			for user, want := range want {
				got, err := s.IsGroupMember(t.Context(), misctest.ID(user), misctest.ID(1))
				require.NoError(t, err)
				require.Equal(t, want, got, "user %d", user)
				got, _, err = s.Access(t.Context(), misctest.ID(user), group(1))
				require.NoError(t, err)
				require.Equal(t, want, got, "user %d, with the setting", user)
			}
		})
	}
}

func TestMigrateRunsManyTimesAtOnceAndAgain(t *testing.T) {
	eachKind(t, servers.Plain(), func(t *testing.T, k *database) {
		for range 5 {
			d := &database{servers.EmptyDatabase(t, k.Kind)}
			other := d.Pool(t)
			require.NoError(t, other.PingContext(t.Context()))
			var done sync.WaitGroup
			for i := range 8 {
				done.Go(func() {
					db := d.DB
					if i%2 == 1 {
						db = other
					}
					assert.NoError(t, sqlstore.Migrate(t.Context(), db, d.Dialect))
				})
			}
			done.Wait()
			require.NoError(t, sqlstore.Migrate(t.Context(), d.DB, d.Dialect))
			s := d.Store(t, other)
			require.NoError(t, s.SetScreenCapture(t.Context(), group(1), misc.NoticeOn))
			require.NoError(t, sqlstore.Migrate(t.Context(), d.DB, d.Dialect))
			require.Len(t, d.rows(t), 1)
		}
	})
}

func TestMigrateLeavesTheTablesOfSealTalkAlone(t *testing.T) {
	for _, k := range servers.Kinds()[3:] {
		t.Run(k.Name, func(t *testing.T) {
			d := newDatabase(t, k)
			d.AddFriend(t, 1, 2, 20)
			d.Exec(t, `DROP TABLE screen_statuses`) // as in a deployment that never had it
			before := d.definitions(t, "friendships", "group_members")
			require.NoError(t, sqlstore.Migrate(t.Context(), d.DB, d.Dialect))
			require.Equal(t, before, d.definitions(t, "friendships", "group_members"))
			require.Equal(t, 1, d.count(t, `SELECT COUNT(*) FROM friendships`))
			require.Contains(t, d.definitions(t, "screen_statuses")[0], "utf8mb4")
			require.NoError(t, d.Store(t, nil).SetScreenCapture(t.Context(), group(1), misc.NoticeOn))
		})
	}
}

func (d *database) definitions(t *testing.T, tables ...string) []string {
	t.Helper()
	all := make([]string, len(tables))
	for i, table := range tables {
		require.NoError(t, d.DB.QueryRow("SHOW CREATE TABLE "+table).Scan(new(string), &all[i]))
	}
	return all
}

// counted counts the writes of a driver, each of which starts a round trip.
type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// calls returns one call of each kind, made for a user.
func calls(s *sqlstore.Store, user uint32) map[string]func(context.Context) error {
	id := misctest.ID
	return map[string]func(context.Context) error{
		"set":               func(ctx context.Context) error { return s.SetScreenCapture(ctx, group(3), misc.NoticeOn) },
		"get":               func(ctx context.Context) error { _, err := s.ScreenCapture(ctx, group(3)); return err },
		"friends":           func(ctx context.Context) error { _, err := s.AreFriends(ctx, id(user), id(2)); return err },
		"member":            func(ctx context.Context) error { _, err := s.IsGroupMember(ctx, id(user), id(3)); return err },
		"check":             s.Check,
		"access to a pair":  func(ctx context.Context) error { _, _, err := s.Access(ctx, id(user), pair(user, 2)); return err },
		"access to a group": func(ctx context.Context) error { _, _, err := s.Access(ctx, id(user), group(3)); return err },
	}
}

func wantCalls(t *testing.T, s *sqlstore.Store, user uint32) {
	t.Helper()
	for name, call := range calls(s, user) {
		require.NoError(t, call(t.Context()), name)
	}
}

func TestEachQuestionIsOneRoundTrip(t *testing.T) {
	eachKind(t, servers.Kinds()[1:], func(t *testing.T, d *database) {
		var writes atomic.Int64
		db := d.PoolAs(t, d.Server.Admin, func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return counted{conn, &writes}, err
		})
		db.SetMaxOpenConns(1)
		for name, call := range calls(d.Store(t, db), 1) {
			before := writes.Load()
			require.NoError(t, call(t.Context()))
			require.EqualValues(t, 1, writes.Load()-before, name)
		}
	})
}

// SealTalk's ids are unsigned, and PostgreSQL's integer is signed.
func TestIdsAboveAnIntegerAreNoErrorOnPostgreSQLAndStillUseTheIndex(t *testing.T) {
	d := newDatabase(t, servers.Kinds()[1])
	for _, column := range []string{"friendships.userId", "friendships.friendId", "group_members.groupId", "group_members.memberId"} {
		table, column, _ := strings.Cut(column, ".")
		d.Exec(t, `ALTER TABLE `+table+` ALTER "`+column+`" TYPE integer`)
	}
	d.AddFriend(t, 1, 2, 20)
	d.DB.SetMaxOpenConns(1) // each connection has its own prepared statements
	s := d.Store(t, nil)
	wantCalls(t, s, 4294967295)
	yes, err := s.AreFriends(t.Context(), misctest.ID(1), misctest.ID(2))
	require.NoError(t, err)
	require.True(t, yes)

	d.Exec(t, `SET enable_seqscan = off`)
	d.Exec(t, `SET plan_cache_mode = force_generic_plan`)
	plans := 0
	for _, statement := range d.texts(t, `SELECT 'EXECUTE "' || name || '" (' || array_to_string(array_fill('1'::text, ARRAY[cardinality(parameter_types)]), ',') || ')'
		FROM pg_prepared_statements WHERE statement LIKE 'SELECT%' AND parameter_types <> '{}'`) {
		plan := strings.Join(d.texts(t, `EXPLAIN `+statement), "\n")
		require.Contains(t, plan, "Index Cond")
		require.NotContains(t, plan, "Seq Scan")
		require.NotContains(t, plan, "Filter: (\"", "%s", plan)
		plans++
	}
	require.Equal(t, 5, plans)
}

// texts returns the only column of the rows of a query.
func (d *database) texts(t testing.TB, query string) (all []string) {
	t.Helper()
	rows, err := d.DB.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		all = append(all, "")
		require.NoError(t, rows.Scan(&all[len(all)-1]))
	}
	require.NoError(t, rows.Err())
	return all
}

func TestAStoreOutlivesAChangeOfTheColumnsTypes(t *testing.T) {
	eachKind(t, withServer(), func(t *testing.T, d *database) {
		d.DB.SetMaxOpenConns(1)
		s := d.Store(t, nil)
		wantCalls(t, s, 1)
		for _, columnType := range []string{"smallint", "bigint", "integer"} {
			for _, column := range []string{"screen_statuses.status", "screen_statuses.conversationType", "friendships.userId", "friendships.status", "group_members.memberId"} {
				table, column, _ := strings.Cut(column, ".")
				change := `ALTER TABLE ` + table + ` MODIFY "` + column + `" ` + columnType + ` NOT NULL`
				if d.Dialect == sqlstore.PostgreSQL {
					change = `ALTER TABLE ` + table + ` ALTER "` + column + `" TYPE ` + columnType
				}
				d.Exec(t, change)
			}
			wantCalls(t, s, 1)
			wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{group(3): misc.NoticeOn})
		}
	})
}
