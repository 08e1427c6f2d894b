package httpapi_test

import (
	"fmt"
	"log"
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
