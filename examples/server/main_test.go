package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Public ids under the demo's key.
const (
	id1 = "kFpN4KiZn"
	id2 = "z2mlAvb0c"
	id3 = "uOavJZUpX"
)

// Bodies of requests about the conversation with user 2.
const (
	toFriend = `{"conversationType":1,"targetId":"` + id2 + `"}`
	switchOn = `{"conversationType":1,"targetId":"` + id2 + `","noticeStatus":1}`
)

const sessionKey = "a session key that only this test knows"

// output is a writer that may be read while it is written to.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// instance is a server on a free port, and a client with a cookie jar.
type instance struct {
	t        *testing.T
	base     string
	client   *http.Client
	out, log output
	cancel   context.CancelFunc
	ended    chan error
}

// testConfig is for a server in a folder of its own.
func testConfig(t *testing.T, dir string, args ...string) config {
	t.Helper()
	require.NoError(t, writeDemoVersions(dir))
	cfg, err := parseConfig(append([]string{"-addr", "127.0.0.1:0", "-db", "sqlite:" + filepath.Join(dir, "misc.db"), "-versions", dir}, args...), io.Discard)
	require.NoError(t, err)
	return cfg
}

// start returns once the server listens.
func start(t *testing.T, cfg config) *instance {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	in := &instance{t: t, client: &http.Client{Jar: jar, Transport: &http.Transport{}}, cancel: cancel, ended: make(chan error, 1)}
	go func() { in.ended <- serve(ctx, cfg, &in.out, &in.log) }()
	t.Cleanup(func() { cancel(); in.client.CloseIdleConnections() })
	require.Eventually(t, func() bool {
		_, after, found := strings.Cut(in.out.String(), "listening   ")
		in.base, _, _ = strings.Cut(after, "\n")
		return found || len(in.ended) > 0
	}, time.Minute, time.Millisecond)
	require.NotEmpty(t, in.base, "the server ended without listening")
	return in
}

