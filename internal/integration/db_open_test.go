//go:build unix

package integration_test

import (
	"context"
	"database/sql"
	_ "embed"
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

func openPostgres(user string, port int, database string, dial dialer) *sql.DB {
	if database == "" {
		database = "postgres"
	}
	cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=5", user, port, database))
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

// A kind is a kind of database, with tables that a deployment may have in it.
type kind struct {
	name      string
	dialect   sqlstore.Dialect
	server    *server // nil for SQLite
	ddl       string  // if empty, Migrate creates the tables
	isDeleted bool    // group_members has the column
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

// plain returns the kinds with the tables that Migrate creates, one for each dialect.
func plain() []kind { return kinds()[:3] }

func eachKind(t *testing.T, kinds []kind, test func(t *testing.T, d *database)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, newDatabase(t, k)) })
	}
}

// A database is used by a single test.
type database struct {
	kind
	file string // of SQLite
	name string // of the others
	db   *sql.DB
}

// newDatabase creates a database with the tables of k.
func newDatabase(t testing.TB, k kind) *database {
	t.Helper()
	d := emptyDatabase(t, k)
	if k.ddl == "" {
		require.NoError(t, sqlstore.Migrate(t.Context(), d.db, k.dialect))
		return d
	}
	for statement := range strings.SplitSeq(strings.TrimSuffix(k.ddl, ";\n"), ";\n") {
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

// pool returns another *sql.DB, like that of another instance.
func (d *database) pool(t testing.TB) *sql.DB {
	t.Helper()
	if d.server == nil {
		return d.manage(t, openSQLite(d.file))
	}
	return d.poolAs(t, d.server.admin, direct)
}

// poolAs returns a *sql.DB that connects to the server as user, by means of dial.
func (d *database) poolAs(t testing.TB, user string, dial dialer) *sql.DB {
	t.Helper()
	return d.manage(t, d.server.open(user, d.server.port, d.name, dial))
}

func (d *database) manage(t testing.TB, db *sql.DB) *sql.DB {
	db.SetMaxIdleConns(100)
	db.SetMaxOpenConns(100)
	t.Cleanup(func() { _ = db.Close() }) // the error is about connections that a test broke
	return db
}

// store returns a Store over db, or over d.db if db is nil.
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

// sql translates a statement with "names" and ? to the dialect of the database.
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

// addMember adds a row; isDeleted is used only if there is such a column.
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

// The tables of SealTalk's own servers.
var (
	//go:embed testdata/tables/node.sql
	nodeTables string
	//go:embed testdata/tables/java.sql
	javaTables string
)
