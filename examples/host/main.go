// Host is the program in the README: SealTalk's misc endpoints in a server of your own.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/rongcloud"
)

var sessions = map[string]string{"session-of-alice": "alice"} // session cookies and their users

func currentUser(r *http.Request) (string, error) { // your login
	if c, err := r.Cookie("session"); err == nil && sessions[c.Value] != "" {
		return sessions[c.Value], nil
	}
	return "", httpapi.ErrNotLoggedIn
}

type relations struct{} // your friends and groups: here, everyone is a friend of everyone and in every group

func (relations) AreFriends(context.Context, string, string) (bool, error)    { return true, nil }
func (relations) IsGroupMember(context.Context, string, string) (bool, error) { return true, nil }

// deadline ends the work on a request before SealTalk's clients give up, after 10 seconds.
func deadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 9*time.Second)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func main() {
	cloud := must(rongcloud.New(rongcloud.Config{
		AppKey: os.Getenv("APP_KEY"), AppSecret: os.Getenv("APP_SECRET"), Region: rongcloud.Beijing})) // your app's region
	versions, err := catalog.Open(os.DirFS("versions"), catalog.Config{})
	if err != nil {
		log.Fatal("versions: ", err) // its error does not have the directory's name
	}
	svc := must(misc.New(misc.Config{
		Versions: versions, Square: versions, Relations: relations{}, Captures: misc.NewMemoryStore(), Messenger: cloud}))
	http.Handle("/misc/", must(httpapi.New(httpapi.Config{Service: svc, CurrentUser: currentUser})))
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: deadline(http.DefaultServeMux), MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
