package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
)

func ExampleNew() {
	release, err := catalog.ParseRelease([]byte(`{"version":"1.0.2","url":"https://downloads.example.com/SealTalk-1.0.2.zip"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	clients, err := catalog.ParseClientVersions([]byte(`{
		"iOS":     {"version": "1.0.5", "build": "201607181821", "url": "https://downloads.example.com/app.plist"},
		"Android": {"version": "1.0.5", "url": "https://downloads.example.com/app.apk"}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	versions, err := misc.NewStaticVersions(release, clients)
	if err != nil {
		fmt.Println(err)
		return
	}
	svc, err := misc.New(misc.Config{
		Versions:  versions,
		Relations: misctest.NewRelations(misctest.World{Friends: [][2]string{{"alice", "bob"}}}), // in a server: your users
		Captures:  misc.NewMemoryStore(),
		Messenger: &misctest.Messenger{}, // in a server: rongcloud.New
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := httpapi.New(httpapi.Config{
		Service: svc,
		CurrentUser: func(r *http.Request) (string, error) {
			if c, err := r.Cookie("session"); err == nil && c.Value == "of-alice" { // in a server: your sessions
				return "alice", nil
			}
			return "", httpapi.ErrNotLoggedIn
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/misc/", h)

	ask := func(method, target, body string) {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.AddCookie(&http.Cookie{Name: "session", Value: "of-alice"})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	ask("GET", "/misc/latest_update?version=1.0.0", "")
	ask("POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"bob","noticeStatus":1}`)
	ask("POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"bob"}`)
	ask("POST", "/misc/send_sc_msg", `{"conversationType":1,"targetId":"mallory"}`)
	// Output:
	// 200 {"version":"1.0.2","url":"https://downloads.example.com/SealTalk-1.0.2.zip"}
	// 200 {"code":200}
	// 200 {"code":200,"result":{"status":1}}
	// 403 {"code":403,"message":"targetId is not a friend of yours"}
}
