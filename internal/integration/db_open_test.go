//go:build unix

package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
)

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

var direct dialer = (&net.Dialer{}).DialContext

func openMariaDB(port int, database string, dial dialer) *sql.DB {
	return openMariaDBAs("root", port, database, dial)
}

func openMariaDBAs(user string, port int, database string, dial dialer) *sql.DB {
	cfg := mysql.NewConfig()
	cfg.DialFunc = dial
	cfg.User = user
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	cfg.DBName = database
	cfg.Timeout = 5 * time.Second
	cfg.Logger = log.New(io.Discard, "", 0) // the tests break connections on purpose
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		panic(err)
	}
	return sql.OpenDB(connector)
}

func openPostgres(port int, database string, dial dialer) *sql.DB {
	if database == "" {
		database = "postgres"
	}
	cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=5", port, database))
	if err != nil {
		panic(err)
	}
	cfg.DialFunc = pgconn.DialFunc(dial)
	return stdlib.OpenDB(*cfg)
}

func openSQLite(path string) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)")
	if err != nil {
		panic(err)
	}
	return db
}

// A kind is a database with the tables that a deployment may have in it.
type kind struct {
	name      string
	dialect   sqlstore.Dialect
	server    *server  // nil: SQLite
	ddl       []string // nil: what Migrate makes
	isDeleted bool     // group_members has the column
}

func kinds() []kind {
	return []kind{
		{name: "SQLite", dialect: sqlstore.SQLite},
		{name: "PostgreSQL", dialect: sqlstore.PostgreSQL, server: &postgres},
		{name: "MariaDB", dialect: sqlstore.MySQL, server: &mariaDB},
		{name: "MariaDB, tables of Node", dialect: sqlstore.MySQL, server: &mariaDB, ddl: nodeTables, isDeleted: true},
		{name: "MariaDB, tables of Java", dialect: sqlstore.MySQL, server: &mariaDB, ddl: javaTables},
	}
}

// plain are the kinds with the tables that Migrate makes, one per database.
func plain() []kind { return kinds()[:3] }

func eachKind(t *testing.T, kinds []kind, test func(t *testing.T, d *database)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, newDatabase(t, k)) })
	}
}

// A database is one that a single test has to itself.
type database struct {
	kind
	file string // SQLite
	name string // the others
	db   *sql.DB
}

// newDatabase makes a database with the tables of k in it.
func newDatabase(t testing.TB, k kind) *database {
	t.Helper()
	d := emptyDatabase(t, k)
	if k.ddl == nil {
		require.NoError(t, sqlstore.Migrate(t.Context(), d.db, k.dialect))
	}
	for _, statement := range k.ddl {
		d.exec(t, statement)
	}
	return d
}

func emptyDatabase(t testing.TB, k kind) *database {
	t.Helper()
	d := &database{kind: k}
	if k.server == nil {
		d.file = filepath.Join(t.TempDir(), "misc.db")
	} else {
		d.name = k.server.get(t).newDatabase(t)
	}
	d.db = d.pool(t)
	return d
}

// pool returns another *sql.DB, as another instance would have.
func (d *database) pool(t testing.TB) *sql.DB {
	t.Helper()
	var db *sql.DB
	if d.server == nil {
		db = openSQLite(d.file)
	} else {
		db = d.server.open(d.server.port, d.name, direct)
	}
	db.SetMaxIdleConns(100)
	db.SetMaxOpenConns(100)
	t.Cleanup(func() { _ = db.Close() }) // tells of connections that a test broke
	return db
}

