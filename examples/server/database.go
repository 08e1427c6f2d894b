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
	"net/url"
	"strings"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
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
	dialect sqlstore.Dialect
	name    string // for messages, without user and password
}

// openDatabase opens the database that -db names, and fails if it does not answer.
// If a driver cannot parse the name, its error is left out, since it may quote a
// password.
func openDatabase(ctx context.Context, cfg config, tracing trace.TracerProvider, logger *slog.Logger) (_ *database, state string, err error) {
	db := new(database)
	var connector driver.Connector
	connections := 32
	switch scheme, rest, _ := strings.Cut(cfg.db, ":"); scheme {
	case "sqlite":
		connections = 8
		connector, err = db.sqlite(rest, cfg.check)
	case "mysql":
		connector, err = db.mysql(rest, logger)
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
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, "", fmt.Errorf("-db: %s does not answer: %w", db.name, err)
	}
	return db, db.name + " answers", nil
}

// sqlite creates the file if it is missing, unless check is true.
func (db *database) sqlite(file string, check bool) (driver.Connector, error) {
	if file == "" || strings.Contains(file, ":memory:") {
		return nil, usageErrorf("-db sqlite: needs a file, as in sqlite:misc.db")
	}
	db.dialect, db.name = sqlstore.SQLite, "SQLite in the file "+file
	mode := "mode=rwc&_pragma=journal_mode(WAL)" // a write waits for its turn, and no read waits for a write
	if check {
		mode = "mode=rw"
	}
	return sqlite.NewConnector("file:" + (&url.URL{Path: file}).EscapedPath() + "?_pragma=busy_timeout(5000)&" + mode)
}

func (db *database) mysql(dsn string, logger *slog.Logger) (driver.Connector, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, usageErrorf("-db mysql: needs a DSN of the form user:password@tcp(host:3306)/name")
	}
	cfg.Logger = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, 5*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 5*time.Second)
	params := map[string]string{"innodb_lock_wait_timeout": "4"} // in seconds; less than ReadTimeout
	maps.Copy(params, cfg.Params)
	cfg.Params = params
	db.dialect, db.name = sqlstore.MySQL, fmt.Sprintf("MySQL database %s on %s", cfg.DBName, cfg.Addr)
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, usageErrorf("-db mysql: the DSN's settings do not go together")
	}
	return connector, nil
}

func (db *database) postgreSQL(dsn string) (driver.Connector, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, usageErrorf("-db postgres: needs a URL of the form postgres://user:password@host:5432/name")
	}
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 3*time.Second)
	db.dialect, db.name = sqlstore.PostgreSQL, fmt.Sprintf("PostgreSQL database %s on %s:%d", cfg.Database, cfg.Host, cfg.Port)
	return stdlib.GetConnector(*cfg), nil
}

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
