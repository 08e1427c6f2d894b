package main

import (
	"context"
	"log"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
)

var ( // yours: sessions, and who is related to whom, by public id
	sessions = map[string]string{"session-of-alice": "alice", "session-of-bob": "bob"}
	friends  = map[string][]string{"alice": {"bob"}, "bob": {"alice"}}
	members  = map[string][]string{"team": {"alice", "bob"}}
)

// login lets a request without a session pass: the GETs need none, and the POSTs answer 403.
func login(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("session"); err == nil {
			r = r.WithContext(httpapi.WithUser(r.Context(), sessions[cookie.Value]))
		}
		next.ServeHTTP(w, r)
	})
}

// deadline ends the work on a request before SealTalk's clients give up, after 10 seconds.
func deadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 9*time.Second)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

type relations struct{}

func (relations) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	return slices.Contains(friends[userID], otherID), ctx.Err()
}

func (relations) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	return slices.Contains(members[groupID], userID), ctx.Err()
}

type printer struct{} // prints messages; rongcloud.New sends them

func (printer) Send(_ context.Context, m misc.Message) error {
	log.Printf("%s to %s: %s", m.From, m.To, m.Content)
	return nil
}

func main() {
	svc := must(misc.New(misc.Config{
		Versions: must(misc.NewStaticVersions(
			must(misc.NewRelease(misc.ReleaseFields{Version: "1.0.2", URL: "https://app.example.com/1.0.2.zip"})),
			must(misc.NewClientVersions(misc.ClientVersionsFields{
				IOS:     misc.ClientVersion{Version: "2.0.1", Build: "202611010000", URL: "https://app.example.com/ios"},
				Android: misc.ClientVersion{Version: "2.0.1", URL: "https://app.example.com/android"},
			})),
		)),
		Relations: relations{},
		Captures:  misc.NewMemoryStore(),
		Messenger: printer{},
	}))
	h := must(httpapi.New(httpapi.Config{Service: svc, CurrentUser: httpapi.UserFromContext}))

	r := chi.NewRouter()
	r.Use(login)
	r.Handle("/misc/*", h)
	server := &http.Server{Addr: "127.0.0.1:8585", Handler: deadline(r), MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
