// Package testhost has the host that tests in several folders send requests to, and
// what they need to do so.
package testhost

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/internal/testkit"
	"github.com/sealtalk-go/misc/misctest"
)

// Alice and Bob are friends, and both are in Team.
var (
	Alice    = misctest.ID(1)
	Bob      = misctest.ID(2)
	Stranger = misctest.ID(9)
	Team     = misctest.ID(3)
)

// The answers of the version endpoints.
const (
	Release = `{"version":"1.0.2","url":"http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg","name":"SealTalk 1.0.2","notes":"bug fix","pub_date":"2017-05-05"}`
	Clients = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://dn-rongcloud.qbox.me/app.plist"},"Android":{"version":"1.0.5","url":"http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"}}`
	Square  = `[{"id":"JZlK4nOwb","type":"group","name":"team","portraitUri":"https://x.test/a.png","memberCount":2,"maxMemberCount":500}]`
)

// Cookie is the cookie of the OpenAPI document. Its value is the id of the user who is
// logged in.
const Cookie = "misc_session"

// A Host is a server under construction: its parts may be replaced before it serves.
type Host struct {
	Misc  misc.Config
	HTTP  httpapi.Config
	Cloud *misctest.Messenger
	Log   *testkit.Log
}

// New returns a host with everything in memory.
func New() *Host {
	h := &Host{Cloud: &misctest.Messenger{}, Log: &testkit.Log{}}
	h.Misc = misc.Config{
		Versions: Must(misc.NewStaticVersions(Must(catalog.ParseRelease([]byte(Release))), Must(catalog.ParseClientVersions([]byte(Clients))))),
		Relations: misctest.NewRelations(misctest.World{
			Friends: [][2]string{{Alice, Bob}},
			Groups:  map[string][]string{Team: {Alice, Bob}},
		}),
		Captures:  misc.NewMemoryStore(),
		Messenger: h.Cloud,
		Square:    SquareOf(Square),
	}
	h.HTTP = httpapi.Config{
		CurrentUser: func(r *http.Request) (string, error) {
			cookie, err := r.Cookie(Cookie)
			if err != nil {
				return "", httpapi.ErrNotLoggedIn
			}
			return cookie.Value, nil
		},
		Logger: h.Log.Logger(),
	}
	return h
}

// Over returns a host with that store in place of its relations and settings.
func Over(store misc.Store) *Host {
	h := New()
	h.Misc.Relations, h.Misc.Captures, h.Misc.Store = nil, nil, store
	return h
}

// Handler returns the handler of the host.
func (h *Host) Handler() *httpapi.Handler {
	h.HTTP.Service = Must(misc.New(h.Misc))
	return Must(httpapi.New(h.HTTP))
}

type square struct{ only *misc.Square }

func (s square) Square(context.Context) (*misc.Square, error) { return s.only, nil }

// SquareOf returns a source of the square in a demo_square.json with that text.
func SquareOf(text string) misc.SquareSource {
	return square{Must(catalog.ParseSquare([]byte(text), nil))}
}

// VersionFiles returns a directory with files from which the answers are those of New.
func VersionFiles(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"squirrel.json": Release, "client_version.json": Clients, "demo_square.json": Square} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// Request returns a request from Alice, with a JSON body if it is a POST.
func Request(ctx context.Context, method, url, body string) *http.Request {
	r := Must(http.NewRequestWithContext(ctx, method, url, strings.NewReader(body)))
	r.AddCookie(&http.Cookie{Name: Cookie, Value: Alice})
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// Ask sends a request and returns the answer with its body, which has been read.
func Ask(t testing.TB, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// Client returns a function that sends requests to examples/server at an address. After
// POST /demo/login, it is logged in.
func Client(t testing.TB, address string) func(method, path, body string) (status int, answer string) {
	var cookie string
	return func(method, path, body string) (int, string) {
		r := Request(t.Context(), method, "http://"+address+path, body)
		r.Header.Set("Cookie", cookie)
		resp, text := Ask(t, http.DefaultClient, r)
		if path == "/demo/login" {
			cookie = resp.Header.Get("Set-Cookie")
		}
		return resp.StatusCode, text
	}
}

// Patience is the time limit for what must end soon; no test waits for it to pass.
const Patience = 30 * time.Second

// Until waits until done returns true, which must be soon. Unlike the functions of
// testify, it starts no goroutine, so that goroutines can be counted.
func Until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// Must returns v. It panics if err is not nil.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