// stop ends the server and waits for it.
func (in *instance) stop() {
	in.t.Helper()
	in.client.CloseIdleConnections()
	in.cancel()
	require.NoError(in.t, <-in.ended)
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do may be called from any goroutine.
func (in *instance) do(method, path, body string, header ...string) reply {
	req, err := http.NewRequest(method, in.base+path, strings.NewReader(body))
	if !assert.NoError(in.t, err) {
		return reply{}
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := in.client.Do(req)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	assert.NoError(in.t, err)
	return reply{resp.StatusCode, resp.Header, strings.TrimSpace(string(b))}
}

func (in *instance) login(user int) {
	in.t.Helper()
	r := in.do("POST", "/demo/login", fmt.Sprintf(`{"userId":%d}`, user))
	require.Equal(in.t, http.StatusOK, r.status, r.body)
}

func TestEveryEndpointAnswersALoggedInUser(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir()))
	r := in.do("POST", "/demo/login", `{"userId": 1}`)
	assert.Equal(t, `{"code":200,"result":{"id":"`+id1+`"}}`, r.body)
	cookie := r.header.Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=86400"} {
		assert.Contains(t, cookie, attribute)
	}

	for _, c := range []struct {
		method, path, body string
		status             int
		answer             string // a part of it
	}{
		{"GET", "/misc/latest_update?version=1.0.0", "", 200, `{"version":"1.0.2","url":"https://`},
		{"GET", "/misc/latest_update?version=1.0.2", "", 204, ``},
		{"GET", "/misc/client_version", "", 200, `{"iOS":{"version":"1.0.5","build":"201607181821"`},
		{"GET", "/misc/mobile_version", "", 200, `{"code":200,"result":{"iOS":{`},
		{"GET", "/misc/demo_square", "", 200, `{"code":200,"result":[{"id":"` + id1 + `","type":"group","name":"Demo group","portraitUri":"https://downloads.example.com/sealtalk/group.png","memberCount":2,"maxMemberCount":500},{"id":"` + id1 + `","type":"chatroom","name":"Demo chat room"}]}`},
		{"POST", "/misc/send_message", `{"conversationType":"PRIVATE","targetId":"` + id2 + `","objectName":"RC:TxtMsg","content":"hi","pushContent":""}`, 200, `{"code":"200"}`},
		{"POST", "/misc/send_message", `{"conversationType":"GROUP","targetId":"` + id1 + `","objectName":"RC:TxtMsg","content":"hi"}`, 200, `{"code":"200"}`},
		{"POST", "/misc/send_message", `{"conversationType":"PRIVATE","targetId":"` + id3 + `","objectName":"RC:TxtMsg","content":"hi"}`, 403, `friend`},
		{"POST", "/misc/send_message", `{"conversationType":"GROUP","targetId":"` + id2 + `","objectName":"RC:TxtMsg","content":"hi"}`, 403, `member`},
		{"POST", "/misc/get_screen_capture", toFriend, 200, `{"code":200,"result":{"status":0}}`},
		{"POST", "/misc/set_screen_capture", switchOn, 200, `{"code":200}`},
		{"POST", "/misc/get_screen_capture", toFriend, 200, `{"code":200,"result":{"status":1}}`},
		{"POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"` + id3 + `","noticeStatus":1}`, 403, `friend`},
		{"POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"nobody!","noticeStatus":1}`, 400, `targetId`},
		{"POST", "/misc/send_sc_msg", `{"conversationType":3,"targetId":"` + id1 + `"}`, 200, `{"code":200}`},
		{"GET", "/misc/send_sc_msg", ``, 405, `POST`},
		{"GET", "/misc/nothing", "", 404, `no such path`},
		{"GET", "/nothing", "", 404, `{"code":404,"message":"no such path"}`},
		{"POST", "/demo/login", `{"userId":0}`, 400, `userId`},
		{"POST", "/demo/login", `{"userId":4294967296}`, 400, `userId`},
		{"GET", "/healthz", "", 200, `{"status":"ok"}`},
		{"GET", "/readyz", "", 200, `{"status":"ok"}`},
	} {
		r := in.do(c.method, c.path, c.body)
		name := c.method + " " + c.path + " " + c.body
		assert.Equal(t, c.status, r.status, name)
		assert.Contains(t, r.body, c.answer, name)
	}
	log := in.log.String()
	assert.Equal(t, 4, strings.Count(log, "stand-in: message taken"), "two messages and two notices")
	assert.Contains(t, log, "openScreenNtf")
	assert.Contains(t, log, "sendScreenNtf")

	in.login(2)
	r = in.do("POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"`+id1+`"}`)
	assert.Equal(t, `{"code":200,"result":{"status":1}}`, r.body, "the friend reads the same setting")
	in.stop()
}

func TestTheDefaultsRunInTheWorkingDirectoryAndThePrintedCommandsAreRight(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg, err := parseConfig([]string{"-addr", "127.0.0.1:0"}, io.Discard)
	require.NoError(t, err)
	in := start(t, cfg)
	in.stop()
	for _, path := range []string{"misc.db", "misc.versions/squirrel.json", "misc.versions/client_version.json", "misc.versions/demo_square.json"} {
		assert.FileExists(t, path)
	}
	for _, part := range []string{
		"demo's key", "versions", "a stand-in", "misc.db answers", "existing ones are never changed", "users 1, 2 and 3",
		`-d '{"userId":1}' ` + in.base + "/demo/login",
		"-d '" + switchOn + "' " + in.base + "/misc/set_screen_capture",
		"-d '" + toFriend + "' " + in.base + "/misc/get_screen_capture",
		"stopped",
	} {
		assert.Contains(t, in.out.String(), part)
	}
}

func TestARestartKeepsSettingsAndFilesAndSeedsOnlyOnce(t *testing.T) {
	dir := t.TempDir()
	in := start(t, testConfig(t, dir))
	in.login(1)
	require.Equal(t, `{"code":200}`, in.do("POST", "/misc/set_screen_capture", switchOn).body)
	path := filepath.Join(dir, "squirrel.json")
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(before, []byte("1.0.2"), []byte("1.0.3")), 0o600))
	require.Eventually(t, func() bool {
		return strings.HasPrefix(in.do("GET", "/misc/latest_update?version=1.0.2", "").body, `{"version":"1.0.3"`)
	}, 10*time.Second, 50*time.Millisecond, "an edited version is served")
	in.stop()
	db, err := sql.Open("sqlite", filepath.Join(dir, "misc.db"))
	require.NoError(t, err)
	_, err = db.Exec("DELETE FROM friendships WHERE userId = 1")
	require.NoError(t, errors.Join(err, db.Close()))

	in = start(t, testConfig(t, dir))
	in.login(1)
	assert.Contains(t, in.do("POST", "/misc/get_screen_capture", toFriend).body, `"code":403`, "what a person deleted does not come back")
	in.login(2)
	assert.Equal(t, `{"code":200,"result":{"status":1}}`, in.do("POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"`+id1+`"}`).body)
	assert.Contains(t, in.do("GET", "/misc/latest_update?version=1.0.0", "").body, "1.0.3", "a start overwrites no file")
	in.stop()
	assert.Contains(t, in.out.String(), "none, the database is in use already")
}

func TestNothingIsSeededUnlessAsked(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir(), "-seed=false"))
	in.login(1)
	assert.Equal(t, http.StatusForbidden, in.do("POST", "/misc/get_screen_capture", toFriend).status)
	in.stop()
}

