// Package sqlstore is a misc.ScreenCaptureStore and misc.Relations over
// SealTalk's own tables, in MySQL, MariaDB, PostgreSQL or SQLite. It imports no
// driver: the host opens the *sql.DB with the driver and the settings it likes.
//
// # Tables
//
// On an existing deployment the tables screen_statuses, friendships and
// group_members are used as they are, next to SealTalk's own server: a row is
// what the Node server would write. Whether group_members has a column
// isDeleted, as Node's has and Java's has not, is read off the table by [New];
// after adding or dropping it, make a new Store. For a new deployment [Migrate]
// makes the tables.
//
// A setting is one row. Its operateId is the number of the group, or those of
// the two users joined by an underscore, the lower number first: 2_10. A user
// counts another among their friends when friendships has the row (userId,
// friendId) with status 20. A member of a group has a row in group_members,
// with isDeleted 0 where there is such a column.
//
// createdAt and updatedAt are to the second at +08:00 on MySQL, whatever the
// DSN's loc, as Node writes them; to the second in UTC on SQLite; and
// timestamps with a time zone on PostgreSQL.
//
// # Instances
//
// Any number of instances, and SealTalk's own servers, may share one database.
// Each question and each set is one statement outside any transaction, and
// seen by all as soon as it is acknowledged. It needs the right to SELECT from
// the three tables, and to INSERT into and UPDATE screen_statuses.
//
// # Settings of the database
//
// On MySQL and PostgreSQL a context that ends gives up the wait at once. What
// the server has begun it may still finish: MySQL goes on waiting for a locked
// row after its client has left, for as long as innodb_lock_wait_timeout says,
// 50 seconds unless set, and then carries the set out. A DSN such as
//
//	user:password@tcp(host:3306)/sealtalk?innodb_lock_wait_timeout=5&timeout=5s
//
// shortens that, and limits the time to connect. Set *sql.DB's
// SetConnMaxLifetime below the server's wait_timeout.
//
// SQLite lets one connection write at a time, and the others fail at once
// unless told to wait. Have every connection wait, and keep a write-ahead log
// so that reads need not; with modernc.org/sqlite:
//
//	file:misc.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)
//
// The wait for another writer does not heed a context; keep busy_timeout below
// the time that a request may take. For a database in memory,
// SetMaxOpenConns(1): each connection has its own.
//
// The statements are prepared. A pooler that gives each statement another
// connection must keep track of prepared statements, as PgBouncer does since
// 1.21.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// Config says how a [Store] reads public ids. Codec is required.
type Config struct {
	// Codec has the deployment's key: the tables hold numbers.
	Codec *n3d.Codec

	// Now is the clock behind createdAt and updatedAt. Nil means time.Now.
	Now func() time.Time
}

var _ misc.RelatedStore = (*Store)(nil)

// A Store answers from the tables. Make one with [New].
type Store struct {
	dialect dialect
	cfg     Config

	capture, setCapture, friends, member *sql.Stmt
	friendsCapture, memberCapture        *sql.Stmt // both questions at once
}

