package httpapi_test

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
)

// The smallest server. It has everything in memory; catalog.Open, sqlstore.New
// and rongcloud.New make the parts of a real one.
func Example() {
	clients, err := misc.NewClientVersions(misc.ClientVersionsFields{
		IOS:     misc.ClientVersion{Version: "1.0.5", Build: "202611280930", URL: "https://downloads.example.com/app.plist"},
		Android: misc.ClientVersion{Version: "1.0.5", URL: "https://downloads.example.com/app.apk"},
	})
	if err != nil {
		log.Fatal(err)
	}
	versions, err := misc.NewStaticVersions(nil, clients) // no desktop release
	if err != nil {
		log.Fatal(err)
	}
	svc, err := misc.New(misc.Config{
		Versions:  versions,
		Relations: misctest.NewRelations(misctest.World{Friends: [][2]string{{"alice", "bob"}}}),
		Captures:  misc.NewMemoryStore(),
		Messenger: &misctest.Messenger{},
	})
	if err != nil {
		log.Fatal(err)
	}
	h, err := httpapi.New(httpapi.Config{
		Service: svc,
		CurrentUser: func(r *http.Request) (string, error) {
			if c, err := r.Cookie("session"); err == nil && c.Value == "session-of-alice" {
				return "alice", nil
			}
			return "", httpapi.ErrNotLoggedIn
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/misc/", h)
	// A real server goes on with http.ListenAndServe("127.0.0.1:8585", mux).

	ask := func(method, target, body string) {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.AddCookie(&http.Cookie{Name: "session", Value: "session-of-alice"})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	ask("GET", "/misc/client_version", "")
	ask("POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"bob","noticeStatus":1}`)
	ask("POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"bob"}`)
	ask("POST", "/misc/send_sc_msg", `{"conversationType":1,"targetId":"mallory"}`)
	// Output:
	// 200 {"iOS":{"version":"1.0.5","build":"202611280930","url":"https://downloads.example.com/app.plist"},"Android":{"version":"1.0.5","url":"https://downloads.example.com/app.apk"}}
	// 200 {"code":200}
	// 200 {"code":200,"result":{"status":1}}
	// 403 {"code":403,"message":"targetId is not a friend of yours"}
}

// A middleware logs users in. It lets requests without a login pass, since the
// GETs need none; the handler answers the POSTs with 403.
func ExampleWithUser() {
	login := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := r.Cookie("session"); err == nil && c.Value == "session-of-alice" {
				r = r.WithContext(httpapi.WithUser(r.Context(), "alice"))
			}
			next.ServeHTTP(w, r)
		})
	}
	svc, err := misc.New(misc.Config{
		Versions:  struct{ misc.VersionSource }{}, // not asked here
		Relations: misctest.NewRelations(misctest.World{Friends: [][2]string{{"alice", "bob"}}}),
		Captures:  misc.NewMemoryStore(),
		Messenger: &misctest.Messenger{},
	})
	if err != nil {
		log.Fatal(err)
	}
	h, err := httpapi.New(httpapi.Config{Service: svc, CurrentUser: httpapi.UserFromContext})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/misc/", login(h))

	for _, session := range []string{"session-of-alice", "expired"} {
		r := httptest.NewRequest("POST", "/misc/get_screen_capture", strings.NewReader(`{"conversationType":1,"targetId":"bob"}`))
		r.Header.Set("Content-Type", "application/json")
		r.AddCookie(&http.Cookie{Name: "session", Value: session})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 {"code":200,"result":{"status":0}}
	// 403 {"code":403,"message":"not logged in"}
}

// Wrong: a CurrentUser that drops the error. While the sessions cannot be read,
// it tells every user that they are not logged in, and logs nothing. Right: one
// that returns the error. The answer is 500, and the cause is logged.
func ExampleConfig_ignoredError() {
	errNoSession := errors.New("no such session")
	session := func(*http.Request) (id string, err error) {
		return "", errors.New("sessions: connection refused") // errNoSession for an unknown cookie
	}
	wrong := func(r *http.Request) (string, error) {
		id, _ := session(r)
		return id, nil
	}
	right := func(r *http.Request) (string, error) {
		id, err := session(r)
		if errors.Is(err, errNoSession) {
			return "", httpapi.ErrNotLoggedIn
		}
		return id, err
	}
	for _, currentUser := range []func(*http.Request) (string, error){wrong, right} {
		h, err := httpapi.New(httpapi.Config{Service: new(misc.Service), CurrentUser: currentUser, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			log.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/misc/get_screen_capture", nil))
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 403 {"code":403,"message":"not logged in"}
	// 500 {"code":500,"message":"internal error"}
}

// New reports all problems at once.
func ExampleNew_invalid() {
	_, err := httpapi.New(httpapi.Config{
		Prefix:          "/api/misc", // right: /api/misc/
		MaxBodyBytes:    -1,          // right: 1 << 20, or 0 for the default
		NotLoggedInCode: 200,         // right: 1000, or 0 for 403
	})
	fmt.Println(err)
	// Output:
	// httpapi: Config.Service is required
	// httpapi: Config.CurrentUser is required
	// httpapi: Config.Prefix is "/api/misc" and must be a path with a slash at both ends, such as /misc/
	// httpapi: Config.MaxBodyBytes is -1 and must not be negative
	// httpapi: Config.NotLoggedInCode is 200 and must be a code of failure, such as 10000
}
