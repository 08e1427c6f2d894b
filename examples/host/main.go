package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/rongcloud"
)

var sessions = map[string]string{"a-session-of-yours": "alice"} // cookie to public id: your login

type relations struct{} // your users, friends and groups

func (relations) AreFriends(_ context.Context, a, b string) (bool, error)    { return a != b, nil }
func (relations) IsGroupMember(_ context.Context, u, g string) (bool, error) { return g == "all", nil }

func main() {
	svc := must(misc.New(misc.Config{
		Versions:  must(catalog.Open(os.Getenv("VERSIONS"), catalog.Config{})), // squirrel.json, client_version.json
		Relations: relations{},
		Captures:  misc.NewMemoryStore(),
		Messenger: must(rongcloud.New(rongcloud.Config{
			AppKey: os.Getenv("APP_KEY"), AppSecret: os.Getenv("APP_SECRET"), Region: rongcloud.Beijing})),
	}))
	currentUser := func(r *http.Request) (string, error) {
		if c, err := r.Cookie("session"); err == nil && sessions[c.Value] != "" {
			return sessions[c.Value], nil
		}
		return "", httpapi.ErrNotLoggedIn
	}
	http.Handle("/misc/", must(httpapi.New(httpapi.Config{Service: svc, CurrentUser: currentUser})))
	log.Fatal(http.ListenAndServe("127.0.0.1:8585", nil))
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
