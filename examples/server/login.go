package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	sessionCookie = "misc_session"
	sessionLength = 24 * time.Hour
)

// sessions signs and reads the demo's cookies, which hold the user's public id.
type sessions struct{ *securecookie.SecureCookie }

// newSessions uses a new key if key is empty.
func newSessions(key string, length time.Duration) sessions {
	return sessions{securecookie.New([]byte(cmp.Or(key, rand.Text())), nil).MaxAge(int(length.Seconds()))}
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
