package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/internal/testkit"
	"github.com/sealtalk-go/misc/misctest"
)

const (
	alice   = "kFpN4KiZn"
	bob     = "z2mlAvb0c"
	mallory = "uOavJZUpX"
	team    = "JZlK4nOwb"

	releaseJSON = `{"version":"1.0.2","url":"http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg","name":"SealTalk 1.0.2","notes":"bug fix","pub_date":"2017-05-05"}`
	clientsJSON = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://dn-rongcloud.qbox.me/app.plist"},"Android":{"version":"1.0.5","url":"http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"}}`

	squareJSON = `[{"id":"JZlK4nOwb","type":"group","name":"a<b"},{"id":"kFpN4KiZn","type":"chatroom","name":"聊天室 I"}]`

	jsonType = "application/json; charset=utf-8"
)

// host is a server under construction: its parts may be replaced before a request.
type host struct {
	misc  misc.Config
	http  httpapi.Config
	store *misc.MemoryStore
	cloud *misctest.Messenger
	log   *testkit.Log
}

// newHost returns a host where alice and bob are friends and in the team. The
// header X-User says who is logged in.
func newHost(t testing.TB) *host {
	t.Helper()
	release, err := catalog.ParseRelease([]byte(releaseJSON))
	require.NoError(t, err)
	clients, err := catalog.ParseClientVersions([]byte(clientsJSON))
	require.NoError(t, err)
	versions, err := misc.NewStaticVersions(release, clients)
	require.NoError(t, err)
	square, err := catalog.ParseSquare([]byte(squareJSON), nil)
	require.NoError(t, err)
	h := &host{store: misc.NewMemoryStore(), cloud: &misctest.Messenger{}, log: &testkit.Log{}}
	h.misc = misc.Config{
		Versions: versions,
		Relations: misctest.NewRelations(misctest.World{
			Friends: [][2]string{{alice, bob}},
			Groups:  map[string][]string{team: {alice, bob}},
		}),
		Captures:  h.store,
		Messenger: h.cloud,
		Square:    &versionSource{square: square},
	}
	h.http = httpapi.Config{
		CurrentUser: func(r *http.Request) (string, error) {
			if user := r.Header.Get("X-User"); user != "" {
				return user, nil
			}
			return "", fmt.Errorf("no session: %w", httpapi.ErrNotLoggedIn)
		},
		Logger: h.log.Logger(),
	}
	return h
}

func (h *host) handler(t testing.TB) *httpapi.Handler {
	t.Helper()
	svc, err := misc.New(h.misc)
	require.NoError(t, err)
	h.http.Service = svc
	handler, err := httpapi.New(h.http)
	require.NoError(t, err)
	return handler
}

// do sends a request to the host. A POST is from alice and has a JSON body, unless
// change says otherwise.
func (h *host) do(t testing.TB, method, target, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-User", alice)
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.handler(t).ServeHTTP(w, r)
	assert.Empty(t, w.Header().Values("Set-Cookie"), "a cookie would replace the client's session")
	if w.Body.Len() > 0 {
		assert.Equal(t, jsonType, w.Header().Get("Content-Type"))
	}
	return w
}

func as(user string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("X-User", user) }
}

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

func failure(status int, message string) string {
	return fmt.Sprintf(`{"code":%d,"message":"%s"}`, status, message)
}

func TestNewNamesEveryFaultOfItsConfig(t *testing.T) {
	_, err := httpapi.New(httpapi.Config{Prefix: "misc", MaxBodyBytes: -1, NotLoggedInCode: 200})
	assert.EqualError(t, err, `httpapi: Config.Service is required
httpapi: Config.CurrentUser is required
httpapi: Config.Prefix is "misc" and must be a path with a slash at both ends, such as /misc/
httpapi: Config.MaxBodyBytes is -1 and must not be negative
httpapi: Config.NotLoggedInCode is 200 and must be a code of failure, such as 10000`)
	for _, prefix := range []string{"/misc", "misc/", "//", "/misc//", "/misc/../", "/./", "/misc?/", "/{x}/", "/a b/", "/a%2f/", "/misc#/", "/\x00/"} {
		_, err := httpapi.New(httpapi.Config{Prefix: prefix})
		assert.ErrorContains(t, err, "must be a path with a slash at both ends", prefix)
	}
	for _, prefix := range []string{"/", "/server-api/misc/", "/杂项/"} {
		_, err := httpapi.New(httpapi.Config{Prefix: prefix})
		assert.NotContains(t, err.Error(), "Prefix", prefix)
	}
}

func TestThePatternIsTheEndpoint(t *testing.T) {
	h := newHost(t)
	h.http.Prefix = "/api/misc/"
	mux := http.NewServeMux()
	mux.Handle("/api/", h.handler(t))
	for path, want := range map[string]string{
		"/api/misc/latest_update?version=1": "/api/misc/latest_update",
		"/api/misc/send_message":            "/api/misc/send_message", // a GET: 405
		"/api/misc/nothing":                 "/api/",
	} {
		r := httptest.NewRequest("GET", path, nil)
		mux.ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, want, r.Pattern, path)
	}
}

func TestTheOpenAPIDocumentNamesEveryEndpointAndStatus(t *testing.T) {
	document := httpapi.OpenAPI()
	var named []string
	for _, path := range regexp.MustCompile(`(?m)^  /misc/(\w+):$`).FindAllStringSubmatch(string(document), -1) {
		named = append(named, path[1])
	}
	assert.ElementsMatch(t, newHost(t).handler(t).Endpoints(), named)
	for _, status := range httpapi.Statuses() {
		assert.Contains(t, string(document), fmt.Sprintf(`"%d": *`, status))
	}
	clear(document)
	assert.NotEqual(t, document, httpapi.OpenAPI(), "a caller's copy is the caller's")
}

func TestAPanicStaysInItsRequest(t *testing.T) {
	h := newHost(t)
	h.http.CurrentUser = func(r *http.Request) (string, error) {
		if r.Header.Get("X-User") == mallory {
			panic("no such session table")
		}
		return alice, nil
	}
	w := h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], as(mallory))
	assert.Equal(t, failure(500, "internal error"), w.Body.String())
	lines := h.log.Take()
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], "no such session table")
	assert.Contains(t, lines[0], "httpapi_test.go", "the log shows where")
	assert.Equal(t, 200, h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]).Code)

	h.http.CurrentUser = func(*http.Request) (string, error) { panic(http.ErrAbortHandler) }
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]) })
}

func TestAClientThatLeavesIsNoAlarm(t *testing.T) {
	h := newHost(t)
	w := h.do(t, "POST", "/misc/set_screen_capture", good["set_screen_capture"], func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	})
	assert.Equal(t, 500, w.Code)
	lines := h.log.Take()
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], "level=INFO")
	h.untouched(t)
}

func TestAnotherPrefix(t *testing.T) {
	h := newHost(t)
	h.http.Prefix = "/api/v1/"
	assert.Equal(t, 200, h.do(t, "GET", "/api/v1/client_version", "").Code)
	assert.Equal(t, 404, h.do(t, "GET", "/misc/client_version", "").Code)
	h.http.Prefix = "/"
	assert.Equal(t, 200, h.do(t, "GET", "/client_version", "").Code)
}

func TestTheDefaultLoggerIsTheProcesss(t *testing.T) {
	h := newHost(t)
	before := slog.Default()
	slog.SetDefault(h.http.Logger)
	defer slog.SetDefault(before)
	h.http.Logger = nil
	h.misc.Versions = &versionSource{}
	h.do(t, "GET", "/misc/client_version", "")
	assert.Len(t, h.log.Take(), 1)
}
