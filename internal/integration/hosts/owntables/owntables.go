// Package owntables is misc.Relations and misc.ScreenCaptureStore on a team's
// own tables, in SQLite.
package owntables

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sealtalk-go/misc"
)

// Schema creates the tables.
const Schema = `
	CREATE TABLE contacts (owner TEXT, contact TEXT, PRIMARY KEY (owner, contact));
	CREATE TABLE teams (team TEXT, member TEXT, PRIMARY KEY (team, member));
	CREATE TABLE notices (conversation TEXT PRIMARY KEY, status INTEGER);`

// A Store answers from the tables. The ids in them are those that clients send.
type Store struct{ db *sql.DB }

// New returns a Store on db.
func New(db *sql.DB) *Store { return &Store{db} }

// AreFriends implements misc.Relations.
func (s *Store) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	return s.has(ctx, `SELECT COUNT(*) FROM contacts WHERE owner = ? AND contact = ?`, userID, otherID)
}

// IsGroupMember implements misc.Relations.
func (s *Store) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	return s.has(ctx, `SELECT COUNT(*) FROM teams WHERE team = ? AND member = ?`, groupID, userID)
}

func (s *Store) has(ctx context.Context, query string, args ...any) (bool, error) {
	var rows int
	if err := s.db.QueryRowContext(ctx, query, args...).Scan(&rows); err != nil {
		return false, fmt.Errorf("owntables: %w", err)
	}
	return rows > 0, nil
}

// ScreenCapture implements misc.ScreenCaptureStore.
func (s *Store) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	var status misc.NoticeStatus
	err := s.db.QueryRowContext(ctx, `SELECT status FROM notices WHERE conversation = ?`, c.String()).Scan(&status)
	if errors.Is(err, sql.ErrNoRows) { // never set
		return misc.NoticeOff, nil
	}
	if err != nil {
		return misc.NoticeOff, fmt.Errorf("owntables: %w", err)
	}
	return status, nil
}

// SetScreenCapture implements misc.ScreenCaptureStore.
func (s *Store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if status != misc.NoticeOff && status != misc.NoticeOn {
		return misc.ErrInvalidNoticeStatus
	}
	_, err := s.db.ExecContext(ctx, `INSERT INTO notices (conversation, status) VALUES (?, ?)
		ON CONFLICT (conversation) DO UPDATE SET status = excluded.status`, c.String(), status)
	if err != nil {
		return fmt.Errorf("owntables: %w", err)
	}
	return nil
}