func TestOnlyASessionThatWasSignedHereAndIsNotOverLogsIn(t *testing.T) {
	value := func(key string, length time.Duration) string {
		cookie, err := newSessions(key, length).cookie(id1)
		require.NoError(t, err)
		return cookie.Value
	}
	valid := value(sessionKey, sessionLength)
	for _, c := range []struct {
		name, key, cookie string
		length            time.Duration
		ok                bool
	}{
		{"valid", sessionKey, valid, sessionLength, true},
		{"over", sessionKey, valid, -time.Minute, false},
		{"signed with another key", sessionKey + "!", valid, sessionLength, false},
		{"of another start", "", value("", sessionLength), sessionLength, false},
		{"cut off", sessionKey, valid[:len(valid)-4], sessionLength, false},
		{"a plain id", sessionKey, id1, sessionLength, false},
		{"empty", sessionKey, "", sessionLength, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: c.cookie})
		userID, err := newSessions(c.key, c.length).currentUser(r)
		assert.Equal(t, !c.ok, errors.Is(err, httpapi.ErrNotLoggedIn), c.name)
		assert.Equal(t, c.ok, userID == id1, c.name)
	}
}

func TestSessionsAreForLoopbackAlone(t *testing.T) {
	cookie, err := newSessions(sessionKey, sessionLength).cookie(id1)
	require.NoError(t, err)
	for addr, want := range map[string]struct{ login, post int }{"127.0.0.1:0": {200, 200}, "0.0.0.0:0": {404, 403}} {
		in := start(t, testConfig(t, t.TempDir(), "-addr", addr, "-session-key", sessionKey))
		in.base = strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1").Replace(in.base)
		assert.Equal(t, http.StatusForbidden, in.do("POST", "/misc/get_screen_capture", toFriend).status, "no cookie")
		assert.Equal(t, want.post, in.do("POST", "/misc/get_screen_capture", toFriend, "Cookie", cookie.Name+"="+cookie.Value).status, addr)
		assert.Equal(t, want.login, in.do("POST", "/demo/login", `{"userId":1}`).status, addr)
		assert.Equal(t, http.StatusOK, in.do("GET", "/misc/client_version", "").status, addr)
		in.stop()
		assert.Equal(t, want.login == 404, strings.Contains(in.out.String(), "switched off"), addr)
		assert.Equal(t, want.login == 200, strings.Contains(in.out.String(), "curl"), addr)
	}
}

