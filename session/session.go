// Package session tells who sends a request, by the cookie of SealTalk's own
// servers. It is for the day on which /misc/ moves from such a server to yours:
// clients still log in there and send its cookie with every request, and a
// [Reader] finds the user in it, so that nobody has to log in again.
//
// SealTalk has had three forms of the cookie:
//
//	Format            the server that sets it  the text in it        encrypted with       encoded in
//	InsecureNode2019  Node, 2019               salt|user|ms          AES-256-CTR          lower-case hex
//	Java2020          Java, 2020 and 2021      salt|user|ms          AES-128-ECB, PKCS#7  standard base64
//	Java2025          Java, 2025               salt|user|ms|token    AES-128-ECB, PKCS#7  standard base64
//
// The salt is a random number from 1000 to 9999, user is the number of the user
// in the database, ms is the time of the login in milliseconds since 1970, and
// token is the id of a row in the table login_token. A value that differs from
// its form in any way is not a valid cookie. The AES key of the Java forms is the
// first 16 bytes of SHA-1(SHA-1(Key)). Key and IV of the Node form are those that
// OpenSSL's EVP_BytesToKey makes of Key with MD5, one round and no salt.
//
// None of the forms has a MAC. Read the comment of yours before you use it: in
// the Node form, whoever is logged in can pose as any other user.
//
// CurrentUser is what package httpapi asks for:
//
//	reader, err := session.New(session.Config{
//		Format: session.Java2020,
//		Key:    os.Getenv("AUTH_COOKIE_KEY"), // the key of the old server
//		Codec:  codec,
//	})
//	…
//	h, err := httpapi.New(httpapi.Config{
//		Service:         svc,
//		CurrentUser:     reader.CurrentUser,
//		NotLoggedInCode: 10000,
//	})
package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	// maxRowAge is how long the Java server of 2025 accepts a row of login_token.
	maxRowAge = 7 * 24 * time.Hour

	// maxLookUps limits the tokens that one request can make the TokenStore look up.
	maxLookUps = 3

	// maxAhead is how far ahead of this server's clock the one that set a cookie may be.
	maxAhead = 5 * time.Minute
)

// A Format is a form of the cookie: one of the constants.
type Format string

const (
	// InsecureNode2019 does not protect against forged cookies. Every cookie is
	// encrypted with the same keystream, and there is no MAC: whoever is logged
	// in can turn their cookie into that of any other user, and nothing tells it
	// from a real one. Such a user can then send messages in anyone's name.
	//
	// The Node server accepts the same forged cookies at all of its endpoints.
	// Reading them opens nothing that is not already open there. This holds only
	// as long as that server runs: when it is switched off, stop using this
	// format.
	InsecureNode2019 Format = "insecure-node-2019"

	// Java2020 does not protect against cookies that are put together from
	// others. Each block of 16 bytes is encrypted by itself, with the same key
	// and without a MAC, so a block of one cookie can replace that of another.
	// The number of the user is in the first block, and the end of the time, or
	// all of it, in the second: whoever has a stolen cookie that is too old for
	// MaxAge can try to make it newer with a block of their own.
	Java2020 Format = "java-2020"

	// Java2025 has the weakness of Java2020: blocks can be exchanged between
	// cookies, those with the token too. But a cookie is valid only if its token
	// is the id of a row in login_token that belongs to its user, so a forged
	// one needs a row of that user from the last seven days. A logout, which
	// deletes the row, counts at once.
	Java2025 Format = "java-2025"
)

// Config configures a [Reader]. Format, Key and Codec are required, and Tokens
// with Java2025.
//
// Packages fmt, encoding/json, encoding/xml and log/slog do not print Key, except
// in two cases: fmt prints it for a verb that is not for strings, such as %d or
// %p, and fmt and slog's TextHandler print it if the Config is in an unexported
// field of another struct. Package encoding/gob cannot encode a Config.
type Config struct {
	Format Format

	// Cookie is the name of the cookie: st_cookie, not st_cookie=. Empty means
	// st_cookie with Java2025, and rong_auth_cookie with the others. The Node
	// server calls this setting AUTH_COOKIE_NAME.
	Cookie string

	// Key is the key of the old server for its cookies, in UTF-8, which the Node
	// server calls AUTH_COOKIE_KEY. A key that is read from a file often ends in
	// a newline, which is refused: use strings.TrimSpace. Package encoding/json
	// neither encodes nor decodes it.
	Key string `json:"-" xml:"-"`

	// Codec makes the public id of the user. It has the key that the old server
	// uses for public ids, which is not Key.
	Codec *n3d.Codec `json:"-"`

	// MaxAge is the age at which a cookie stops being valid, by the time of the
	// login in it. Write 30 * 24 * time.Hour, not 30. It protects against old
	// stolen cookies, and not against forged ones, whose time can be forged too.
	// It must not be negative. 0 means no limit, as at the old servers, whose
	// clients may send a cookie for longer than its Max-Age says.
	//
	// With a MaxAge, a cookie from more than five minutes in the future is not
	// valid. Without one, the time is not checked at all.
	//
	// With Java2025, there is a second limit that does not depend on MaxAge: the
	// time in the row of login_token is at most seven days ago.
	MaxAge time.Duration

	// Tokens is required with Java2025, and must be nil with the others.
	Tokens TokenStore `json:"-"`
}

