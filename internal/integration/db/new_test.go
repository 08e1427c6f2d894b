//go:build unix

package db_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

const (
	noTable = "is missing, or not visible to this user of the database"
	unseen  = " that this user of the database can see"
	noKey   = "sqlstore: screen_statuses must be a table, not a view, with a unique key on operateId alone, " +
		"in full and not deferrable, and with no other unique key that two conversations could share"
	badID     = "sqlstore: screen_statuses.operateId must be CHAR or VARCHAR of at least 21 characters: other types pad or cut what is written"
	badEngine = "sqlstore: screen_statuses must use InnoDB: an engine without transactions loses rows, and a cluster does not replicate it"
	noCommit  = "sqlstore: autocommit must be on: without it, no set is committed, and reads do not see those of others"
)

// newError returns the error of New for the tables.
func (d *database) newError(t *testing.T) error {
	t.Helper()
	s, err := sqlstore.New(t.Context(), d.DB, d.Dialect, sqlstore.Config{Codec: servers.Codec})
	if err == nil {
		require.NoError(t, s.Close())
	}
	return err
}

func TestNewNamesEveryMissingTableAndColumn(t *testing.T) {
	eachKind(t, servers.Kinds(), func(t *testing.T, d *database) {
		want := ""
		for _, step := range []struct{ damage, first, last string }{
			{`ALTER TABLE "friendships" RENAME COLUMN "status" TO "state"`, "", "sqlstore: table friendships has no column status" + unseen},
			{`ALTER TABLE "screen_statuses" RENAME COLUMN "updatedAt" TO "changed"`, "sqlstore: table screen_statuses has no column updatedAt" + unseen + "\n", ""},
			{`DROP TABLE "group_members"`, "", "\nsqlstore: table group_members " + noTable},
		} {
			d.Exec(t, step.damage)
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
		eachKind(t, servers.Plain(), func(t *testing.T, d *database) {
			if !strings.Contains(tt.on, string(d.Dialect)) {
				return
			}
			d.Exec(t, `DROP TABLE "screen_statuses"`)
			id := map[sqlstore.Dialect]string{sqlstore.MySQL: `int DEFAULT 0`, sqlstore.PostgreSQL: `serial`, sqlstore.SQLite: `int`}[d.Dialect]
			if tt.good && d.Dialect == sqlstore.MySQL {
				id = `int AUTO_INCREMENT, KEY (id)`
			}
			d.Exec(t, `CREATE TABLE "screen_statuses" ("id" `+id+`, "operateId" char(40) NOT NULL, "conversationType" int, "status" int,
				"createdAt" timestamp, "updatedAt" timestamp, `+tt.keys+`)`)
			if tt.then != "" {
				d.Exec(t, tt.then)
			}
			switch err := d.newError(t); {
			case tt.good:
				require.NoError(t, err, tt.keys)
				wantTwoSettings(t, d)
			case d.Dialect == sqlstore.SQLite:
				require.ErrorContains(t, err, "sqlstore: prepare: ", tt.keys)
				require.ErrorContains(t, err, "ON CONFLICT")
			default:
				require.EqualError(t, err, noKey, tt.keys)
			}
		})
	}
}

func TestNewRefusesWhatWouldAcknowledgeASetAndLoseIt(t *testing.T) {
	for _, tt := range []struct {
		on                 sqlstore.Dialect
		statements, refuse string
	}{
		{sqlstore.MySQL, `ALTER TABLE screen_statuses MODIFY operateId binary(40)`, badID},
		{sqlstore.MySQL, `ALTER TABLE screen_statuses MODIFY operateId varchar(20)`, badID}, // cuts the longest, unless sql_mode is strict
		{sqlstore.MySQL, `ALTER TABLE screen_statuses MODIFY operateId bigint`, badID},
		{sqlstore.MySQL, `ALTER TABLE screen_statuses MODIFY operateId varchar(21)`, ""},
		{sqlstore.MySQL, `ALTER TABLE screen_statuses MODIFY operateId varbinary(40)`, ""},
		{sqlstore.MySQL, `ALTER TABLE screen_statuses ENGINE=MyISAM`, badEngine},
		{sqlstore.MySQL, `SET autocommit = 0`, noCommit},
		{sqlstore.MySQL, `ALTER TABLE screen_statuses MODIFY operateId binary(40), ENGINE=Aria; SET autocommit = 0`, badID + "\n" + badEngine + "\n" + noCommit},
		{sqlstore.PostgreSQL, `ALTER TABLE screen_statuses SET UNLOGGED`, "sqlstore: screen_statuses must not be UNLOGGED or TEMPORARY: a crash empties it, and no standby has it"},
	} {
		eachKind(t, servers.Plain(), func(t *testing.T, d *database) {
			if d.Dialect != tt.on {
				return
			}
			d.DB.SetMaxOpenConns(1)
			for statement := range strings.SplitSeq(tt.statements, ";") {
				d.Exec(t, statement)
			}
			err := d.newError(t)
			if tt.refuse == "" {
				require.NoError(t, err, tt.statements)
				wantTwoSettings(t, d)
				return
			}
			require.ErrorContains(t, err, "sqlstore: ")
			require.ElementsMatch(t, strings.Split(tt.refuse, "\n"), strings.Split(err.Error(), "\n"))
		})
	}
}

// In the mode ORACLE, more words are keywords.
func TestAnySQLModeWillDo(t *testing.T) {
	for _, mode := range []string{"ORACLE", "ANSI", "TRADITIONAL", ""} {
		d := &database{servers.EmptyDatabase(t, servers.Plain()[2])}
		d.DB.SetMaxOpenConns(1)
		d.Exec(t, `SET sql_mode = '`+mode+`'`)
		require.NoError(t, sqlstore.Migrate(t.Context(), d.DB, d.Dialect), mode)
		wantTwoSettings(t, d)
		wantCalls(t, d.Store(t, nil), 1)
	}
}

// wantTwoSettings sets two conversations that a wrong key would confuse.
func wantTwoSettings(t *testing.T, d *database) {
	t.Helper()
	s := d.Store(t, nil)
	for _, status := range []misc.NoticeStatus{0, 1, 0} {
		require.NoError(t, s.SetScreenCapture(t.Context(), group(12345), status))
		require.NoError(t, s.SetScreenCapture(t.Context(), group(12346), 1-status))
		wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{group(12345): status, group(12346): 1 - status})
	}
	require.Equal(t, 2, d.count(t, `SELECT COUNT(*) FROM "screen_statuses"`))
}

func TestNamesMayDifferInCaseExceptOnPostgreSQL(t *testing.T) {
	eachKind(t, servers.Kinds()[:4], func(t *testing.T, d *database) {
		names := []string{"screen_statuses.operateId", "friendships.userId", "group_members.memberId"}
		if d.IsDeleted {
			names = append(names, "group_members.isDeleted")
		}
		for _, name := range names {
			table, column, _ := strings.Cut(name, ".")
			d.Exec(t, `ALTER TABLE "`+table+`" RENAME COLUMN "`+column+`" TO "other"`)
			d.Exec(t, `ALTER TABLE "`+table+`" RENAME COLUMN "other" TO "`+strings.ToUpper(column)+`"`)
		}
		if d.Dialect == sqlstore.PostgreSQL {
			require.ErrorContains(t, d.newError(t), "sqlstore: table friendships has no column userId")
			return
		}
		if d.Dialect == sqlstore.SQLite {
			d.Exec(t, `ALTER TABLE "friendships" RENAME TO "other"`)
			d.Exec(t, `ALTER TABLE "other" RENAME TO "Friendships"`)
		}
		require.NoError(t, sqlstore.Migrate(t.Context(), d.DB, d.Dialect))
		wantTwoSettings(t, d)
		d.AddMember(t, 3, 1)
		if d.IsDeleted {
			d.Exec(t, `UPDATE group_members SET isDeleted = 1`)
		}
		s := d.Store(t, nil)
		wantCalls(t, s, 1)
		yes, err := s.IsGroupMember(t.Context(), misctest.ID(1), misctest.ID(3))
		require.NoError(t, err)
		require.Equal(t, !d.IsDeleted, yes)
	})
}

func TestRelationsMayBeViewsAndSettingsMayNot(t *testing.T) {
	eachKind(t, servers.Plain(), func(t *testing.T, d *database) {
		d.AddFriend(t, 1, 2, 20)
		for _, table := range []string{"friendships", "group_members"} {
			d.Exec(t, `ALTER TABLE "`+table+`" RENAME TO "real_`+table+`"`)
			d.Exec(t, `CREATE VIEW "`+table+`" AS SELECT * FROM "real_`+table+`"`)
		}
		require.NoError(t, sqlstore.Migrate(t.Context(), d.DB, d.Dialect))
		s := d.Store(t, nil)
		wantCalls(t, s, 1)
		yes, err := s.AreFriends(t.Context(), misctest.ID(1), misctest.ID(2))
		require.NoError(t, err)
		require.True(t, yes)
		d.Exec(t, `ALTER TABLE "screen_statuses" RENAME TO "real_statuses"`)
		d.Exec(t, `CREATE VIEW "screen_statuses" AS SELECT * FROM "real_statuses"`)
		require.EqualError(t, d.newError(t), noKey)
	})
}

// The privileges that the package's documentation lists are enough.
func TestAUserWithFewRightsCanDoAllAndNewSaysWhichAreMissing(t *testing.T) {
	eachKind(t, servers.Kinds()[1:], func(t *testing.T, d *database) {
		user, change := "few_"+d.DBName, []string{"GRANT ", " TO "}
		d.Exec(t, map[sqlstore.Dialect]string{sqlstore.MySQL: `CREATE USER `, sqlstore.PostgreSQL: `CREATE ROLE ` + user + ` LOGIN --`}[d.Dialect]+user)
		t.Cleanup(func() {
			if d.Dialect == sqlstore.PostgreSQL {
				d.Exec(t, `DROP OWNED BY `+user)
			}
			d.Exec(t, `DROP USER `+user)
		})
		own := *d.Database
		own.DB = d.PoolAs(t, user, nil)
		few := &database{&own}
		members := `"groupId", "memberId"`
		if d.IsDeleted {
			members += `, "isDeleted"`
		}
		byColumn := []string{`INSERT ("operateId", "conversationType", "status", "createdAt", "updatedAt") ON screen_statuses`,
			`UPDATE ("status", "updatedAt") ON screen_statuses`, `SELECT ("operateId", "status") ON screen_statuses`}
		if d.Dialect == sqlstore.MySQL {
			byColumn = []string{`SELECT, INSERT, UPDATE ON screen_statuses`} // an upsert needs them on every column
		}
		for _, rights := range [][]string{
			{`SELECT, INSERT, UPDATE ON screen_statuses`, `SELECT ON friendships`, `SELECT ON group_members`},
			append(byColumn, `SELECT ("userId", "friendId", "status") ON friendships`, `SELECT (`+members+`) ON group_members`),
		} {
			for _, right := range rights {
				d.Exec(t, change[0]+right+change[1]+user)
			}
			require.NoError(t, sqlstore.Migrate(t.Context(), few.DB, d.Dialect))
			wantTwoSettings(t, few)
			wantCalls(t, few.Store(t, nil), 1)
			for _, right := range rights {
				d.Exec(t, `REVOKE `+right+` FROM `+user)
				err := few.newError(t)
				require.ErrorContains(t, err, "sqlstore: ", right)
				if d.Dialect == sqlstore.PostgreSQL {
					require.ErrorContains(t, err, "has no privilege to "+right[:6], right)
				} else {
					t.Log(right, err)
				}
				d.Exec(t, change[0]+right+change[1]+user)
			}
			for _, right := range rights {
				d.Exec(t, `REVOKE `+right+` FROM `+user)
			}
			d.Exec(t, `DELETE FROM screen_statuses`)
		}
	})
}