func TestMetricsCountRequestsWithBoundedLabels(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir()))
	for _, request := range []string{"GET /misc/client_version", "GET /misc/client_version", "POST /misc/send_message",
		"GET /misc/made-up", "GET /made-up", "POST /demo/login", "BREW /coffee"} {
		method, path, _ := strings.Cut(request, " ")
		in.do(method, path, "")
	}
	body := in.do("GET", "/metrics", "").body
	for _, line := range []string{
		`misc_http_requests_total{endpoint="/misc/client_version",method="GET",status="200"} 2`,
		`misc_http_requests_total{endpoint="/misc/send_message",method="POST",status="403"} 1`,
		`misc_http_requests_total{endpoint="other",method="GET",status="404"} 2`,
		`misc_http_requests_total{endpoint="other",method="other",status="404"} 1`,
		`misc_http_request_duration_seconds_count{endpoint="/misc/client_version"} 2`,
		`misc_http_requests_total{endpoint="/demo/login",method="POST",status="400"} 1`,
		`misc_catalog_up 1`,
		`go_goroutines `,
		`go_sql_open_connections{db_name="misc"}`,
	} {
		assert.Contains(t, body, line)
	}
	assert.NotContains(t, body, "made-up")
	in.stop()
}

func TestMetricsCountTheDecisionsOfReleasesJSONByReason(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "releases.json"), []byte(`{"releases": [
		{"version": "1.1.0", "rollout": 5, "builds": [{"url": "https://downloads.example.com/SealTalk-1.1.0.zip"}]},
		{"version": "1.0.2", "builds": [{"url": "https://downloads.example.com/SealTalk-1.0.2.zip"}]}
	]}`), 0o600))
	in := start(t, cfg)
	for query, status := range map[string]int{
		"version=1.0.0":          200,
		"version=1.0.2&id=alice": 200, // at 3 %
		"version=1.0.2&id=carol": 204, // at 20 %
		"version=1.0.2":          204,
		"version=1.1.0":          204,
		"version=1.0":            400,
	} {
		assert.Equal(t, status, in.do("GET", "/misc/latest_update?"+query, "").status, query)
	}
	body := in.do("GET", "/metrics", "").body
	for _, line := range []string{
		`misc_update_decisions_total{reason="update"} 2`,
		`misc_update_decisions_total{reason="rollout"} 1`,
		`misc_update_decisions_total{reason="no-id"} 1`,
		`misc_update_decisions_total{reason="current"} 1`,
	} {
		assert.Contains(t, body, line)
	}
	assert.NotContains(t, body, `reason=""`, "an invalid version is no decision")
	in.stop()
}

func TestARequestIDIsEchoedAndLoggedIfItIsSane(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir()))
	r := in.do("GET", "/misc/client_version", "", "X-Request-ID", "mobile-42_a.b")
	assert.Equal(t, "mobile-42_a.b", r.header.Get("X-Request-ID"))
	seen := ""
	for _, bad := range []string{"", "two words", "quote\"", "é", strings.Repeat("x", 65)} {
		id := in.do("GET", "/misc/client_version", "", "X-Request-ID", bad).header.Get("X-Request-ID")
		assert.Regexp(t, `^[A-Z2-7]{26}$`, id, bad)
		assert.NotContains(t, seen, id, "an id comes once")
		seen += id
	}
	in.stop()
	assert.Regexp(t, `(?m)^\S+ level=INFO msg=request method=GET path=/misc/client_version status=200 bytes=\d+ took=\S+ remote=\S+ request_id=mobile-42_a.b$`, in.log.String())
	assert.Equal(t, 6, strings.Count(in.log.String(), "msg=request "), "one line for each request")
}

