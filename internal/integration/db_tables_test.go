//go:build unix

package integration_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// rows returns the settings as text, but for their ids.
func (d *database) rows(t testing.TB) [][]string {
	t.Helper()
	times := `"createdAt", "updatedAt"`
	switch d.dialect {
	case sqlstore.MySQL:
		times = `CAST("createdAt" AS char), CAST("updatedAt" AS char)`
	case sqlstore.PostgreSQL:
		times = `("createdAt" AT TIME ZONE 'UTC')::text, ("updatedAt" AT TIME ZONE 'UTC')::text`
	}
	rows, err := d.db.Query(d.sql(`SELECT "operateId", "conversationType", "status", ` + times + ` FROM "screen_statuses" ORDER BY "operateId"`))
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
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		now := time.Date(2026, 12, 31, 20, 30, 40, 987654000, time.FixedZone("", -5*60*60))
		s, err := sqlstore.New(t.Context(), d.db, d.dialect, sqlstore.Config{
			Codec: codec(t),
			Now:   func() time.Time { return now },
		})
		require.NoError(t, err)
		defer s.Close()
		set := func(c misc.Conversation, status misc.NoticeStatus) {
			t.Helper()
			require.NoError(t, s.SetScreenCapture(t.Context(), c, status))
		}
		set(pair(10, 2), misc.NoticeOn)
		set(group(7), misc.NoticeOff)
		set(pair(4294967295, 4294967294), misc.NoticeOff)
		first, second := "2027-01-01 09:30:40", "2027-01-01 10:30:40"
		switch d.dialect {
		case sqlstore.PostgreSQL:
			first, second = "2027-01-01 01:30:40.987654", "2027-01-01 02:30:40.987654"
		case sqlstore.SQLite:
			first, second = "2027-01-01 01:30:40", "2027-01-01 02:30:40"
		}
		require.Equal(t, [][]string{
			{"2_10", "1", "1", first, first},
			{"4294967294_4294967295", "1", "0", first, first},
			{"7", "3", "0", first, first},
		}, d.rows(t))

		now = now.Add(time.Hour)
		set(pair(2, 10), misc.NoticeOff)
		set(group(7), misc.NoticeOn)
		require.Equal(t, [][]string{
			{"2_10", "1", "0", first, second},
			{"4294967294_4294967295", "1", "0", first, first},
			{"7", "3", "1", first, second},
		}, d.rows(t))
	})
}

func TestSettingsThatSealTalksServersWroteAreRead(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		for _, row := range []struct {
			operateID    string
			kind, status int
		}{{"7_10", 1, 1}, {"8", 3, 1}, {"2_10", 1, 0}} {
			d.exec(t, `INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt")
				VALUES (?, ?, ?, ?, ?)`, row.operateID, row.kind, row.status, someTime, someTime)
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
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		for i, status := range []int{10, 11, 20, 30, 31, 0, 21} {
			friend := uint32(100 + i)
			d.addFriend(t, 1, friend, status)
			got, err := s.AreFriends(t.Context(), misctest.ID(1), misctest.ID(friend))
			require.NoError(t, err)
			require.Equal(t, status == 20, got, "status %d", status)
			got, err = s.AreFriends(t.Context(), misctest.ID(friend), misctest.ID(1))
			require.NoError(t, err)
			require.False(t, got, "status %d, which the other has not", status)
		}
		d.addFriend(t, 4294967295, 4294967294, 20)
		got, err := s.AreFriends(t.Context(), misctest.ID(4294967295), misctest.ID(4294967294))
		require.NoError(t, err)
		require.True(t, got, "the highest ids")
	})
}

func TestAMemberThatLeftIsNoMember(t *testing.T) {
	k := kinds()[3]
	require.True(t, k.isDeleted)
	d := newDatabase(t, k)
	s := d.store(t, nil)
	d.addMember(t, 1, 11, 0)
	d.addMember(t, 1, 12, 1)
	d.addMember(t, 1, 13, 1) // left, and came back
	d.addMember(t, 1, 13, 0)
	for user, want := range map[uint32]bool{11: true, 12: false, 13: true, 14: false} {
		got, err := s.IsGroupMember(t.Context(), misctest.ID(1), misctest.ID(user))
		require.NoError(t, err)
		require.Equal(t, want, got, "user %d", user)
	}
}

