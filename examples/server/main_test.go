package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealtalk-go/misc/httpapi"
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

// instance is a server on a free port, and its client.
type instance struct {
	t        *testing.T
	base     string
	client   *http.Client
	user     []string // the header of requests of the user who is logged in: names and values
	out, log output
	cancel   context.CancelFunc
	ended    chan error
}

// testConfig returns the config of a server that keeps its files in dir.
func testConfig(t *testing.T, dir string, args ...string) config {
	t.Helper()
	cfg, err := parseConfig(append(testArgs(t, dir), args...), io.Discard)
	require.NoError(t, err)
	return cfg
}

// testArgs returns flags with limits that no test reaches by chance.
func testArgs(t *testing.T, dir string) []string {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS("versions")); err != nil {
		require.ErrorIs(t, err, fs.ErrExist)
	}
	return []string{"-addr", "127.0.0.1:0", "-db", "sqlite:" + filepath.Join(dir, "misc.db"), "-versions", dir,
		"-user-limit", "10000", "-read-limit", "10000", "-address-limit", "10000", "-group-quota", "100000", "-private-quota", "100000", "-stop-delay", "0s"}
}

// start starts a server and returns when it listens.
func start(t *testing.T, cfg config) *instance {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in := &instance{t: t, client: &http.Client{Transport: &http.Transport{}}, cancel: cancel, ended: make(chan error, 1)}
	go func() { in.ended <- serve(ctx, cfg, &in.out, newLogger(&in.log, cfg.log)) }()
	t.Cleanup(func() { cancel(); in.client.CloseIdleConnections() })
	require.Eventually(t, func() bool {
		if listening := listeningAt.FindStringSubmatch(in.log.String()); listening != nil {
			in.base = listening[1]
		}
		return in.base != "" || len(in.ended) > 0
	}, time.Minute, time.Millisecond)
	require.NotEmpty(t, in.base, "the server ended without listening")
	return in
}

var listeningAt = regexp.MustCompile(`listening"?.*url"?[=:]"?(http://[^"\s]+)`)

// serving returns an instance that serves only handler, with user 1 logged in.
func serving(t *testing.T, handler http.Handler) *instance {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &instance{t: t, base: server.URL, client: http.DefaultClient, user: credentials(t, 1)}
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
	for names := range slices.Chunk(append(slices.Clone(in.user), header...), 2) {
		req.Header.Set(names[0], names[1])
	}
	req.Host = req.Header.Get("Host")
	resp, err := in.client.Do(req)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	assert.NoError(in.t, err)
	return reply{resp.StatusCode, resp.Header, strings.TrimSpace(string(b))}
}

func (in *instance) login(user uint32) { in.user = credentials(in.t, user) }

func TestEveryEndpointAnswersALoggedInUser(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir()))
	in.login(1)
	for _, c := range []struct {
		method, path, body string
		status             int
		answer             string // a part of the answer
	}{
		{"GET", "/misc/latest_update?version=1.0.0", "", 200, `{"version":"1.0.2","url":"https://`},
		{"GET", "/misc/latest_update?version=1.0.2", "", 204, ``},
		{"GET", "/misc/client_version", "", 200, `{"iOS":{"version":"1.0.5","build":"201607181821"`},
		{"GET", "/misc/mobile_version", "", 200, `{"code":200,"result":{"iOS":{`},
		{"GET", "/misc/demo_square", "", 200, `{"code":200,"result":[{"id":"` + id1 + `","type":"group","name":"Demo group","portraitUri":"https://downloads.example.com/sealtalk/group.png","memberCount":2,"maxMemberCount":500},{"id":"` + id1 + `","type":"chatroom","name":"Demo chat room 1"},`},
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
		{"GET", "/healthz", "", 200, `{"status":"ok"}`},
		{"GET", "/readyz", "", 200, `{"catalog":"ok","cloud":"ok","database":"ok","files":{"client_version.json":"3c2532b6b772","demo_square.json":"7498e2f6e1c7","squirrel.json":"485723fffbc7"},"status":"ready"}`},
		{"GET", "/openapi.yaml", "", 200, strings.TrimSpace(string(httpapi.OpenAPI()))},
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
	r := in.do("POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"`+id1+`"}`)
	assert.Equal(t, `{"code":200,"result":{"status":1}}`, r.body, "the friend reads the same setting")
	in.stop()
}

func TestTheDefaultsRunInTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg, err := parseConfig([]string{"-addr", "127.0.0.1:0", "-stop-delay", "0s"}, io.Discard)
	require.NoError(t, err)
	in := start(t, cfg)
	in.stop()
	for _, path := range []string{"misc.db", "misc.versions/squirrel.json", "misc.versions/client_version.json", "misc.versions/demo_square.json"} {
		assert.FileExists(t, path)
	}
	for _, part := range []string{
		"demo_n3d_key=true", "in misc.versions", "a stand-in", "misc.db answers", "users 1, 2 and 3", "every request was answered",
	} {
		assert.Contains(t, in.log.String(), part)
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
	assert.Contains(t, in.log.String(), "no demo rows, the database is in use already")
}

func TestNothingIsSeededUnlessAsked(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir(), "-seed=false"))
	in.login(1)
	assert.Equal(t, http.StatusForbidden, in.do("POST", "/misc/get_screen_capture", toFriend).status)
	in.stop()
}