// A TokenStore reads SealTalk's table login_token, in which the Java server of
// 2025 has a row for each login until the logout. sqlstore.NewTokens returns
// one.
type TokenStore interface {
	// LoginToken returns user_id and login_time of the row with this id. If
	// there is no such row, found is false and err is nil. An error means that
	// the row could not be read, and the answer to the client is 500.
	//
	// It is called for every request that needs a user, at most three times,
	// with the context of the request. It must not cache, since a logout
	// deletes the row and counts at once, and must be safe for concurrent use.
	LoginToken(ctx context.Context, id int64) (userID uint32, loggedIn time.Time, found bool, err error)
}

// String returns all fields but the key.
func (c Config) String() string {
	type plain Config // without this method
	c.Key = ""
	return fmt.Sprintf("%+v", plain(c))
}

// GoString implements [fmt.GoStringer], without the key.
func (c Config) GoString() string {
	type plain Config
	c.Key = ""
	return fmt.Sprintf("%#v", plain(c))
}

// A Reader finds the user of a request. Make one with [New].
type Reader struct {
	cfg     Config                                    // without the key
	decrypt func(value string) (text string, ok bool) // a function, since fmt would print a key
}

// New returns a Reader for cfg, or an error that names every problem with cfg.
func New(cfg Config) (*Reader, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Cookie == "" {
		cfg.Cookie = cfg.Format.cookie()
	}
	rd := &Reader{cfg, cfg.Format.decrypter(cfg.Key)}
	rd.cfg.Key = ""
	return rd, nil
}

// validate shows no values: one of them may be a key in the wrong place.
func (c Config) validate() error {
	var problems []error
	add := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New("session: Config."+problem))
		}
	}
	known := c.Format.cookie() != ""
	add(!known, "Format must be InsecureNode2019, Java2020 or Java2025")
	add(c.Cookie != "" && (&http.Cookie{Name: c.Cookie}).Valid() != nil, "Cookie must be the name of a cookie, such as rong_auth_cookie")
	add(c.Key == "" || !utf8.ValidString(c.Key) || strings.ContainsAny(c.Key, "\r\n"), "Key must be UTF-8 without line breaks, and not empty")
	add(c.Codec == nil, "Codec is required")
	add(c.MaxAge < 0, "MaxAge must not be negative")
	add(c.Format == Java2025 && isNil(c.Tokens), "Tokens is required with Java2025, and must not hold a nil pointer")
	add(c.Format != Java2025 && known && c.Tokens != nil, "Tokens is for Java2025 only")
	return errors.Join(problems...)
}

func isNil(t TokenStore) bool {
	v := reflect.ValueOf(t)
	return t == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// CurrentUser returns the public id of the user whose cookie r has. Use it as
// httpapi.Config.CurrentUser.
//
// If there are several cookies of the name, the first that is valid counts. If
// none is valid, the error wraps httpapi.ErrNotLoggedIn. With Java2025, the
// TokenStore is asked for at most three different tokens of a request, and
// cookies with further tokens are not valid. An error of the TokenStore is
// wrapped and returned at once, even if a later cookie would be valid. If that
// error itself wraps httpapi.ErrNotLoggedIn, only its text is kept, so that it
// is not taken for a missing login.
//
// The cookies are those that http.Request.CookiesNamed returns. Since Go 1.25.2,
// these are none if the request has more than 3000 cookies.
func (rd *Reader) CurrentUser(r *http.Request) (string, error) {
	rows := make(map[int64]row)
	for _, c := range r.CookiesNamed(rd.cfg.Cookie) {
		l, ok := rd.login(c.Value)
		if ok && rd.cfg.Format == Java2025 {
			var err error
			if ok, err = rd.confirm(r.Context(), l, rows); err != nil {
				return "", err
			}
		}
		if ok {
			return rd.cfg.Codec.Encode(l.user)
		}
	}
	return "", fmt.Errorf("session: no valid cookie %s: %w", rd.cfg.Cookie, httpapi.ErrNotLoggedIn)
}

// login returns what the value of a cookie says, or false if it is not of the
// format or too old.
func (rd *Reader) login(value string) (l login, ok bool) {
	if len(value) > maxValue {
		return l, false
	}
	text, ok := rd.decrypt(value)
	if !ok {
		return l, false
	}
	if l, ok = rd.cfg.Format.parse(text); !ok {
		return l, false
	}
	age := time.Since(l.at)
	return l, rd.cfg.MaxAge == 0 || -maxAhead <= age && age <= rd.cfg.MaxAge
}

// A row is one of login_token. Its userID is 0 if there is no such row.
type row struct {
	userID   uint32
	loggedIn time.Time
}

// confirm reports whether there is a row for the token and the user of l that is
// not too old. The rows that this request has asked for are kept in rows.
func (rd *Reader) confirm(ctx context.Context, l login, rows map[int64]row) (bool, error) {
	known, asked := rows[l.token]
	if !asked && len(rows) < maxLookUps {
		userID, loggedIn, found, err := rd.cfg.Tokens.LoginToken(ctx, l.token)
		if errors.Is(err, httpapi.ErrNotLoggedIn) {
			return false, fmt.Errorf("session: login token: %v", err) // without the chain, which would make it a 403
		}
		if err != nil {
			return false, fmt.Errorf("session: login token: %w", err)
		}
		if found {
			known = row{userID, loggedIn}
		}
		rows[l.token] = known
	}
	return known.userID == l.user && time.Since(known.loggedIn) <= maxRowAge, nil
}
