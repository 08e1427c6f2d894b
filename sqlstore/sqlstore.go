// Package sqlstore implements misc.ScreenCaptureStore and misc.Relations over
// SealTalk's own tables, in MySQL, MariaDB, PostgreSQL or SQLite. It imports no
// driver: the host opens the *sql.DB with a driver and settings of its choice.
//
// # Tables
//
// An existing deployment's tables screen_statuses, friendships and
// group_members are used as they are, next to SealTalk's own server: the rows
// are those that the Node server would write. Friendships and group_members may
// be views. For a new deployment, [Migrate] makes the tables.
//
// A setting is one row. Its operateId is the number of the group, or those of
// the two users joined by an underscore, the lower number first: 2_10. A user
// counts another among their friends when friendships has the row (userId,
// friendId) with status 20. A member of a group has a row in group_members,
// with isDeleted 0 if that column exists, as in Node's table but not in Java's.
// Make a new Store after adding or dropping it.
//
// CreatedAt and updatedAt are to the second at +08:00 on MySQL, whatever the
// DSN's loc, as Node writes them; to the second in UTC on SQLite; and
// timestamps with a time zone on PostgreSQL.
//
// # Instances
//
// Any number of instances, and SealTalk's own servers, may share one database.
// Each question and each set is one statement outside any transaction, and an
// acknowledged set is visible to all at once. A Store needs the right to SELECT
// from the three tables, and to INSERT into and UPDATE screen_statuses; on
// PostgreSQL also USAGE of the sequence if the id is a serial.
//
// # Settings of the database
//
// By default a *sql.DB keeps only two idle connections, so that a busy server
// connects and prepares all the time. Set SetMaxIdleConns to the same number as
// SetMaxOpenConns, and SetConnMaxLifetime below MySQL's wait_timeout.
//
// On MySQL and PostgreSQL a call returns as soon as its context ends. MySQL
// itself goes on waiting for a locked row for innodb_lock_wait_timeout, 50
// seconds by default, and then carries out the set. A DSN such as
//
//	user:password@tcp(host:3306)/sealtalk?innodb_lock_wait_timeout=5&timeout=5s
//
// shortens that, and limits the time to connect. On PostgreSQL use pgx: lib/pq
// ignores the context while the server is silent.
//
// SQLite lets one connection write at a time, and the others fail at once
// unless told to wait. Let every connection wait, and keep a write-ahead log so
// that reads need not; with modernc.org/sqlite:
//
//	file:misc.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)
//
// A Store sends one set at a time to SQLite; the others wait without a
// connection until their context ends. The wait for a writer outside the Store
// ignores the context: keep busy_timeout below the limit of a request. A
// database in memory needs SetMaxOpenConns(1): each connection has its own.
//
// The statements are prepared. A pooler that gives each statement another
// connection must keep track of prepared statements, as PgBouncer does since
// 1.21. The exec modes of pgx do not help with an older one: a Store prepares
// its statements in all of them.
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

// Dialect names the database behind a *sql.DB.
type Dialect string

// The databases that the package knows.
const (
	MySQL      Dialect = "mysql" // and MariaDB
	PostgreSQL Dialect = "postgres"
	SQLite     Dialect = "sqlite" // 3.24 or newer
)

// Config says how a [Store] reads public ids.
type Config struct {
	// Codec translates between public ids and the numbers in the tables. It
	// is required, and has the key of the deployment.
	Codec *n3d.Codec
}

var _ misc.RelatedStore = (*Store)(nil)

// A Store answers from the tables. Make one with [New].
type Store struct {
	codec  *n3d.Codec
	time   func(time.Time) any
	writer chan struct{} // holds one value during a set, nil if sets need not wait for each other

	capture, setCapture, friends, member *sql.Stmt
	friendsCapture, memberCapture        *sql.Stmt // the relation and the setting at once
}

