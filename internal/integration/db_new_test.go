//go:build unix

package integration_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

const (
	noTable = "is missing, or not visible to this user of the database"
	unseen  = " that this user of the database can see"
	noKey   = "sqlstore: screen_statuses must be a table, not a view, with a unique key on operateId alone, " +
		"in full and not deferrable, and with no other unique key that two conversations could share"
)

// newError returns the error of New for the tables.
func (d *database) newError(t *testing.T) error {
	t.Helper()
	s, err := sqlstore.New(t.Context(), d.db, d.dialect, sqlstore.Config{Codec: codec(t)})
	if err == nil {
		require.NoError(t, s.Close())
	}
	return err
}

func TestNewNamesEveryMissingTableAndColumn(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		want := ""
		for _, step := range []struct{ damage, first, last string }{
			{`ALTER TABLE "friendships" RENAME COLUMN "status" TO "state"`, "", "sqlstore: table friendships has no column status" + unseen},
			{`ALTER TABLE "screen_statuses" RENAME COLUMN "updatedAt" TO "changed"`, "sqlstore: table screen_statuses has no column updatedAt" + unseen + "\n", ""},
			{`DROP TABLE "group_members"`, "", "\nsqlstore: table group_members " + noTable},
		} {
			d.exec(t, step.damage)
			want = step.first + want + step.last
			require.EqualError(t, d.newError(t), want)
		}
	})
}

// With a different key, MySQL would insert a row for each set or change the row of
// another conversation, and PostgreSQL would fail on each set.
func TestNewWantsAUniqueKeyOnOperateIDAlone(t *testing.T) {
	for _, tt := range []struct {
		on         string // dialects
		keys, then string
		good       bool
	}{
		{on: "mysql postgres sqlite", keys: `UNIQUE ("operateId", "conversationType")`},
		{on: "mysql postgres sqlite", keys: `PRIMARY KEY ("id", "operateId")`},
		{on: "mysql", keys: `UNIQUE ("operateId"(4))`},
		{on: "mysql", keys: `UNIQUE ("operateId"), UNIQUE ("operateId"(4))`},
		{on: "mysql", keys: `KEY ("operateId")`},
		{on: "postgres", keys: `UNIQUE ("operateId") DEFERRABLE`},
		{on: "postgres", keys: `PRIMARY KEY ("operateId"), UNIQUE ("operateId") DEFERRABLE INITIALLY DEFERRED`},
		{on: "postgres sqlite", keys: `PRIMARY KEY ("id")`, then: `CREATE UNIQUE INDEX i ON screen_statuses ("operateId") WHERE "status" = 1`},
		{on: "postgres", keys: `PRIMARY KEY ("id")`, then: `CREATE UNIQUE INDEX i ON screen_statuses (lower("operateId"))`},
		{on: "mysql postgres sqlite", keys: `PRIMARY KEY ("operateId")`, good: true},
		{on: "mysql postgres sqlite", keys: `UNIQUE ("operateId", "conversationType"), UNIQUE ("operateId")`, good: true},
		{on: "mysql postgres sqlite", keys: `UNIQUE ("id")`, then: `CREATE UNIQUE INDEX i ON screen_statuses ("operateId")`, good: true},
		{on: "postgres", keys: `UNIQUE ("operateId") INCLUDE ("status")`, good: true},
	} {
		eachKind(t, plain(), func(t *testing.T, d *database) {
			if !strings.Contains(tt.on, string(d.dialect)) {
				return
			}
			d.exec(t, `DROP TABLE "screen_statuses"`)
			id := map[sqlstore.Dialect]string{sqlstore.MySQL: `int DEFAULT 0`, sqlstore.PostgreSQL: `serial`, sqlstore.SQLite: `int`}[d.dialect]
			if tt.good && d.dialect == sqlstore.MySQL {
				id = `int AUTO_INCREMENT, KEY (id)`
			}
			d.exec(t, `CREATE TABLE "screen_statuses" ("id" `+id+`, "operateId" char(40) NOT NULL, "conversationType" int, "status" int,
				"createdAt" timestamp, "updatedAt" timestamp, `+tt.keys+`)`)
			if tt.then != "" {
				d.exec(t, tt.then)
			}
			switch err := d.newError(t); {
			case tt.good:
				require.NoError(t, err, tt.keys)
				wantTwoSettings(t, d)
			case d.dialect == sqlstore.SQLite:
				require.ErrorContains(t, err, "sqlstore: prepare: ", tt.keys)
				require.ErrorContains(t, err, "ON CONFLICT")
			default:
				require.EqualError(t, err, noKey, tt.keys)
			}
		})
	}
}

// wantTwoSettings sets two conversations that a wrong key would confuse.
func wantTwoSettings(t *testing.T, d *database) {
	t.Helper()
	s := d.store(t, nil)
	for _, status := range []misc.NoticeStatus{0, 1, 0} {
		require.NoError(t, s.SetScreenCapture(t.Context(), group(12345), status))
		require.NoError(t, s.SetScreenCapture(t.Context(), group(12346), 1-status))
		wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{group(12345): status, group(12346): 1 - status})
	}
	require.Equal(t, 2, d.count(t, `SELECT COUNT(*) FROM "screen_statuses"`))
}

