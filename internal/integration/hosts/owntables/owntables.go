// Package owntables is a misc.Store over a team's own tables in MySQL, MariaDB or PostgreSQL.
package owntables

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sealtalk-go/misc"
)

// MySQLSchema creates the tables in MySQL and MariaDB. Columns with ids are VARBINARY: with a collation such as
// utf8mb4_general_ci, "Bob" and "bob " would be bob, and so a friend of bob's friends.
const MySQLSchema = `
	CREATE TABLE contacts (owner VARBINARY(256), contact VARBINARY(256), PRIMARY KEY (owner, contact));
	CREATE TABLE team_members (team VARBINARY(256), member VARBINARY(256), PRIMARY KEY (team, member));
	CREATE TABLE notices (conversation VARBINARY(1600) PRIMARY KEY, status TINYINT NOT NULL);`

// PostgreSQLSchema creates them in PostgreSQL, which compares text byte by byte.
const PostgreSQLSchema = `
	CREATE TABLE contacts (owner text, contact text, PRIMARY KEY (owner, contact));
	CREATE TABLE team_members (team text, member text, PRIMARY KEY (team, member));
	CREATE TABLE notices (conversation text PRIMARY KEY, status smallint NOT NULL);`

const (
	setting = `, COALESCE((SELECT status FROM notices WHERE conversation = ?), 0)`
	friend  = `SELECT EXISTS (SELECT 1 FROM contacts WHERE owner = ? AND contact = ?)` + setting
	member  = `SELECT EXISTS (SELECT 1 FROM team_members WHERE team = ? AND member = ?)` + setting
	insert  = `INSERT INTO notices (conversation, status) VALUES (?, ?)`
)

// A Store answers from the tables. The ids in them are those that clients send.
type Store struct{ friend, member, set *sql.Stmt }

var _ misc.Store = (*Store)(nil)

// New prepares the statements. Otherwise, the driver of MySQL would prepare one for each call: two round trips
// instead of one.
func New(ctx context.Context, db *sql.DB, postgreSQL bool) (*Store, error) {
	update := ` ON DUPLICATE KEY UPDATE status = VALUES(status)`
	if postgreSQL {
		update = ` ON CONFLICT (conversation) DO UPDATE SET status = EXCLUDED.status`
	}
	s := &Store{}
	for text, stmt := range map[string]**sql.Stmt{friend: &s.friend, member: &s.member, insert + update: &s.set} {
		for n := 1; postgreSQL && strings.Contains(text, "?"); n++ {
			text = strings.Replace(text, "?", "$"+strconv.Itoa(n), 1)
		}
		var err error
		if *stmt, err = db.PrepareContext(ctx, text); err != nil {
			return nil, fmt.Errorf("owntables: %w", err)
		}
	}
	return s, nil
}

// Access implements misc.Store. A rule of your own, such as a block list, belongs into its statements.
func (s *Store) Access(ctx context.Context, userID string, c misc.Conversation) (allowed bool, status misc.NoticeStatus, err error) {
	stmt, a, b := s.member, c.GroupID(), userID
	if c.Type() == misc.Private {
		first, second := c.Users()
		switch userID {
		case first:
			stmt, a, b = s.friend, userID, second
		case second:
			stmt, a, b = s.friend, userID, first
		default: // a conversation of others
			return false, misc.NoticeOff, ctx.Err()
		}
	}
	if err := stmt.QueryRowContext(ctx, a, b, c.String()).Scan(&allowed, &status); err != nil {
		return false, misc.NoticeOff, fmt.Errorf("owntables: access: %w", err)
	}
	return allowed, status, nil
}

// SetScreenCapture implements misc.Store.
func (s *Store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if status != misc.NoticeOff && status != misc.NoticeOn {
		return misc.ErrInvalidNoticeStatus
	}
	if _, err := s.set.ExecContext(ctx, c.String(), status); err != nil {
		return fmt.Errorf("owntables: set: %w", err)
	}
	return nil
}

// Close closes the statements, but not the database.
func (s *Store) Close() error {
	return errors.Join(s.friend.Close(), s.member.Close(), s.set.Close())
}
