package main

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/sealtalk-go/misc/sqlstore"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"modernc.org/sqlite"
)

// systems has the names of the databases in spans.
var systems = map[sqlstore.Dialect]attribute.KeyValue{
	sqlstore.MySQL:      semconv.DBSystemNameMySQL,
	sqlstore.PostgreSQL: semconv.DBSystemNamePostgreSQL,
	sqlstore.SQLite:     semconv.DBSystemNameSQLite,
}

// database is an open database that has answered.
type database struct {
	*sql.DB
	dialect     sqlstore.Dialect
	name        string // for messages, without user and password
	connections int
	anyServer   atomic.Bool // whether PostgreSQL may be one that takes no writes
}

// openDatabase opens the database that -db names, and fails if it does not answer.
// One that takes no writes is accepted until writesOnly is called, so that a server
// starts during a failover. If a driver cannot parse the name, its error is left
// out, since it may quote a password.
func openDatabase(ctx context.Context, cfg config, tracing trace.TracerProvider, logger *slog.Logger) (_ *database, state string, err error) {
	db := &database{connections: 32}
	var connector driver.Connector
	switch scheme, rest, _ := strings.Cut(cfg.db, ":"); scheme {
	case "sqlite":
		db.connections = 8
		connector, err = db.sqlite(rest, cfg.check)
	case "mysql":
		connector, err = db.mysql(rest, cfg.limits.database, logger)
	case "postgres", "postgresql":
		connector, err = db.postgreSQL(cfg.db)
	default:
		err = usageErrorf("-db must be sqlite:FILE, mysql:DSN or postgres://…")
	}
	if err != nil {
		return nil, "", err
	}
	if db.DB = sql.OpenDB(connector); !isOff(tracing) {
		db.DB = otelsql.OpenDB(connector,
			otelsql.WithTracerProvider(tracing),
			otelsql.WithAttributes(systems[db.dialect]),
			otelsql.WithSpanOptions(otelsql.SpanOptions{
				OmitConnResetSession: true,
				OmitRows:             true,
				DisableErrSkip:       true,
				SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
					return trace.SpanContextFromContext(ctx).IsValid() // part of a request
				},
			}))
	}
	// These are enough connections for the load of one instance. None stays open
	// so long that the server or a firewall drops it.
	db.SetMaxOpenConns(db.connections)
	db.SetMaxIdleConns(db.connections)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(5 * time.Minute)
	err = db.PingContext(ctx)
	if errors.Is(err, pgconn.ErrReadOnlyConnection) {
		db.anyServer.Store(true)
		err = db.PingContext(ctx)
	}
	if err != nil {
		db.Close()
		return nil, "", fmt.Errorf("-db: %s does not answer: %w", db.name, err)
	}
	return db, db.name + " answers", nil
}

// writesOnly makes the next statements find a server that takes writes, if the
// settings say so and there was none when the database was opened.
func (db *database) writesOnly() {
	if db.anyServer.Swap(false) {
		db.reconnect()
	}
}

// reconnect closes the connections that no statement is using.
func (db *database) reconnect() {
	db.SetMaxIdleConns(0)
	db.SetMaxIdleConns(db.connections)
}

// sqlite creates the file if it is missing, unless check is true.
func (db *database) sqlite(file string, check bool) (driver.Connector, error) {
	if file == "" || strings.Contains(file, ":memory:") || strings.Contains(file, "://") || strings.HasPrefix(file, "//") && strings.Contains(file, "@") {
		return nil, usageErrorf("-db sqlite: needs a file, as in sqlite:misc.db")
	}
	db.dialect, db.name = sqlstore.SQLite, "SQLite in the file "+file
	mode := "mode=rwc&_pragma=journal_mode(WAL)" // a write waits for its turn, and no read waits for a write
	if check {
		mode = "mode=rw"
	}
	return sqlite.NewConnector("file:" + (&url.URL{Path: file}).EscapedPath() + "?_pragma=busy_timeout(5000)&" + mode)
}

// mysql returns a connector whose connections wait for an answer for that time. The
// first error of a server that has become read-only closes a connection, so that the
// next one may find the new server behind the same address.
func (db *database) mysql(dsn string, wait time.Duration, logger *slog.Logger) (driver.Connector, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil || strings.ContainsAny(cfg.DBName, "@()") || misplaced(cfg.Params) {
		return nil, usageErrorf("-db mysql: needs a DSN of the form user:password@tcp(host:3306)/name")
	}
	cfg.Logger = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	cfg.RejectReadOnly = cfg.RejectReadOnly || !strings.Contains(dsn, "rejectReadOnly=")
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, wait)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, wait)
	params := map[string]string{"innodb_lock_wait_timeout": "4"} // in seconds; less than wait
	maps.Copy(params, cfg.Params)
	cfg.Params = params
	db.dialect, db.name = sqlstore.MySQL, fmt.Sprintf("MySQL database %s on %s", cfg.DBName, cfg.Addr)
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, usageErrorf("-db mysql: the DSN's settings do not go together")
	}
	return connector, nil
}

