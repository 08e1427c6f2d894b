package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	sessionCookie = "misc_session"
	sessionLength = 24 * time.Hour
)

// sessions makes and reads the demo's cookies: the user's public id, the time
// of expiry in Unix seconds and an HMAC-SHA-256 over both, joined by dots.
type sessions struct {
	key []byte
	now func() time.Time
}

// newSessions takes a new key if key is empty.
func newSessions(key string) sessions {
	if key == "" {
		key = rand.Text()
	}
	return sessions{key: []byte(key), now: time.Now}
}

func (s sessions) cookie(userID string) *http.Cookie {
	signed := userID + "." + strconv.FormatInt(s.now().Add(sessionLength).Unix(), 10)
	return &http.Cookie{
		Name:     sessionCookie,
		Value:    signed + "." + s.sign(signed),
		Path:     "/",
		MaxAge:   int(sessionLength / time.Second),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

func (s sessions) sign(signed string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(sessionCookie + ":" + signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// currentUser is the CurrentUser of httpapi.Config.
func (s sessions) currentUser(r *http.Request) (string, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", fmt.Errorf("%w: no session", httpapi.ErrNotLoggedIn)
	}
	end := strings.LastIndexByte(cookie.Value, '.')
	if end < 0 || !hmac.Equal([]byte(cookie.Value[end+1:]), []byte(s.sign(cookie.Value[:end]))) {
		return "", fmt.Errorf("%w: the session was not signed here", httpapi.ErrNotLoggedIn)
	}
	userID, expiry, _ := strings.Cut(cookie.Value[:end], ".")
	if seconds, err := strconv.ParseInt(expiry, 10, 64); err != nil || s.now().Unix() >= seconds {
		return "", fmt.Errorf("%w: the session has expired", httpapi.ErrNotLoggedIn)
	}
	return userID, nil
}

// notLoggedIn is the CurrentUser of a server without login.
func notLoggedIn(*http.Request) (string, error) {
	return "", httpapi.ErrNotLoggedIn
}

// login answers POST /demo/login. It asks for no password: any number that has
// a public id may log in.
func login(codec *n3d.Codec, s sessions) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
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
			answerError(w, http.StatusBadRequest, "userId must be a number from 1 to 4294967295 that has a public id")
			return
		}
		http.SetCookie(w, s.cookie(userID))
		answer(w, http.StatusOK, map[string]any{"code": 200, "result": map[string]string{"id": userID}})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails when the client has left
}

func answerError(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"code": status, "message": message})
}
