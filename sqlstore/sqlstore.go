// Package sqlstore implements misc.Store, misc.Relations and
// misc.ScreenCaptureStore with SealTalk's own tables, in MySQL, MariaDB,
// PostgreSQL or SQLite. It imports no driver: you open the *sql.DB with a driver and
// settings of your choice.
//
// # Tables
//
// The package uses the tables screen_statuses, friendships and group_members of
// an existing deployment as they are. SealTalk has a server in Node.js and one
// in Java; both may go on using the tables, since the package writes the rows
// that the Node.js server would write. The tables friendships and group_members
// may be views. For a new deployment, [Migrate] creates the tables.
//
// A setting is one row of screen_statuses. Its operateId is the number of the
// group or, for a private chat, the numbers of the two users with an underscore
// between them, the lower one first: 2_10. User b is a friend of user a if
// friendships has a row with userId a, friendId b and status 20. A user is a
// member of a group if group_members has a row for the two. If that table has a
// column isDeleted, as that of the Node.js server has, it must be 0 in the row.
// Make a new Store after adding or dropping this column.
//
// On MySQL, the columns createdAt and updatedAt are written with a precision of
// one second in the time zone +08:00, whatever the loc of the DSN. The Node.js
// server does the same. On SQLite they are written with a precision of one
// second in UTC, and on PostgreSQL as timestamps with a time zone.
//
// # Instances
//
// Any number of your servers, and SealTalk's own, may share one database. Each
// call is one statement outside any transaction. If the database undoes the
// statement, as after a deadlock, it is repeated, up to eight times.
//
// When SetScreenCapture has returned nil, the setting is saved, and all your
// servers read it at once, as long as they write to and read from the same
// database server. Between the nodes of a Galera cluster, that takes
// wsrep_sync_wait=1 in the DSN, and a replica answers with old settings. A
// database server that takes over from another one has what was copied to it by
// then. The page docs/databases.md of the repository lists the set-ups that are
// tested, and what each of them promises.
//
// A Store needs the privilege SELECT on the three tables, and INSERT and UPDATE
// on screen_statuses. On PostgreSQL, privileges on the columns that it uses are
// enough, and it needs USAGE on the sequence of screen_statuses.id if that is a
// serial. MySQL and MariaDB need the privileges on the whole of
// screen_statuses.
//
// # Settings of the database
//
// These are the drivers that the package is tested with, and the names that they
// have for sql.Open:
//
//	MySQL, MariaDB  "mysql"   github.com/go-sql-driver/mysql
//	PostgreSQL      "pgx"     github.com/jackc/pgx/v5/stdlib
//	SQLite          "sqlite"  modernc.org/sqlite
//
// By default, a *sql.DB keeps only two idle connections. A busy server then
// opens connections and prepares statements again and again. Call
// SetMaxIdleConns with the same number as SetMaxOpenConns, and
// SetConnMaxLifetime with less than MySQL's wait_timeout.
//
// On MySQL and PostgreSQL a call returns as soon as its context ends. MySQL
// itself goes on waiting for a locked row, for 50 seconds by default, and may
// still save the setting then. This DSN shortens the wait to five seconds, and
// limits the time to connect:
//
//	user:password@tcp(host:3306)/sealtalk?innodb_lock_wait_timeout=5&timeout=5s
//
// If another server may take over from the one at this address, also set
// rejectReadOnly=true, so that the driver closes connections to a server that
// has become read-only. docs/databases.md has the lines that do this with pgx.
//
// On PostgreSQL use the driver pgx. With lib/pq, a call returns only when the
// server answers, even if its context has ended.
//
// On SQLite, one connection writes at a time, and the others fail at once
// unless busy_timeout lets them wait. With a write-ahead log, readers need not
// wait for a writer. This DSN, for modernc.org/sqlite, sets both for every
// connection:
//
//	file:misc.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)
//
// A Store saves one setting at a time on SQLite. Other calls of
// SetScreenCapture wait for their turn without a connection, and return an
// error if their context ends first. If another program is writing, a call
// waits for up to busy_timeout, in milliseconds, whatever its context says, so
// keep that below the time limit of your requests. For a database in memory
// call SetMaxOpenConns(1), since each connection has a database of its own.
//
// A Store uses prepared statements. A connection pooler in front of the
// database must support them, as PgBouncer does since 1.21 if
// max_prepared_statements is set. With an older one, the setting
// default_query_exec_mode of pgx does not help: the Store prepares its
// statements in every mode.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

// A Dialect names the kind of database behind a *sql.DB.
type Dialect string

// The supported databases.
const (
	MySQL      Dialect = "mysql" // and MariaDB
	PostgreSQL Dialect = "postgres"
	SQLite     Dialect = "sqlite" // 3.24 or newer
)

// Config configures a [Store].
type Config struct {
	// Codec translates between public ids and the numbers in the tables. It is
	// required. Its key must be that of the deployment's other servers: with
	// another one, ids are invalid or mean other users.
	Codec *n3d.Codec
}