// misplaced reports whether a user or a password is among the variables to set, as in
// the URLs of other drivers: MySQL would quote it in an error.
func misplaced(variables map[string]string) bool {
	for name := range variables {
		if slices.Contains([]string{"user", "username", "password", "pwd"}, strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// postgreSQL returns a connector that uses, of the hosts in the URL, the one that takes
// writes. A connection whose server has become read-only is closed by the first error
// that says so.
func (db *database) postgreSQL(dsn string) (driver.Connector, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil || !showable(dsn) {
		return nil, usageErrorf("-db postgres: needs a URL of the form postgres://user:password@host:5432/name, %s", escapes)
	}
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 3*time.Second)
	if cfg.ValidateConnect == nil && !strings.Contains(dsn, "target_session_attrs=") {
		cfg.ValidateConnect = func(ctx context.Context, c *pgconn.PgConn) error {
			if db.anyServer.Load() {
				return nil
			}
			return pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, c)
		}
	}
	keep := cfg.OnPgError
	cfg.OnPgError = func(c *pgconn.PgConn, err *pgconn.PgError) bool {
		return err.Code != "25006" && keep(c, err) // read_only_sql_transaction
	}
	hosts := []string{net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))}
	for _, other := range cfg.Fallbacks {
		hosts = append(hosts, net.JoinHostPort(other.Host, strconv.Itoa(int(other.Port))))
	}
	db.dialect, db.name = sqlstore.PostgreSQL, fmt.Sprintf("PostgreSQL database %s on %s", cfg.Database, strings.Join(slices.Compact(hosts), ", "))
	return stdlib.GetConnector(*cfg), nil
}

// showable reports whether the host and the path of a URL can be shown: whether no
// password with an unescaped / ? or # reaches into them.
func showable(url string) bool {
	_, rest, ok := strings.Cut(url, "://")
	end := strings.IndexAny(rest, "/?#")
	return ok && (end < 0 || !strings.ContainsAny(rest[end:], "@#"))
}

// escapes says how a URL is made showable.
const escapes = "in which / ? # and @ of user and password are %2F %3F %23 and %40"

// openStore creates the tables that are missing and, if -seed is set, the demo's
// rows in a fresh database. With -check it creates nothing.
func openStore(ctx context.Context, db *database, cfg config) (_ *sqlstore.Store, state string, _ error) {
	fresh := isFresh(ctx, db)
	if !cfg.check {
		if err := sqlstore.Migrate(ctx, db.DB, db.dialect); err != nil {
			return nil, "", err
		}
	}
	const tables = "screen_statuses, friendships and group_members are complete"
	store, err := sqlstore.New(ctx, db.DB, db.dialect, sqlstore.Config{Codec: cfg.codec})
	if err != nil {
		return nil, "", err
	}
	switch {
	case cfg.check || !cfg.seed:
		return store, tables, nil
	case !fresh:
		return store, tables + "; no demo rows, the database is in use already", nil
	}
	if err := insertDemo(ctx, db); err == nil {
		return store, tables + "; demo users 1, 2 and 3; 1 and 2 are friends, and the members of group 1", nil
	} else if isFresh(ctx, db) {
		return nil, "", errors.Join(fmt.Errorf("-seed: %w", err), store.Close())
	}
	return store, tables + "; no demo rows, another instance has just made them", nil
}

// isFresh reports whether nobody has used the database yet: it has no tables,
// or empty ones. On MySQL, existing tables may be SealTalk's own, so they count
// as used even if they are empty.
func isFresh(ctx context.Context, db *database) bool {
	for _, table := range []string{"friendships", "group_members"} {
		var one int
		err := db.QueryRowContext(ctx, "SELECT 1 FROM "+table+" LIMIT 1").Scan(&one)
		empty := errors.Is(err, sql.ErrNoRows)
		if err == nil || empty && db.dialect == sqlstore.MySQL {
			return false
		}
	}
	return true
}

func insertDemo(ctx context.Context, db *database) error {
	for _, statement := range []string{
		`INSERT INTO friendships ("userId", "friendId", "status") VALUES (1, 2, 20), (2, 1, 20)`, // 20 = friends
		`INSERT INTO group_members ("groupId", "memberId") VALUES (1, 1), (1, 2)`,
	} {
		if db.dialect == sqlstore.MySQL {
			statement = strings.ReplaceAll(statement, `"`, "`")
		}
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