func TestAMemberThatLeftIsNoMemberWhereIsDeletedIsABoolean(t *testing.T) {
	for _, k := range plain()[:2] {
		for _, columnType := range []string{"boolean", "smallint"} {
			t.Run(k.name+" "+columnType, func(t *testing.T) {
				d := newDatabase(t, k)
				value := map[string]string{"boolean": "false", "smallint": "0"}[columnType]
				d.exec(t, `ALTER TABLE "group_members" ADD COLUMN "isDeleted" `+columnType+` NOT NULL DEFAULT `+value)
				s := d.store(t, nil)
				d.addMember(t, 1, 11, 0)
				d.addMember(t, 1, 12, 0)
				value = map[string]string{"boolean": "true", "smallint": "1"}[columnType]
				d.exec(t, `UPDATE "group_members" SET "isDeleted" = `+value+` WHERE "memberId" = 12`)
				for user, want := range map[uint32]bool{11: true, 12: false} {
					got, err := s.IsGroupMember(t.Context(), misctest.ID(1), misctest.ID(user))
					require.NoError(t, err)
					require.Equal(t, want, got, "user %d", user)
				}
			})
		}
	}
}

func TestNewNamesEveryMissingTableAndColumn(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		for _, step := range []struct {
			damage, want string
		}{
			{`ALTER TABLE "friendships" RENAME COLUMN "status" TO "state"`,
				"sqlstore: table friendships has no column status"},
			{`ALTER TABLE "screen_statuses" RENAME COLUMN "updatedAt" TO "changed"`,
				"sqlstore: table screen_statuses has no column updatedAt\nsqlstore: table friendships has no column status"},
			{`DROP TABLE "group_members"`,
				"sqlstore: table screen_statuses has no column updatedAt\nsqlstore: table friendships has no column status\n" +
					"sqlstore: table group_members is missing, or not visible to this user of the database"},
		} {
			d.exec(t, step.damage)
			_, err := sqlstore.New(t.Context(), d.db, d.dialect, sqlstore.Config{Codec: codec(t)})
			require.EqualError(t, err, step.want)
		}
	})
}

// Without the key MySQL would insert another row at each set.
func TestNewRefusesATableWithoutAUniqueOperateID(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		d.exec(t, `DROP TABLE "screen_statuses"`)
		d.exec(t, `CREATE TABLE "screen_statuses" ("operateId" char(40), "conversationType" int, "status" int,
			"createdAt" char(40), "updatedAt" char(40), UNIQUE ("operateId", "conversationType"))`)
		_, err := sqlstore.New(t.Context(), d.db, d.dialect, sqlstore.Config{Codec: codec(t)})
		if d.dialect == sqlstore.SQLite {
			require.ErrorContains(t, err, "sqlstore: prepare: ")
			require.ErrorContains(t, err, "ON CONFLICT")
		} else {
			require.EqualError(t, err, "sqlstore: table screen_statuses has no unique key on operateId alone")
		}
	})
}

func TestMigrateRunsManyTimesAtOnceAndAgain(t *testing.T) {
	eachKind(t, plain(), func(t *testing.T, k *database) {
		for range 5 {
			d := emptyDatabase(t, k.kind)
			other := d.pool(t)
			require.NoError(t, other.PingContext(t.Context()))
			var done sync.WaitGroup
			for i := range 8 {
				done.Go(func() {
					db := d.db
					if i%2 == 1 {
						db = other
					}
					assert.NoError(t, sqlstore.Migrate(t.Context(), db, d.dialect))
				})
			}
			done.Wait()
			require.NoError(t, sqlstore.Migrate(t.Context(), d.db, d.dialect))
			s := d.store(t, other)
			require.NoError(t, s.SetScreenCapture(t.Context(), group(1), misc.NoticeOn))
			require.NoError(t, sqlstore.Migrate(t.Context(), d.db, d.dialect))
			require.Len(t, d.rows(t), 1)
		}
	})
}

