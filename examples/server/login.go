package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	sessionCookie = "misc_session"
	sessionLength = 24 * time.Hour
)

// sessionKey signs the demo's sessions. Without the variable, it is a new one at each
// start.
var sessionKey = cmp.Or(os.Getenv("MISC_SESSION_KEY"), rand.Text())

// ownLogin is the login of a server that runs without -login. This one is a demo: it
// asks for no password, and so works only while the server listens on loopback.
// README.md shows the two files that put your own in its place.
//
// It returns a function that finds out who sends a request, as
// httpapi.Config.CurrentUser does. It may add patterns to mux. cfg.addr is where the
// server listens.
func ownLogin(mux *http.ServeMux, cfg config, stdout io.Writer, logger *slog.Logger) currentUser {
	if addr, err := netip.ParseAddrPort(cfg.addr); err != nil || !addr.Addr().IsLoopback() {
		logger.Warn("nobody can log in: without -login there is only the demo's login, which asks for no password and works on loopback alone; every POST is answered 403")
		return func(*http.Request) (string, error) { return "", httpapi.ErrNotLoggedIn }
	}
	s := newSessions(sessionKey, sessionLength)
	mux.Handle("POST /demo/login", limit(login(cfg.codec, s), nil, "", cfg.userLimit, cfg.addressLimit))
	fmt.Fprint(stdout, tryIt("http://"+cfg.addr, cfg.prefix, cfg.codec))
	return s.currentUser
}

// sessions signs and reads the demo's cookies, which hold the user's public id.
type sessions struct{ *securecookie.SecureCookie }

func newSessions(key string, length time.Duration) sessions {
	return sessions{securecookie.New([]byte(key), nil).MaxAge(int(length.Seconds()))}
}

func (s sessions) cookie(userID string) (*http.Cookie, error) {
	value, err := s.Encode(sessionCookie, userID)
	return &http.Cookie{
		Name:     sessionCookie,
		Value:    value,
		Path:     "/",
		MaxAge:   int(sessionLength.Seconds()),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}, err
}

// currentUser returns the public id of the user who logged in here.
func (s sessions) currentUser(r *http.Request) (userID string, err error) {
	if cookie, err := r.Cookie(sessionCookie); err == nil && s.Decode(sessionCookie, cookie.Value, &userID) == nil {
		return userID, nil
	}
	return "", httpapi.ErrNotLoggedIn
}

// login answers POST /demo/login. It asks for no password: any number from
// 1 to 4294967295 may log in, but a page of another site may not log its visitor
// in.
func login(codec *n3d.Codec, s sessions) http.Handler {
	origins := http.NewCrossOriginProtection() // compares Origin with Host
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusForbidden, "a page of another origin may not log in")
	}))
	return origins.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := (&url.URL{Host: r.Host}).Hostname(); host != "localhost" && !net.ParseIP(host).IsLoopback() {
			answerError(w, http.StatusForbidden, "the host must be localhost or a loopback address") // any other name that points here belongs to a page of another site
			return
		}
		if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
			answerError(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
			return
		}
		var body struct {
			UserID uint32 `json:"userId"`
		}
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&body)
		if err != nil {
			answerError(w, http.StatusBadRequest, `send {"userId": 1}, with the user's number in the database`)
			return
		}
		userID, err := codec.Encode(body.UserID)
		if err != nil {
			answerError(w, http.StatusBadRequest, "userId must be a number from 1 to 4294967295")
			return
		}
		cookie, err := s.cookie(userID)
		if err != nil {
			answerError(w, http.StatusInternalServerError, "internal error")
			return
		}
		http.SetCookie(w, cookie)
		answer(w, http.StatusOK, map[string]any{"code": 200, "result": map[string]string{"id": userID}})
	}))
}

// tryIt returns three commands to paste.
func tryIt(base, prefix string, codec *n3d.Codec) string {
	friend, _ := codec.Encode(2) // fails only for 0
	return fmt.Sprintf(`
Try it, as user 1 with the friend 2, who is %[2]s to clients:

curl -c /tmp/misc-cookies -H 'Content-Type: application/json' -d '{"userId":1}' %[1]s/demo/login
curl -b /tmp/misc-cookies -w '\n' -H 'Content-Type: application/json' -d '{"conversationType":1,"targetId":"%[2]s","noticeStatus":1}' %[1]s%[3]sset_screen_capture
curl -b /tmp/misc-cookies -w '\n' -H 'Content-Type: application/json' -d '{"conversationType":1,"targetId":"%[2]s"}' %[1]s%[3]sget_screen_capture

`, base, friend, prefix)
}
