//go:build unix

// Package hosts_test runs the code of docs/mounting.md, which is in the directories
// here: a program for each router, and implementations of the interfaces. Those that
// keep something in a database are tested in db.
package hosts_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

// A reader copies the program into an empty directory and runs go mod tidy; the test
// uses this module's go.mod instead.
func TestEachHostRunsInAnEmptyDirectory(t *testing.T) {
	for _, name := range []string{"nethttp", "chi", "gin", "echo"} {
		t.Run(name, func(t *testing.T) {
			address, admin, log := servers.RunText(t, t.TempDir(), string(testhost.Must(os.ReadFile(name+"/main.go"))))
			for _, ask := range []struct {
				session, method, path, body string
				status                      int
				want                        string // a part of the answer
			}{
				{"", "GET", "latest_update?version=1.0.0", "", 200, `"version":"1.0.2"`},
				{"", "HEAD", "latest_update?version=1.0.2", "", 204, ""},
				{"expired", "GET", "client_version", "", 200, `"Android":{"version":"2.0.1"`},
				{"", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"bob"}`, 403, `not logged in`},
				{"expired", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"bob"}`, 403, `not logged in`},
				{"session-of-alice", "POST", "set_screen_capture", `{"conversationType":1,"targetId":"bob","noticeStatus":1}`, 200, `{"code":200}`},
				{"session-of-bob", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"alice"}`, 200, `{"status":1}`},
				{"session-of-bob", "POST", "get_screen_capture", `{"conversationType":3,"targetId":"team"}`, 200, `{"status":0}`},
				{"session-of-alice", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"mallory"}`, 403, `not a friend`},
				{"session-of-alice", "POST", "set_screen_capture", `{"conversationType":3,"targetId":"board","noticeStatus":1}`, 403, `not a member`},
				{"session-of-bob", "POST", "send_message", `{"conversationType":"GROUP","targetId":"team","objectName":"RC:TxtMsg","content":"hello"}`, 200, `{"code":"200"}`},
				{"session-of-bob", "POST", "none", "{}", 404, `no such path`},
				{"session-of-bob", "DELETE", "get_screen_capture", "", 405, `method must be POST`},
			} {
				r := testhost.Must(http.NewRequestWithContext(t.Context(), ask.method, "http://"+address+"/misc/"+ask.path, strings.NewReader(ask.body)))
				r.Header.Set("Content-Type", "application/json")
				if ask.session != "" {
					r.AddCookie(&http.Cookie{Name: "session", Value: ask.session})
				}
				resp, body := testhost.Ask(t, http.DefaultClient, r)
				require.Equal(t, ask.status, resp.StatusCode, "%s: %s", ask.path, body)
				require.Contains(t, body, ask.want, ask.path)
			}
			require.Contains(t, log.String(), `alice to bob: {"operatorUserId":"alice","operation":"openScreenNtf"}`)
			require.Contains(t, log.String(), `bob to team: {"content":"hello"}`)

			if name == "nethttp" {
				_, vars := testhost.Ask(t, http.DefaultClient, testhost.Request(t.Context(), "GET", "http://"+admin+"/debug/vars", ""))
				require.Contains(t, vars, `"/misc/latest_update": 2`)
				require.Contains(t, vars, `"/misc/get_screen_capture": 6`)
			}
		})
	}
}
