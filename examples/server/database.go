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

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
	_ "modernc.org/sqlite"
)

// database is an open database that has answered.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
	name    string // for people, without user and password
}

// openDatabase opens what -db names, and fails unless it answers. The errors
// of the drivers for a name that they cannot read are left out: they may quote
// a password.
func openDatabase(ctx context.Context, name string, logger *slog.Logger) (*database, error) {
	db := new(database)
	var err error
	switch scheme, rest, _ := strings.Cut(name, ":"); scheme {
	case "sqlite":
		err = db.openSQLite(rest)
	case "mysql":
		err = db.openMySQL(rest, logger)
	case "postgres", "postgresql":
		err = db.openPostgreSQL(name)
	default:
		err = usageErrorf("-db must be sqlite:FILE, mysql:DSN or postgres://…")
	}
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("-db: %s does not answer: %w", db.name, err)
	}
	return db, nil
}

func (db *database) openSQLite(file string) error {
	if file == "" || strings.Contains(file, ":memory:") {
		return usageErrorf("-db sqlite: needs a file, as in sqlite:misc.db")
	}
	// A write waits for its turn, and no read waits for a write.
	dsn := "file:" + (&url.URL{Path: file}).EscapedPath() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
	opened, err := sql.Open("sqlite", dsn)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	opened.SetMaxOpenConns(8)
	opened.SetMaxIdleConns(8)
	db.DB, db.dialect, db.name = opened, sqlstore.SQLite, "SQLite in the file "+file
	return nil
}

func (db *database) openMySQL(dsn string, logger *slog.Logger) error {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return usageErrorf("-db mysql: needs a DSN of the form user:password@tcp(host:3306)/name")
	}
	cfg.Logger = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, 5*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 5*time.Second)
	params := map[string]string{"innodb_lock_wait_timeout": "4"} // in seconds; less than ReadTimeout
	maps.Copy(params, cfg.Params)
	cfg.Params = params
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return usageErrorf("-db mysql: the DSN's settings do not go together")
	}
	db.dialect, db.name = sqlstore.MySQL, fmt.Sprintf("MySQL database %s on %s", cfg.DBName, cfg.Addr)
	db.openServer(connector)
	return nil
}

func (db *database) openPostgreSQL(dsn string) error {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return usageErrorf("-db postgres: needs a URL of the form postgres://user:password@host:5432/name")
	}
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 3*time.Second)
	db.dialect, db.name = sqlstore.PostgreSQL, fmt.Sprintf("PostgreSQL database %s on %s:%d", cfg.Database, cfg.Host, cfg.Port)
	db.openServer(stdlib.GetConnector(*cfg))
	return nil
}

// openServer keeps enough connections for the load of one instance, and none
// for so long that the server or a firewall has dropped it.
func (db *database) openServer(connector driver.Connector) {
	db.DB = sql.OpenDB(connector)
	db.SetMaxOpenConns(32)
	db.SetMaxIdleConns(32)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(5 * time.Minute)
}

// openStore makes the tables that are missing, and in a fresh database, if
// seed is set, the demo's rows. seeded says what became of them.
func openStore(ctx context.Context, db *database, codec *n3d.Codec, seed bool) (_ *sqlstore.Store, seeded string, _ error) {
	fresh := isFresh(ctx, db)
	if err := sqlstore.Migrate(ctx, db.DB, db.dialect); err != nil {
		return nil, "", err
	}
	store, err := sqlstore.New(ctx, db.DB, db.dialect, sqlstore.Config{Codec: codec})
	if err != nil {
		return nil, "", err
	}
	switch {
	case !seed:
		seeded = "none, as -seed=false asks"
	case !fresh:
		seeded = "none, the database is in use already"
	default:
		seeded = "users 1, 2 and 3; 1 and 2 are friends, and the members of group 1"
		if err := insertDemo(ctx, db); err != nil {
			if isFresh(ctx, db) {
				return nil, "", errors.Join(fmt.Errorf("-seed: %w", err), store.Close())
			}
			seeded = "none, another instance has just done it"
		}
	}
	return store, seeded, nil
}

// isFresh reports whether nobody has used the database yet: it has no tables,
// or empty ones. On MySQL, tables that are there may be SealTalk's own, and are
// taken to be in use even if they are empty.
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
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range []string{
		`INSERT INTO friendships ("userId", "friendId", "status") VALUES (1, 2, 20), (2, 1, 20)`, // 20 = friends
		`INSERT INTO group_members ("groupId", "memberId") VALUES (1, 1), (1, 2)`,
	} {
		if db.dialect == sqlstore.MySQL {
			statement = strings.ReplaceAll(statement, `"`, "`")
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}