var (
	_ misc.Store              = (*Store)(nil)
	_ misc.Relations          = (*Store)(nil)
	_ misc.ScreenCaptureStore = (*Store)(nil)
)

// A Store answers from the tables of a database. Use it as Config.Store of
// package misc or, to override a method, as Relations and Captures. Make one
// with [New].
type Store struct {
	codec  *n3d.Codec
	time   func(time.Time) any
	writer chan struct{} // holds one value during a set, nil if sets need not wait for each other

	capture, setCapture, friends, member *sql.Stmt
	friendsAccess, memberAccess          *sql.Stmt // the relation and the setting at once
	check                                *sql.Stmt
}

// New checks the tables and prepares the statements. Its error names every
// invalid argument or, if there is none, every table, column and unique key
// that is missing, and whatever would lose settings that were acknowledged: on
// MySQL an operateId that is not text of 21 characters, an engine without
// transactions, or a connection without autocommit; on PostgreSQL an unlogged
// table. On PostgreSQL, it also names every missing privilege on a column.
//
// New accepts a read-only server, so that an instance can start during a
// failover; [Store.Check] does not. New does not look for the unique key on SQLite: if only that is
// missing, it returns, wrapped, the error with which the database refuses the
// statement. The caller remains responsible for db, and closes it after the
// Store.
func New(ctx context.Context, db *sql.DB, d Dialect, cfg Config) (*Store, error) {
	var faults []error
	if cfg.Codec == nil {
		faults = append(faults, errors.New("sqlstore: Config.Codec is required"))
	}
	dialect, found, err := check(ctx, db, d, tables, faults...)
	if err != nil {
		return nil, err
	}
	member := dialect.member
	if _, ok := found["group_members"][dialect.fold("isDeleted")]; ok {
		member += dialect.isCurrent
	}
	prepare := func(text string) (stmt *sql.Stmt) {
		if err == nil {
			stmt, err = db.PrepareContext(ctx, text)
		}
		return stmt
	}
	s := &Store{
		codec: cfg.Codec, time: dialect.time,
		capture: prepare(dialect.capture), setCapture: prepare(dialect.setCapture),
		friends: prepare(dialect.friends), friendsAccess: prepare(dialect.access(dialect.friends)),
		member: prepare(member), memberAccess: prepare(dialect.access(member)),
		check: prepare(dialect.check),
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: prepare: %w", err), s.Close())
	}
	if dialect.oneWriter {
		s.writer = make(chan struct{}, 1)
	}
	return s, nil
}

// Close closes the prepared statements. The Store cannot be used afterwards.
func (s *Store) Close() error {
	var faults []error
	for _, stmt := range []*sql.Stmt{s.capture, s.setCapture, s.friends, s.member, s.friendsAccess, s.memberAccess, s.check} {
		if stmt != nil { // New closes what it has prepared when the next one fails
			faults = append(faults, stmt.Close())
		}
	}
	return errors.Join(faults...)
}

// Check reports whether the database answers a statement on screen_statuses and
// takes writes, on the connection that the next call would get. It is one
// statement, which writes nothing. Call it where your server says whether it is
// ready, with a time limit below that of the probe: a ping of the *sql.DB is
// answered by a read-only server too, and by a node that has lost its cluster.
//
// The error says which of the two it is: "takes no writes" and the reason, such
// as read_only, a standby, or wsrep_ready on a node of a Galera cluster; or that
// of the database or of ctx. A lock on a row or a synchronous standby that is
// away shows only when a set waits for it. On SQLite, Check waits for its turn
// like a set.
func (s *Store) Check(ctx context.Context) error {
	done, err := s.turn(ctx)
	if err != nil {
		return fmt.Errorf("sqlstore: check: %w", err)
	}
	defer done()
	var reason string
	err = repeat(ctx, func() error { return s.check.QueryRowContext(ctx).Scan(&reason) })
	if err != nil && !errors.Is(err, sql.ErrNoRows) { // SQLite returns none
		return fmt.Errorf("sqlstore: check: %w", err)
	}
	if reason != "" {
		return fmt.Errorf("sqlstore: check: the database takes no writes: %s", reason)
	}
	return nil
}

// ScreenCapture implements [misc.ScreenCaptureStore]. If an id of c cannot be
// decoded, or c is the zero Conversation, the error wraps misc.ErrInvalidID.
func (s *Store) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	operateID, _, _, err := s.numbers(c)
	if err != nil {
		return misc.NoticeOff, err
	}
	var status int64
	err = repeat(ctx, func() error { return s.capture.QueryRowContext(ctx, operateID).Scan(&status) })
	if errors.Is(err, sql.ErrNoRows) {
		return misc.NoticeOff, nil
	}
	if err != nil {
		return misc.NoticeOff, fmt.Errorf("sqlstore: screen capture: %w", err)
	}
	return misc.NoticeStatus(status), nil
}

