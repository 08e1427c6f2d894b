package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
)

// Tokens reads the table login_token of SealTalk's Java server of 2025, in which
// each login has a row until the logout. It is a session.TokenStore. Make it
// with [NewTokens].
type Tokens struct{ token *sql.Stmt }

// NewTokens checks the table and prepares the statement. Its error names what is
// missing, as that of [New] does. Tokens needs the privilege SELECT on the
// columns id, user_id and login_time. The caller remains responsible for db.
func NewTokens(ctx context.Context, db *sql.DB, d Dialect) (*Tokens, error) {
	stmt, err := prepareChecked(ctx, db, d, table{"login_token", []column{{"id", "SELECT"}, {"user_id", "SELECT"}, {"login_time", "SELECT"}}},
		func(d dialect) string { return d.token })
	if err != nil {
		return nil, err
	}
	return &Tokens{stmt}, nil
}

// Close closes the prepared statement. Tokens cannot be used afterwards.
func (t *Tokens) Close() error { return t.token.Close() }

// LoginToken returns the user and the time of the login with this id, or found
// as false if there is no such row. It is one statement by the primary key.
func (t *Tokens) LoginToken(ctx context.Context, id int64) (userID uint32, loggedIn time.Time, found bool, err error) {
	var user, ms sql.NullInt64
	err = repeat(ctx, func() error { return t.token.QueryRowContext(ctx, id).Scan(&user, &ms) })
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, time.Time{}, false, nil
	case err != nil:
		return 0, time.Time{}, false, fmt.Errorf("sqlstore: login token: %w", err)
	case user.Int64 < 1 || user.Int64 > math.MaxUint32: // nobody's, NULL included
		return 0, time.Time{}, false, nil
	}
	return uint32(user.Int64), time.UnixMilli(ms.Int64), true, nil
}

// prepareChecked checks a table and prepares a statement that reads it.
func prepareChecked(ctx context.Context, db *sql.DB, d Dialect, t table, statement func(dialect) string) (*sql.Stmt, error) {
	dialect, _, err := check(ctx, db, d, []table{t})
	if err != nil {
		return nil, err
	}
	stmt, err := db.PrepareContext(ctx, statement(dialect))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: prepare: %w", err)
	}
	return stmt, nil
}
