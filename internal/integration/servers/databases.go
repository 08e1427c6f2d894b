//go:build unix

package servers

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"io"
	"log"
	"net"
	"path/filepath"
	"slices"
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

	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
)

// Codec is that of every Store.
var Codec = testhost.Must(n3d.New(misctest.Key))

// A Dialer connects to a database server; nil is that of a net.Dialer.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

func openMariaDB(user string, port int, database string, dial Dialer) *sql.DB {
	cfg := mysql.NewConfig()
	cfg.DialFunc = dial
	cfg.User = user
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	cfg.DBName = database
	cfg.Timeout = 5 * time.Second
	cfg.Logger = log.New(io.Discard, "", 0) // the tests break connections on purpose
	return sql.OpenDB(testhost.Must(mysql.NewConnector(cfg)))
}

func openPostgreSQL(user string, port int, database string, dial Dialer) *sql.DB {
	if database == "" {
		database = "postgres"
	}
	cfg := testhost.Must(pgx.ParseConfig(fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=5", user, port, database)))
	if dial != nil {
		cfg.DialFunc = pgconn.DialFunc(dial)
	}
	return stdlib.OpenDB(*cfg)
}

// OpenSQLite opens the database in a file.
func OpenSQLite(path string) *sql.DB {
	return testhost.Must(sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)"))
}

// A Kind is a kind of database, with tables that a deployment may have in it.
type Kind struct {
	Name      string
	Dialect   sqlstore.Dialect
	Server    *Server // nil for SQLite
	IsDeleted bool    // group_members has the column
	ddl       string  // if empty, Migrate creates the tables
}

// The tables of SealTalk's own servers.
var (
	//go:embed tables/node.sql
	nodeTables string
	//go:embed tables/java.sql
	javaTables string
)

// Kinds returns all kinds: those of Plain, and MariaDB with the tables of each of
// SealTalk's servers, that in Node.js first.
func Kinds() []Kind {
	return append(Plain(),
		Kind{Name: "MariaDB, tables of Node", Dialect: sqlstore.MySQL, Server: MariaDB, ddl: nodeTables, IsDeleted: true},
		Kind{Name: "MariaDB, tables of Java", Dialect: sqlstore.MySQL, Server: MariaDB, ddl: javaTables})
}

// Plain returns the kinds with the tables that Migrate creates: SQLite, PostgreSQL and
// MariaDB.
func Plain() []Kind {
	return []Kind{
		{Name: "SQLite", Dialect: sqlstore.SQLite},
		{Name: "PostgreSQL", Dialect: sqlstore.PostgreSQL, Server: PostgreSQL},
		{Name: "MariaDB", Dialect: sqlstore.MySQL, Server: MariaDB},
	}
}

// A Database is used by a single test.
type Database struct {
	Kind
	DB     *sql.DB
	DBName string // on the server; the file of SQLite
}

// NewDatabase creates a database with the tables of k.
func NewDatabase(t testing.TB, k Kind) *Database {
	t.Helper()
	d := EmptyDatabase(t, k)
	if k.ddl == "" {
		require.NoError(t, sqlstore.Migrate(t.Context(), d.DB, k.Dialect))
		return d
	}
	for statement := range strings.SplitSeq(strings.TrimSuffix(k.ddl, ";\n"), ";\n") {
		d.Exec(t, statement)
	}
	return d
}

// EmptyDatabase creates a database without tables.
func EmptyDatabase(t testing.TB, k Kind) *Database {
	t.Helper()
	d := &Database{Kind: k}
	if k.Server == nil {
		d.DBName = filepath.Join(t.TempDir(), "misc.db")
	} else {
		d.DBName = k.Server.Get(t).newDatabase(t)
	}
	d.DB = d.Pool(t)
	return d
}

// DSN returns how examples/server names the database.
func (d *Database) DSN() string {
	if d.Dialect != sqlstore.MySQL {
		panic("only for MariaDB")
	}
	return "mysql:" + d.Server.Admin + "@tcp(" + d.Server.Address() + ")/" + d.DBName
}

// Pool returns another *sql.DB, like that of another instance.
func (d *Database) Pool(t testing.TB) *sql.DB {
	t.Helper()
	if d.Server == nil {
		return manage(t, OpenSQLite(d.DBName))
	}
	return d.PoolAs(t, d.Server.Admin, nil)
}

// PoolAs returns a *sql.DB that connects to the server as user, by means of dial.
func (d *Database) PoolAs(t testing.TB, user string, dial Dialer) *sql.DB {
	t.Helper()
	return manage(t, d.Server.open(user, d.Server.port, d.DBName, dial))
}

func manage(t testing.TB, db *sql.DB) *sql.DB {
	db.SetMaxIdleConns(100)
	db.SetMaxOpenConns(100)
	t.Cleanup(func() { _ = db.Close() }) // the error is about connections that a test broke
	return db
}

// Store returns a Store over db, or over d.DB if db is nil.
func (d *Database) Store(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	if db == nil {
		db = d.DB
	}
	s, err := sqlstore.New(t.Context(), db, d.Dialect, sqlstore.Config{Codec: Codec})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// SQL translates a statement with "names" and ? to the dialect of the database.
func (d *Database) SQL(text string) string {
	switch d.Dialect {
	case sqlstore.MySQL:
		return strings.ReplaceAll(text, `"`, "`")
	case sqlstore.PostgreSQL:
		for n := 1; strings.Contains(text, "?"); n++ {
			text = strings.Replace(text, "?", "$"+strconv.Itoa(n), 1)
		}
	}
	return text
}

// Exec runs a statement as SQL translates it.
func (d *Database) Exec(t testing.TB, text string, args ...any) {
	t.Helper()
	_, err := d.DB.Exec(d.SQL(text), args...)
	require.NoError(t, err)
}

// SomeTime is when friendships and memberships began.
const SomeTime = "2019-05-06 07:08:09"

// AddFriend adds a row to friendships.
func (d *Database) AddFriend(t testing.TB, user, friend uint32, status int) {
	t.Helper()
	d.Exec(t, `INSERT INTO "friendships" ("userId", "friendId", "status", "createdAt", "updatedAt")
		VALUES (?, ?, ?, ?, ?)`, user, friend, status, SomeTime, SomeTime)
}

// AddMember adds a row to group_members.
func (d *Database) AddMember(t testing.TB, group, member uint32) {
	t.Helper()
	d.Exec(t, `INSERT INTO "group_members" ("groupId", "memberId", "role", "createdAt", "updatedAt")
		VALUES (?, ?, 1, ?, ?)`, group, member, SomeTime, SomeTime)
}

// HideTables makes every statement fail.
func (d *Database) HideTables(t *testing.T) (mend func()) {
	rename := func(from, to string) {
		for _, table := range []string{"screen_statuses", "friendships", "group_members"} {
			d.Exec(t, `ALTER TABLE "`+from+table+`" RENAME TO "`+to+table+`"`)
		}
	}
	rename("", "hidden_")
	return func() { rename("hidden_", "") }
}

// Put adds the relations in w as SealTalk's servers do, with two rows for each pair of
// friends.
func (d *Database) Put(t *testing.T, w misctest.World) {
	for _, f := range w.Friends {
		a, b := number(t, f[0]), number(t, f[1])
		d.AddFriend(t, a, b, 20)
		d.AddFriend(t, b, a, 20)
	}
	for g, members := range w.Groups {
		for _, m := range slices.Sorted(slices.Values(members)) {
			d.AddMember(t, number(t, g), number(t, m))
		}
	}
}

// Change removes what Put has added for before, and puts after in its place.
func (d *Database) Change(t *testing.T, before, after misctest.World) {
	for _, f := range before.Friends {
		a, b := number(t, f[0]), number(t, f[1])
		d.Exec(t, `DELETE FROM "friendships" WHERE "userId" = ? AND "friendId" = ? OR "userId" = ? AND "friendId" = ?`, a, b, b, a)
	}
	for g, members := range before.Groups {
		for _, m := range members {
			d.Exec(t, `DELETE FROM "group_members" WHERE "groupId" = ? AND "memberId" = ?`, number(t, g), number(t, m))
		}
	}
	d.Put(t, after)
}

func number(t *testing.T, public string) uint32 {
	n, err := Codec.Decode(public)
	require.NoError(t, err)
	return n
}