// SetScreenCapture implements [misc.ScreenCaptureStore]. If an id of c cannot
// be decoded, or c is the zero Conversation, the error wraps misc.ErrInvalidID.
// For a status other than NoticeOff and NoticeOn it is
// misc.ErrInvalidNoticeStatus.
func (s *Store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if status != misc.NoticeOff && status != misc.NoticeOn {
		return misc.ErrInvalidNoticeStatus
	}
	operateID, _, _, err := s.numbers(c)
	if err != nil {
		return err
	}
	done, err := s.turn(ctx)
	if err != nil {
		return fmt.Errorf("sqlstore: set screen capture: %w", err)
	}
	defer done()
	now := s.time(time.Now())
	err = repeat(ctx, func() error {
		_, err := s.setCapture.ExecContext(ctx, operateID, int64(c.Type()), int64(status), now, now, int64(status), now)
		return err
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: set screen capture: %w", err)
}

// turn waits until no other call writes, on SQLite, and reserves that until done
// is called.
func (s *Store) turn(ctx context.Context) (done func(), err error) {
	if s.writer == nil {
		return func() {}, nil
	}
	select {
	case s.writer <- struct{}{}:
		return func() { <-s.writer }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// repeat runs a statement up to nine times, as long as the database undoes it.
// The pause in between doubles; its random half keeps clients that have
// collided from colliding again.
func repeat(ctx context.Context, statement func() error) error {
	for pause := time.Millisecond; ; pause *= 2 {
		err := statement()
		if err == nil || !isUndone(err) || pause > 128*time.Millisecond {
			return err
		}
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isUndone reports whether the database has undone a statement that may succeed
// if it runs again: after a deadlock; on PostgreSQL at the stricter isolation
// levels, and on MariaDB with innodb_snapshot_isolation, when another client has
// changed the row; or because PostgreSQL had closed an idle connection, as it
// does with each of them when it restarts, and after idle_session_timeout.
func isUndone(err error) bool {
	var state interface{ SQLState() string } // the drivers of PostgreSQL
	if errors.As(err, &state) {
		return slices.Contains([]string{"40001", "40P01", "57P01", "57P05"}, state.SQLState())
	}
	text := err.Error() // of the driver of MySQL
	return strings.Contains(text, "Error 1213") || strings.Contains(text, "Error 1020")
}

// AreFriends implements [misc.Relations].
func (s *Store) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	user, other, err := s.decodeBoth("userID", userID, "otherID", otherID)
	return s.related(ctx, s.friends, user, other, err)
}

// IsGroupMember implements [misc.Relations].
func (s *Store) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	user, group, err := s.decodeBoth("userID", userID, "groupID", groupID)
	return s.related(ctx, s.member, group, user, err)
}

// related asks for a relation, unless the ids could not be decoded. The user's is
// decoded first: if both are wrong, so is the key, and not the client.
func (s *Store) related(ctx context.Context, stmt *sql.Stmt, a, b int64, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	var rows int64
	if err := repeat(ctx, func() error { return stmt.QueryRowContext(ctx, a, b).Scan(&rows) }); err != nil {
		return false, fmt.Errorf("sqlstore: relations: %w", err)
	}
	return rows > 0, nil
}

// Access implements [misc.Store]. It is one statement.
func (s *Store) Access(ctx context.Context, userID string, c misc.Conversation) (allowed bool, setting misc.NoticeStatus, err error) {
	user, err := s.decode("userID", userID)
	if err != nil {
		return false, misc.NoticeOff, err
	}
	operateID, first, second, err := s.numbers(c)
	if err != nil {
		return false, misc.NoticeOff, err
	}
	stmt, a, b := s.memberAccess, first, user
	if c.Type() == misc.Private {
		stmt, a, b = s.friendsAccess, user, first
		switch user {
		case first:
			b = second
		case second:
		default: // not one of the two
			return false, misc.NoticeOff, ctx.Err()
		}
	}
	var rows int64
	var status sql.NullInt64
	err = repeat(ctx, func() error { return stmt.QueryRowContext(ctx, a, b, operateID).Scan(&rows, &status) })
	if err != nil {
		return false, misc.NoticeOff, fmt.Errorf("sqlstore: access: %w", err)
	}
	return rows > 0, misc.NoticeStatus(status.Int64), nil // NULL, never set, is 0
}

// numbers returns the key of c in screen_statuses, and the numbers of its group
// or of its two users.
func (s *Store) numbers(c misc.Conversation) (operateID string, a, b int64, err error) {
	if c.Type() == misc.Group {
		a, err = s.decode("group of the conversation", c.GroupID())
		return strconv.FormatInt(a, 10), a, 0, err
	}
	const user = "user of the conversation"
	publicA, publicB := c.Users()
	a, b, err = s.decodeBoth(user, publicA, user, publicB)
	return strconv.FormatInt(min(a, b), 10) + "_" + strconv.FormatInt(max(a, b), 10), a, b, err
}

func (s *Store) decodeBoth(nameA, publicA, nameB, publicB string) (a, b int64, err error) {
	if a, err = s.decode(nameA, publicA); err == nil {
		b, err = s.decode(nameB, publicB)
	}
	return a, b, err
}

func (s *Store) decode(name, public string) (int64, error) {
	id, err := s.codec.Decode(public)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %s: %w", name, err)
	}
	return int64(id), nil
}