func TestReadyAndMetricsNameWhatFailsWithoutInternals(t *testing.T) {
	log, dir := new(output), t.TempDir()
	logger := newLogger(log)
	require.NoError(t, writeDemoVersions(dir))
	codec, err := n3d.New(demoN3DKey)
	require.NoError(t, err)
	decisions := newDecisions()
	versions, _, err := openVersions(dir, codec, decisions, logger)
	require.NoError(t, err)
	db, err := openDatabase(t.Context(), "sqlite:"+filepath.Join(dir, "misc.db"), logger)
	require.NoError(t, err)
	get := func(h http.Handler) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	check := func(want int, answer string) {
		t.Helper()
		status, body := get(ready(db.DB, versions, logger))
		assert.Equal(t, want, status)
		assert.Equal(t, answer, body)
	}
	check(200, `{"status":"ok"}`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "squirrel.json"), []byte("{"), 0o600))
	require.Eventually(t, func() bool { return versions.Err() != nil }, 10*time.Second, 50*time.Millisecond)
	check(503, `{"status":"the catalog has a missing or invalid file"}`)
	_, body := get(newMetrics(db.DB, versions, decisions))
	assert.Contains(t, body, "misc_catalog_up 0")
	require.NoError(t, db.Close())
	check(503, `{"status":"the database does not answer; the catalog has a missing or invalid file"}`)
	assert.Regexp(t, `not ready: the catalog.*squirrel.json`, log.String())
	assert.Regexp(t, `not ready: the database.*database is closed`, log.String())
}

// hangingCloud is a chat cloud that answers once it is released.
func hangingCloud(t *testing.T) (url string, reached <-chan struct{}, release func()) {
	arrived, released := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-released
		_, _ = io.WriteString(w, `{"code":200}`)
	}))
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(func() { release(); server.Close() })
	return server.URL, arrived, release
}

func TestAStopLetsARequestInFlightFinish(t *testing.T) {
	url, reached, release := hangingCloud(t)
	in := start(t, testConfig(t, t.TempDir(), "-rongcloud", url, "-app-key", "key", "-app-secret", "secret"))
	in.login(1)
	answered := make(chan reply, 1)
	go func() {
		answered <- in.do("POST", "/misc/send_sc_msg", toFriend)
	}()
	<-reached
	in.cancel()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(in.base, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond, "a stopping server takes no new connection")
	release()
	assert.Equal(t, `{"code":200}`, (<-answered).body)
	require.NoError(t, <-in.ended)
}

func TestAStopDoesNotWaitForEver(t *testing.T) {
	url, reached, _ := hangingCloud(t)
	cfg := testConfig(t, t.TempDir(), "-rongcloud", url, "-app-key", "key", "-app-secret", "secret")
	cfg.limits.drain = time.Millisecond
	in := start(t, cfg)
	in.login(1)
	go in.do("POST", "/misc/send_sc_msg", toFriend) // its connection is cut
	<-reached
	in.cancel()
	assert.ErrorContains(t, <-in.ended, "requests unfinished")
}

func TestAHangingCloudIsAnswered504AndTheSettingStays(t *testing.T) {
	url, _, _ := hangingCloud(t)
	cfg := testConfig(t, t.TempDir(), "-rongcloud", url, "-app-key", "key", "-app-secret", "secret")
	cfg.limits.cloud = 50 * time.Millisecond
	in := start(t, cfg)
	in.login(1)
	r := in.do("POST", "/misc/set_screen_capture", switchOn, "X-Request-ID", "the-failing-one")
	assert.Equal(t, http.StatusGatewayTimeout, r.status)
	assert.Regexp(t, `level=ERROR msg="misc: request failed".*request_id=the-failing-one`, in.log.String(), "the cause is in the log under the request's id")
	assert.Equal(t, `{"code":200,"result":{"status":1}}`, in.do("POST", "/misc/get_screen_capture", toFriend).body)
	in.stop()
}