// New checks the tables and prepares the statements, or returns an error that
// names every fault of cfg, or every table, column and key that is missing.
// The db stays the host's to close, after the Store.
func New(ctx context.Context, db *sql.DB, d Dialect, cfg Config) (*Store, error) {
	var faults []error
	if db == nil {
		faults = append(faults, errors.New("sqlstore: db is required"))
	}
	dialect, err := dialectOf(d)
	if err != nil {
		faults = append(faults, err)
	}
	if cfg.Codec == nil {
		faults = append(faults, errors.New("sqlstore: Config.Codec is required"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	found, err := dialect.find(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := found.check(); err != nil {
		return nil, err
	}
	member := dialect.member
	if _, ok := found["group_members"]["isDeleted"]; ok {
		member += dialect.notDeleted
	}
	// The first column of both is the relation, the second the setting.
	capture := `, (` + strings.NewReplacer("?", dialect.third, "$1", dialect.third).Replace(dialect.capture) + `)`
	s := &Store{dialect: dialect, cfg: cfg}
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.capture, dialect.capture},
		{&s.setCapture, dialect.setCapture},
		{&s.friends, dialect.friends},
		{&s.member, member},
		{&s.friendsCapture, `SELECT (` + dialect.friends + `)` + capture},
		{&s.memberCapture, `SELECT (` + member + `)` + capture},
	} {
		if *p.stmt, err = db.PrepareContext(ctx, p.text); err != nil {
			return nil, errors.Join(fmt.Errorf("sqlstore: prepare: %w", err), s.Close())
		}
	}
	return s, nil
}

// Close gives up the prepared statements. The Store is of no use afterwards.
func (s *Store) Close() error {
	var faults []error
	for _, stmt := range []*sql.Stmt{s.capture, s.setCapture, s.friends, s.member, s.friendsCapture, s.memberCapture} {
		if stmt != nil { // New closes what it has prepared when the next one fails
			faults = append(faults, stmt.Close())
		}
	}
	return errors.Join(faults...)
}

// ScreenCapture implements [misc.ScreenCaptureStore]. A Conversation that is
// not of this deployment's ids, the zero one included, is misc.ErrInvalidID.
func (s *Store) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	operateID, err := s.operateID(c)
	if err != nil {
		return misc.NoticeOff, err
	}
	var status int64
	err = repeat(func() error { return s.capture.QueryRowContext(ctx, operateID).Scan(&status) })
	if errors.Is(err, sql.ErrNoRows) {
		return misc.NoticeOff, nil
	}
	if err != nil {
		return misc.NoticeOff, fmt.Errorf("sqlstore: screen capture: %w", err)
	}
	return misc.NoticeStatus(status), nil
}

// SetScreenCapture implements [misc.ScreenCaptureStore]. A status that is
// neither NoticeOff nor NoticeOn is misc.ErrInvalidNoticeStatus.
func (s *Store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if status != misc.NoticeOff && status != misc.NoticeOn {
		return misc.ErrInvalidNoticeStatus
	}
	operateID, err := s.operateID(c)
	if err != nil {
		return err
	}
	now := s.dialect.time(s.cfg.Now())
	err = repeat(func() error {
		_, err := s.setCapture.ExecContext(ctx, operateID, int64(c.Type()), int64(status), now, now, int64(status), now)
		return err
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: set screen capture: %w", err)
}

// maxAttempts is how often a statement is tried that the database has undone
// for a reason of its own. Each of them may be run again.
const maxAttempts = 40

func repeat(statement func() error) (err error) {
	for range maxAttempts {
		if err = statement(); err == nil || !isUndone(err) {
			break
		}
	}
	return err
}

// isUndone reports whether the database has undone a statement because of
// another client's, by a deadlock or on PostgreSQL at the stricter isolation
// levels by a row that has changed meanwhile, or because PostgreSQL had ended
// an idle connection, as it does with each when it restarts. The same statement
// may then succeed.
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
	if err := repeat(func() error { return stmt.QueryRowContext(ctx, a, b).Scan(&rows) }); err != nil {
		return false, fmt.Errorf("sqlstore: relations: %w", err)
	}
	return rows > 0, nil
}

// RelatedScreenCapture implements [misc.RelatedStore].
func (s *Store) RelatedScreenCapture(ctx context.Context, userID string, c misc.Conversation) (related bool, _ misc.NoticeStatus, err error) {
	operateID, err := s.operateID(c)
	if err != nil {
		return false, misc.NoticeOff, err
	}
	stmt, nameA, publicA, nameB, publicB := s.memberCapture, "groupID", c.GroupID(), "userID", userID
	if c.Type() == misc.Private {
		other, b := c.Users()
		if other == userID {
			other = b
		}
		stmt, nameA, publicA, nameB, publicB = s.friendsCapture, "userID", userID, "otherID", other
	}
	a, b, err := s.decodeBoth(nameA, publicA, nameB, publicB)
	if err != nil {
		return false, misc.NoticeOff, err
	}
	var rows int64
	var status sql.NullInt64
	err = repeat(func() error { return stmt.QueryRowContext(ctx, a, b, operateID).Scan(&rows, &status) })
	if err != nil {
		return false, misc.NoticeOff, fmt.Errorf("sqlstore: related screen capture: %w", err)
	}
	return rows > 0, misc.NoticeStatus(status.Int64), nil // NULL, never set, is 0
}

// operateID returns the key of c in screen_statuses.
func (s *Store) operateID(c misc.Conversation) (string, error) {
	if c.Type() == misc.Group {
		group, err := s.decode("group of the conversation", c.GroupID())
		return strconv.FormatInt(group, 10), err
	}
	publicA, publicB := c.Users()
	a, err := s.decode("user of the conversation", publicA)
	if err != nil {
		return "", err
	}
	b, err := s.decode("user of the conversation", publicB)
	return strconv.FormatInt(min(a, b), 10) + "_" + strconv.FormatInt(max(a, b), 10), err
}

func (s *Store) decodeBoth(nameA, publicA, nameB, publicB string) (a, b int64, err error) {
	if a, err = s.decode(nameA, publicA); err == nil {
		b, err = s.decode(nameB, publicB)
	}
	return a, b, err
}

func (s *Store) decode(name, public string) (int64, error) {
	id, err := s.cfg.Codec.Decode(public)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %s: %w", name, err)
	}
	return int64(id), nil
}