func TestNamesMayDifferInCaseExceptOnPostgreSQL(t *testing.T) {
	eachKind(t, kinds()[:4], func(t *testing.T, d *database) {
		names := []string{"screen_statuses.operateId", "friendships.userId", "group_members.memberId"}
		if d.isDeleted {
			names = append(names, "group_members.isDeleted")
		}
		for _, name := range names {
			table, column, _ := strings.Cut(name, ".")
			d.exec(t, `ALTER TABLE "`+table+`" RENAME COLUMN "`+column+`" TO "other"`)
			d.exec(t, `ALTER TABLE "`+table+`" RENAME COLUMN "other" TO "`+strings.ToUpper(column)+`"`)
		}
		if d.dialect == sqlstore.PostgreSQL {
			require.ErrorContains(t, d.newError(t), "sqlstore: table friendships has no column userId")
			return
		}
		if d.dialect == sqlstore.SQLite {
			d.exec(t, `ALTER TABLE "friendships" RENAME TO "other"`)
			d.exec(t, `ALTER TABLE "other" RENAME TO "Friendships"`)
		}
		require.NoError(t, sqlstore.Migrate(t.Context(), d.db, d.dialect))
		wantTwoSettings(t, d)
		d.addMember(t, 3, 1, 0)
		if d.isDeleted {
			d.exec(t, `UPDATE group_members SET isDeleted = 1`)
		}
		s := d.store(t, nil)
		wantCalls(t, s, 1)
		yes, err := s.IsGroupMember(t.Context(), misctest.ID(1), misctest.ID(3))
		require.NoError(t, err)
		require.Equal(t, !d.isDeleted, yes)
	})
}

func TestRelationsMayBeViewsAndSettingsMayNot(t *testing.T) {
	eachKind(t, plain(), func(t *testing.T, d *database) {
		d.addFriend(t, 1, 2, 20)
		for _, table := range []string{"friendships", "group_members"} {
			d.exec(t, `ALTER TABLE "`+table+`" RENAME TO "real_`+table+`"`)
			d.exec(t, `CREATE VIEW "`+table+`" AS SELECT * FROM "real_`+table+`"`)
		}
		require.NoError(t, sqlstore.Migrate(t.Context(), d.db, d.dialect))
		s := d.store(t, nil)
		wantCalls(t, s, 1)
		yes, err := s.AreFriends(t.Context(), misctest.ID(1), misctest.ID(2))
		require.NoError(t, err)
		require.True(t, yes)
		d.exec(t, `ALTER TABLE "screen_statuses" RENAME TO "real_statuses"`)
		d.exec(t, `CREATE VIEW "screen_statuses" AS SELECT * FROM "real_statuses"`)
		require.EqualError(t, d.newError(t), noKey)
	})
}

// The privileges that the package's documentation lists are enough.
func TestAUserWithFewRightsCanDoAllAndNewSaysWhichAreMissing(t *testing.T) {
	eachKind(t, kinds()[1:], func(t *testing.T, d *database) {
		user, change := "few_"+d.name, []string{"GRANT ", " TO "}
		d.exec(t, map[sqlstore.Dialect]string{sqlstore.MySQL: `CREATE USER `, sqlstore.PostgreSQL: `CREATE ROLE ` + user + ` LOGIN --`}[d.dialect]+user)
		t.Cleanup(func() {
			if d.dialect == sqlstore.PostgreSQL {
				d.exec(t, `DROP OWNED BY `+user)
			}
			d.exec(t, `DROP USER `+user)
		})
		few := *d
		few.db = d.poolAs(t, user, direct)
		members := `"groupId", "memberId"`
		if d.isDeleted {
			members += `, "isDeleted"`
		}
		byColumn := []string{`INSERT ("operateId", "conversationType", "status", "createdAt", "updatedAt") ON screen_statuses`,
			`UPDATE ("status", "updatedAt") ON screen_statuses`, `SELECT ("operateId", "status") ON screen_statuses`}
		if d.dialect == sqlstore.MySQL {
			byColumn = []string{`SELECT, INSERT, UPDATE ON screen_statuses`} // an upsert needs them on every column
		}
		for _, rights := range [][]string{
			{`SELECT, INSERT, UPDATE ON screen_statuses`, `SELECT ON friendships`, `SELECT ON group_members`},
			append(byColumn, `SELECT ("userId", "friendId", "status") ON friendships`, `SELECT (`+members+`) ON group_members`),
		} {
			for _, right := range rights {
				d.exec(t, change[0]+right+change[1]+user)
			}
			require.NoError(t, sqlstore.Migrate(t.Context(), few.db, d.dialect))
			wantTwoSettings(t, &few)
			wantCalls(t, few.store(t, nil), 1)
			for _, right := range rights {
				d.exec(t, `REVOKE `+right+` FROM `+user)
				err := few.newError(t)
				require.ErrorContains(t, err, "sqlstore: ", right)
				if d.dialect == sqlstore.PostgreSQL {
					require.ErrorContains(t, err, "has no privilege to "+right[:6], right)
				} else {
					t.Log(right, err)
				}
				d.exec(t, change[0]+right+change[1]+user)
			}
			for _, right := range rights {
				d.exec(t, `REVOKE `+right+` FROM `+user)
			}
			d.exec(t, `DELETE FROM screen_statuses`)
		}
	})
}