func TestADatabaseThatHangsIsAnswered500(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	cfg.limits.request = 50 * time.Millisecond
	in := start(t, cfg)
	in.login(1)
	db, err := sql.Open("sqlite", filepath.Join(dir, "misc.db"))
	require.NoError(t, err)
	defer db.Close()
	tx, err := db.Begin()
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("DELETE FROM screen_statuses") // takes the lock for writes
	require.NoError(t, err)
	r := in.do("POST", "/misc/set_screen_capture", switchOn)
	assert.Equal(t, http.StatusInternalServerError, r.status)
	assert.Equal(t, `{"code":500,"message":"internal error"}`, r.body)
	in.stop()
}

func TestSpansGoToTheCollectorThatTheEnvironmentNames(t *testing.T) {
	got := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	in := start(t, testConfig(t, t.TempDir()))
	in.do("GET", "/misc/client_version", "", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	in.do("GET", "/misc/made-up-by-a-client", "")
	in.stop()
	require.Len(t, got, 1)
	sent := <-got
	assert.Regexp(t, `^/v1/traces `, sent)
	for _, part := range []string{"misc-server", "GET /misc/client_version", "GET other"} {
		assert.Contains(t, sent, part)
	}
	assert.Contains(t, in.log.String(), "trace_id=0af7651916cd43dd8448eb211c80319c")
}

func TestWhatIsWrongAtTheStartIsToldInOneLineWithoutSecrets(t *testing.T) {
	const secret = "hunter2-hunter2"
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and never says a word
	require.NoError(t, err)
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	refusing := closed.Addr().String()
	require.NoError(t, closed.Close())
	dir := t.TempDir()
	noTable := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", noTable)
	require.NoError(t, err)
	_, err = db.Exec("CREATE TABLE friendships (userId INTEGER)")
	require.NoError(t, err)
	require.NoError(t, db.Close())

	for _, c := range []struct {
		name    string
		args    []string
		usage   bool
		message string
	}{
		{"unknown flag", []string{"-colour"}, true, "-colour"},
		{"argument", []string{secret}, true, "no other arguments"},
		{"bad boolean", []string{"-seed=perhaps"}, true, "-seed"},
		{"key without secret", []string{"-app-key", secret}, true, "-app-key and -app-secret go together"},
		{"region without key", []string{"-rongcloud", "singapore"}, true, "-rongcloud needs -app-key"},
		{"unknown region", []string{"-rongcloud", "atlantis", "-app-key", "k", "-app-secret", secret}, true, "beijing, north-america, saudi-arabia, singapore, singapore-b, or a URL"},
		{"bad secret", []string{"-app-key", "k", "-app-secret", secret + " "}, true, "AppSecret"},
		{"short session key", []string{"-session-key", secret}, true, "32 characters"},
		{"bad N3D key", []string{"-n3d-key", "x"}, true, "-n3d-key: n3d: key: too short"},
		{"unknown database", []string{"-db", "oracle://scott:" + secret + "@host"}, true, "sqlite:FILE, mysql:DSN or postgres://"},
		{"no file", []string{"-db", "sqlite:"}, true, "sqlite:misc.db"},
		{"database in memory", []string{"-db", "sqlite::memory:"}, true, "sqlite:misc.db"},
		{"bad MySQL DSN", []string{"-db", "mysql:scott:" + secret + "@nowhere"}, true, "user:password@tcp(host:3306)/name"},
		{"bad PostgreSQL URL", []string{"-db", "postgres://scott:" + secret + "@host:port/name"}, true, "postgres://user:password@host:5432/name"},
		{"file in no folder", []string{"-db", "sqlite:" + filepath.Join(dir, "none", "misc.db")}, false, "does not answer"},
		{"tables of something else", []string{"-db", "sqlite:" + noTable}, false, "table friendships has no column friendId"},
		{"MySQL that refuses", []string{"-db", "mysql:scott:" + secret + "@tcp(" + refusing + ")/sealtalk"}, false, "MySQL database sealtalk on " + refusing + " does not answer"},
		{"MySQL that hangs", []string{"-db", "mysql:scott:" + secret + "@tcp(" + silent.Addr().String() + ")/sealtalk?readTimeout=20ms"}, false, "does not answer"},
		{"PostgreSQL that refuses", []string{"-db", "postgres://scott:" + secret + "@" + refusing + "/sealtalk?sslmode=disable"}, false, "PostgreSQL database sealtalk on " + refusing + " does not answer"},
		{"no versions", []string{"-versions", filepath.Join(dir, "none")}, false, "squirrel.json"},
		{"address in use", []string{"-addr", silent.Addr().String()}, false, "-addr"},
	} {
		work := t.TempDir()
		require.NoError(t, writeDemoVersions(work))
		args := append([]string{"-addr", "127.0.0.1:0", "-versions", work, "-db", "sqlite:" + filepath.Join(work, "misc.db")}, c.args...)
		var out, log output
		err := run(t.Context(), args, &out, &log)
		require.Error(t, err, c.name)
		assert.ErrorContains(t, err, c.message, c.name)
		assert.Equal(t, c.usage, errors.As(err, new(usageError)), "%s: %v", c.name, err)
		assert.NotContains(t, oneLine(err)+out.String()+log.String(), secret, c.name)
		assert.NotContains(t, oneLine(err), "\n", c.name)
	}
}

func TestEachFlagHasAVariableThatItOverrides(t *testing.T) {
	env := map[string]string{
		"MISC_ADDR": "127.0.0.1:1", "MISC_DB": "sqlite:env.db", "MISC_VERSIONS": "env", "MISC_N3D_KEY": "env-n3d-key",
		"MISC_RONGCLOUD": "singapore", "MISC_APP_KEY": "env-key", "MISC_APP_SECRET": "env-secret", "MISC_SEED": "false",
		"MISC_SESSION_KEY": sessionKey, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	cfg, err := parseConfig([]string{"-db", "sqlite:flag.db"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, config{
		addr: "127.0.0.1:1", db: "sqlite:flag.db", versions: "env", n3dKey: "env-n3d-key",
		rongcloud: "singapore", appKey: "env-key", appSecret: "env-secret", seed: false,
		sessionKey: sessionKey, otlpEndpoint: "http://127.0.0.1:4318", limits: defaultLimits,
	}, cfg)

	var help output
	require.NoError(t, run(t.Context(), []string{"-h"}, &help, io.Discard))
	for _, part := range []string{"MISC_APP_KEY for -app-key", "-session-key KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		assert.Contains(t, help.String(), part)
	}
	assert.NotContains(t, help.String(), "env-", "help shows no secret")
	assert.NotContains(t, help.String(), sessionKey, "help shows no secret")
	t.Setenv("MISC_SEED", "perhaps")
	_, err = parseConfig(nil, io.Discard)
	assert.ErrorContains(t, err, `"MISC_SEED"`)
}

func TestEachRegionHasAName(t *testing.T) {
	for _, name := range append(strings.Split(regionNames, ", "), "https://chat.example.com") {
		_, cloud, closeIdle, err := openCloud(config{rongcloud: name, appKey: "key", appSecret: "secret"}, slog.New(slog.DiscardHandler))
		require.NoError(t, err, name)
		assert.Contains(t, cloud, "RongCloud at https://")
		closeIdle()
	}
}

func TestTheRequestEndsBeforeItsConnectionDoes(t *testing.T) {
	assert.Less(t, defaultLimits.cloud, defaultLimits.request)
	assert.Less(t, defaultLimits.request, defaultLimits.write)
	assert.GreaterOrEqual(t, defaultLimits.drain, defaultLimits.write)
}