// New checks the tables and prepares the statements. Its error names every
// fault of cfg, or every table, column, key and, on PostgreSQL, right that is
// missing. The host closes db, after the Store.
func New(ctx context.Context, db *sql.DB, d Dialect, cfg Config) (*Store, error) {
	dialect, err := dialectOf(d)
	faults := []error{err}
	if db == nil {
		faults = append(faults, errors.New("sqlstore: db is required"))
	}
	if cfg.Codec == nil {
		faults = append(faults, errors.New("sqlstore: Config.Codec is required"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	found, err := dialect.find(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := dialect.check(found); err != nil {
		return nil, err
	}
	member, memberCapture := dialect.member, dialect.memberCapture
	if _, ok := found["group_members"][dialect.fold("isDeleted")]; ok {
		member, memberCapture = dialect.current, dialect.currentCapture
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
		friends: prepare(dialect.friends), friendsCapture: prepare(dialect.friendsCapture),
		member: prepare(member), memberCapture: prepare(memberCapture),
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
	for _, stmt := range []*sql.Stmt{s.capture, s.setCapture, s.friends, s.member, s.friendsCapture, s.memberCapture} {
		if stmt != nil { // New closes what it has prepared when the next one fails
			faults = append(faults, stmt.Close())
		}
	}
	return errors.Join(faults...)
}

// ScreenCapture implements [misc.ScreenCaptureStore]. If an id of c is not one
// of this deployment, or c is the zero Conversation, the error is
// misc.ErrInvalidID.
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

// SetScreenCapture implements [misc.ScreenCaptureStore]. For a status other than
// NoticeOff and NoticeOn the error is misc.ErrInvalidNoticeStatus.
func (s *Store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if status != misc.NoticeOff && status != misc.NoticeOn {
		return misc.ErrInvalidNoticeStatus
	}
	operateID, _, _, err := s.numbers(c)
	if err != nil {
		return err
	}
	if s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return fmt.Errorf("sqlstore: set screen capture: %w", ctx.Err())
		}
	}
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

// repeat runs a statement up to nine times, as long as the database undoes it.
// The pause in between doubles; its random half keeps apart clients that have
// met once.
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
// levels when another client has changed the row; or because PostgreSQL had
// closed an idle connection, as it does with each of them when it restarts.
func isUndone(err error) bool {
	var state interface{ SQLState() string } // the drivers of PostgreSQL
	if errors.As(err, &state) {
		return slices.Contains([]string{"40001", "40P01", "57P01"}, state.SQLState())
	}
	return strings.Contains(err.Error(), "Error 1213") // the driver of MySQL
}

// AreFriends implements [misc.Relations].
func (s *Store) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	return s.related(ctx, s.friends, "userID", userID, "otherID", otherID)
}

// IsGroupMember implements [misc.Relations].
func (s *Store) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	return s.related(ctx, s.member, "groupID", groupID, "userID", userID)
}

func (s *Store) related(ctx context.Context, stmt *sql.Stmt, nameA, publicA, nameB, publicB string) (bool, error) {
	a, b, err := s.decodeBoth(nameA, publicA, nameB, publicB)
	if err != nil {
		return false, err
	}
	var rows int64
	if err := repeat(ctx, func() error { return stmt.QueryRowContext(ctx, a, b).Scan(&rows) }); err != nil {
		return false, fmt.Errorf("sqlstore: relations: %w", err)
	}
	return rows > 0, nil
}

// RelatedScreenCapture implements [misc.RelatedStore].
func (s *Store) RelatedScreenCapture(ctx context.Context, userID string, c misc.Conversation) (related bool, _ misc.NoticeStatus, err error) {
	operateID, first, second, err := s.numbers(c)
	var user int64
	if err == nil {
		user, err = s.decode("userID", userID)
	}
	if err != nil {
		return false, misc.NoticeOff, err
	}
	stmt, a, b := s.memberCapture, first, user
	if c.Type() == misc.Private {
		stmt, a, b = s.friendsCapture, user, first
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
		return false, misc.NoticeOff, fmt.Errorf("sqlstore: related screen capture: %w", err)
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
