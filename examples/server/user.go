package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/session"
	"github.com/sealtalk-go/misc/sqlstore"
)

// currentUser finds out who sends a request, as httpapi.Config.CurrentUser does.
type currentUser = func(*http.Request) (string, error)

// logins are the servers whose cookie -login can read.
var logins = map[string]session.Format{"node2019": session.InsecureNode2019, "java2020": session.Java2020, "java2025": session.Java2025}

// openLogin returns a reader of the cookies of the server that -login names, and
// the tokens that must be closed, if it has any. Without -login, it returns none.
func openLogin(ctx context.Context, db *database, cfg config) (_ currentUser, _ *sqlstore.Tokens, state string, _ error) {
	code := fmt.Sprintf("; a missing login has the code %d", cmp.Or(cfg.notLoggedIn, http.StatusForbidden))
	if cfg.login == "" {
		return nil, nil, "that of login.go, since there is no -login" + code, nil
	}
	c := session.Config{Format: logins[cfg.login], Cookie: cfg.cookieName, Key: cfg.cookieKey, Codec: cfg.codec, MaxAge: cfg.cookieMaxAge}
	var tokens *sqlstore.Tokens
	name := cmp.Or(c.Cookie, "rong_auth_cookie")
	if c.Cookie == "" && c.Format == session.Java2025 {
		name = "st_cookie"
	}
	where := "its cookie " + name
	if c.Format == session.Java2025 {
		var err error
		if tokens, err = sqlstore.NewTokens(ctx, db.DB, db.dialect); err != nil {
			return nil, nil, "", err
		}
		c.Tokens, where = &recentTokens{TokenStore: tokens}, where+" and the table login_token"
	}
	reader, err := session.New(c)
	if err != nil {
		return nil, tokens, "", usageErrorf("-login, -auth-cookie-…: %w", err)
	}
	age := "no maximum age"
	if c.MaxAge > 0 {
		age = "a maximum age of " + c.MaxAge.String()
	}
	return reader.CurrentUser, tokens, fmt.Sprintf("at %s, by %s, with %s%s", cfg.login, where, age, code), nil
}

// A user is what the login found out about a request.
type user struct {
	id  string
	err error
}

type userKey struct{}

// logIn asks who sends each request, once, for those that [userOf] tells.
func logIn(who currentUser, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := who(r)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user{id, err})))
	})
}

// userOf returns the user whom [logIn] has found, or its error: a login that
// could not be checked is not a missing one.
func userOf(r *http.Request) (string, error) {
	u, ok := r.Context().Value(userKey{}).(user)
	if !ok {
		return "", httpapi.ErrNotLoggedIn
	}
	return u.id, u.err
}

// recentTokens asks for a token once a second at most: a cookie is checked before a
// limit can refuse the request, and so many requests with one cookie would all reach
// the database.
type recentTokens struct {
	session.TokenStore
	mu    sync.Mutex
	known map[int64]recentToken
}

type recentToken struct {
	asked    time.Time
	userID   uint32
	loggedIn time.Time
	found    bool
}

// maxRecentTokens is how many tokens are kept. That is less than a megabyte.
const maxRecentTokens = 10_000

func (r *recentTokens) LoginToken(ctx context.Context, id int64) (userID uint32, loggedIn time.Time, found bool, err error) {
	r.mu.Lock()
	t, isKnown := r.known[id]
	r.mu.Unlock()
	if !isKnown || time.Since(t.asked) >= time.Second {
		t = recentToken{asked: time.Now()}
		if t.userID, t.loggedIn, t.found, err = r.TokenStore.LoginToken(ctx, id); err != nil {
			return 0, time.Time{}, false, err
		}
		r.mu.Lock()
		if r.known == nil || len(r.known) >= maxRecentTokens {
			r.known = map[int64]recentToken{}
		}
		r.known[id] = t
		r.mu.Unlock()
	}
	return t.userID, t.loggedIn, t.found, nil
}