func TestMigrateLeavesTheTablesOfSealTalkAlone(t *testing.T) {
	for _, k := range kinds()[3:] {
		t.Run(k.name, func(t *testing.T) {
			d := newDatabase(t, k)
			d.addFriend(t, 1, 2, 20)
			d.exec(t, `DROP TABLE screen_statuses`) // as in a deployment that never had it
			before := d.definitions(t, "friendships", "group_members")
			require.NoError(t, sqlstore.Migrate(t.Context(), d.db, d.dialect))
			require.Equal(t, before, d.definitions(t, "friendships", "group_members"))
			require.Equal(t, 1, d.count(t, `SELECT COUNT(*) FROM friendships`))
			require.Contains(t, d.definitions(t, "screen_statuses")[0], "utf8mb4")
			require.NoError(t, d.store(t, nil).SetScreenCapture(t.Context(), group(1), misc.NoticeOn))
		})
	}
}

func (d *database) definitions(t *testing.T, tables ...string) []string {
	t.Helper()
	all := make([]string, len(tables))
	for i, table := range tables {
		require.NoError(t, d.db.QueryRow("SHOW CREATE TABLE "+table).Scan(new(string), &all[i]))
	}
	return all
}

// The rights that the package's documentation asks for are enough.
func TestAUserWithFewRightsCanDoAll(t *testing.T) {
	d := newDatabase(t, kinds()[3])
	d.exec(t, `CREATE USER few@localhost IDENTIFIED BY ''`)
	d.exec(t, `CREATE USER few@'127.0.0.1' IDENTIFIED BY ''`)
	t.Cleanup(func() { d.exec(t, `DROP USER few@localhost, few@'127.0.0.1'`) })
	for _, user := range []string{"few@localhost", "few@'127.0.0.1'"} {
		for _, grant := range []string{"SELECT, INSERT, UPDATE ON screen_statuses", "SELECT ON friendships", "SELECT ON group_members"} {
			d.exec(t, "GRANT "+strings.Replace(grant, " ON ", " ON "+d.name+".", 1)+" TO "+user)
		}
	}
	db := openMariaDBAs("few", d.server.port, d.name, direct)
	defer db.Close()
	require.NoError(t, sqlstore.Migrate(t.Context(), db, d.dialect))
	s := d.store(t, db)
	require.NoError(t, s.SetScreenCapture(t.Context(), group(1), misc.NoticeOn))
	require.NoError(t, s.SetScreenCapture(t.Context(), group(1), misc.NoticeOff))
	_, err := s.AreFriends(t.Context(), misctest.ID(1), misctest.ID(2))
	require.NoError(t, err)
	_, err = s.IsGroupMember(t.Context(), misctest.ID(1), misctest.ID(2))
	require.NoError(t, err)
}

// counted counts what a driver sends: each write starts a round trip.
type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestEachQuestionIsOneRoundTrip(t *testing.T) {
	eachKind(t, slices.DeleteFunc(kinds(), func(k kind) bool { return k.server == nil }), func(t *testing.T, d *database) {
		var writes atomic.Int64
		db := d.server.open(d.server.port, d.name, func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := direct(ctx, network, address)
			return counted{conn, &writes}, err
		})
		defer db.Close()
		db.SetMaxOpenConns(1)
		s := d.store(t, db)
		for name, ask := range map[string]func() error{
			"set": func() error { return s.SetScreenCapture(t.Context(), group(1), misc.NoticeOn) },
			"get": func() error {
				_, err := s.ScreenCapture(t.Context(), group(1))
				return err
			},
			"friends": func() error {
				_, err := s.AreFriends(t.Context(), misctest.ID(1), misctest.ID(2))
				return err
			},
			"member": func() error {
				_, err := s.IsGroupMember(t.Context(), misctest.ID(1), misctest.ID(2))
				return err
			},
			"friends and get": func() error {
				_, _, err := s.RelatedScreenCapture(t.Context(), misctest.ID(1), pair(1, 2))
				return err
			},
			"member and get": func() error {
				_, _, err := s.RelatedScreenCapture(t.Context(), misctest.ID(1), group(3))
				return err
			},
		} {
			before := writes.Load()
			require.NoError(t, ask())
			require.EqualValues(t, 1, writes.Load()-before, name)
		}
	})
}