// store returns a Store over a pool, d.db if it is nil.
func (d *database) store(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	if db == nil {
		db = d.db
	}
	s, err := sqlstore.New(t.Context(), db, d.dialect, sqlstore.Config{Codec: codec(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// sql turns a statement with "names" and ? into one for the database.
func (d *database) sql(text string) string {
	switch d.dialect {
	case sqlstore.MySQL:
		return strings.ReplaceAll(text, `"`, "`")
	case sqlstore.PostgreSQL:
		for n := 1; strings.Contains(text, "?"); n++ {
			text = strings.Replace(text, "?", "$"+strconv.Itoa(n), 1)
		}
	}
	return text
}

func (d *database) exec(t testing.TB, text string, args ...any) {
	t.Helper()
	_, err := d.db.Exec(d.sql(text), args...)
	require.NoError(t, err)
}

func (d *database) count(t testing.TB, text string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, d.db.QueryRow(d.sql(text), args...).Scan(&n))
	return n
}

const someTime = "2019-05-06 07:08:09"

func (d *database) addFriend(t testing.TB, user, friend uint32, status int) {
	t.Helper()
	d.exec(t, `INSERT INTO "friendships" ("userId", "friendId", "status", "createdAt", "updatedAt")
		VALUES (?, ?, ?, ?, ?)`, user, friend, status, someTime, someTime)
}

// addMember adds a row; isDeleted counts where there is such a column.
func (d *database) addMember(t testing.TB, group, member uint32, isDeleted int) {
	t.Helper()
	d.exec(t, `INSERT INTO "group_members" ("groupId", "memberId", "role", "createdAt", "updatedAt")
		VALUES (?, ?, 1, ?, ?)`, group, member, someTime, someTime)
	if d.isDeleted && isDeleted != 0 {
		d.exec(t, `UPDATE "group_members" SET "isDeleted" = ? WHERE "groupId" = ? AND "memberId" = ?`, isDeleted, group, member)
	}
}

func codec(t testing.TB) *n3d.Codec {
	t.Helper()
	c, err := n3d.New(misctest.Key)
	require.NoError(t, err)
	return c
}

func pair(a, b uint32) misc.Conversation {
	return misc.PrivateConversation(misctest.ID(a), misctest.ID(b))
}

func group(n uint32) misc.Conversation { return misc.GroupConversation(misctest.ID(n)) }

// The tables as SealTalk's Node server has them: datetimes without a default,
// members that left are kept, and a character set of three bytes.
var nodeTables = []string{
	`CREATE TABLE screen_statuses (
		id int(10) unsigned NOT NULL AUTO_INCREMENT,
		operateId char(40) NOT NULL,
		conversationType int(10) unsigned NOT NULL,
		status int(10) unsigned NOT NULL,
		createdAt datetime NOT NULL,
		updatedAt datetime NOT NULL,
		PRIMARY KEY (id),
		UNIQUE KEY screen_statuses_operate_id (operateId)
	) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3`,
	`CREATE TABLE friendships (
		id int(10) unsigned NOT NULL AUTO_INCREMENT,
		userId int(10) unsigned NOT NULL,
		friendId int(10) unsigned NOT NULL,
		displayName varchar(32) DEFAULT '',
		message varchar(64) DEFAULT NULL,
		status int(10) unsigned NOT NULL,
		timestamp bigint(20) NOT NULL DEFAULT 0,
		createdAt datetime NOT NULL,
		updatedAt datetime NOT NULL,
		PRIMARY KEY (id),
		UNIQUE KEY friendships_user_id_friend_id (userId, friendId)
	) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3`,
	`CREATE TABLE group_members (
		id int(10) unsigned NOT NULL AUTO_INCREMENT,
		groupId int(10) unsigned NOT NULL,
		memberId int(10) unsigned NOT NULL,
		displayName varchar(32) DEFAULT '',
		groupNick varchar(32) DEFAULT '',
		role int(10) unsigned NOT NULL,
		isDeleted tinyint(1) NOT NULL DEFAULT 0,
		timestamp bigint(20) NOT NULL DEFAULT 0,
		createdAt datetime NOT NULL,
		updatedAt datetime NOT NULL,
		PRIMARY KEY (id),
		UNIQUE KEY group_members_group_id_member_id_is_deleted (groupId, memberId, isDeleted)
	) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3`,
}

// The tables as the Java server has them: defaults everywhere, no isDeleted,
// and a character set of four bytes.
var javaTables = []string{
	`CREATE TABLE screen_statuses (
		id int unsigned NOT NULL AUTO_INCREMENT,
		operateId char(40) NOT NULL,
		conversationType int unsigned NOT NULL,
		status int unsigned NOT NULL,
		createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
		updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
		PRIMARY KEY (id),
		UNIQUE KEY uk_operate_id (operateId)
	) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
	`CREATE TABLE friendships (
		id int unsigned NOT NULL AUTO_INCREMENT,
		userId int unsigned NOT NULL,
		friendId int unsigned NOT NULL,
		displayName varchar(32) NOT NULL DEFAULT '',
		message varchar(64) NOT NULL DEFAULT '',
		status int unsigned NOT NULL,
		timestamp bigint NOT NULL DEFAULT 0,
		createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
		updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
		PRIMARY KEY (id),
		UNIQUE KEY uk_user_friend (userId, friendId)
	) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
	`CREATE TABLE group_members (
		id int unsigned NOT NULL AUTO_INCREMENT,
		groupId int unsigned NOT NULL,
		memberId int unsigned NOT NULL,
		displayName varchar(32) NOT NULL DEFAULT '',
		groupNick varchar(32) NOT NULL DEFAULT '',
		role int unsigned NOT NULL,
		timestamp bigint NOT NULL DEFAULT 0,
		createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
		updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
		PRIMARY KEY (id),
		UNIQUE KEY uk_group_member (groupId, memberId)
	) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
}
