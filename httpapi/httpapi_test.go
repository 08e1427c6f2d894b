package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
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

// host is a server in the making: parts may be replaced before it is asked.
type host struct {
	misc  misc.Config
	http  httpapi.Config
	store *misc.MemoryStore
	cloud *misctest.Messenger
	log   *logBuffer
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
	h := &host{store: misc.NewMemoryStore(), cloud: &misctest.Messenger{}, log: &logBuffer{}}
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
		Logger: slog.New(slog.NewTextHandler(h.log, nil)),
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

// do asks the host, as alice with a JSON body unless change says otherwise.
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

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.b.String(), func(r rune) bool { return r == '\n' })
}

func failure(status int, message string) string {
	return fmt.Sprintf(`{"code":%d,"message":"%s"}`, status, message)
}

func TestNewNamesEveryFaultOfItsConfig(t *testing.T) {
	_, err := httpapi.New(httpapi.Config{Prefix: "misc", MaxBodyBytes: -1, NotLoggedInCode: 200})
	assert.EqualError(t, err, `httpapi: Config.Service is required
httpapi: Config.CurrentUser is required
httpapi: Config.Prefix is "misc" and must have a slash at both ends, such as /misc/
httpapi: Config.MaxBodyBytes is -1 and must not be negative
httpapi: Config.NotLoggedInCode is 200 and must be a code of failure, such as 1000`)
	for _, prefix := range []string{"/misc", "misc/"} {
		_, err := httpapi.New(httpapi.Config{Prefix: prefix})
		assert.ErrorContains(t, err, "must have a slash at both ends", prefix)
	}
}

func TestVersionEndpoints(t *testing.T) {
	const invalid = "version must be one semantic version such as 1.0.2"
	for _, test := range []struct {
		name, method, target string
		status               int
		body                 string
	}{
		{"older", "GET", "/misc/latest_update?version=1.0.0", 200, releaseJSON},
		{"as the desktop client asks", "GET", "/misc/latest_update?version=1.0.0&platform=darwin", 200, releaseJSON},
		{"prerelease of the same", "GET", "/misc/latest_update?version=v1.0.2-rc.1%2B5", 200, releaseJSON},
		{"the same", "GET", "/misc/latest_update?version=1.0.2", 204, ""},
		{"the same but for its build", "GET", "/misc/latest_update?version=1.0.2%2B5", 204, ""},
		{"newer, though lower as a string", "GET", "/misc/latest_update?version=1.0.10", 204, ""},
		{"HEAD, as MSIX clients ask first", "HEAD", "/misc/latest_update?version=1.0.2", 204, ""},
		{"no version", "GET", "/misc/latest_update", 400, failure(400, invalid)},
		{"empty version", "GET", "/misc/latest_update?version=", 400, failure(400, invalid)},
		{"two versions", "GET", "/misc/latest_update?version=1.0.0&version=1.0.0", 400, failure(400, invalid)},
		{"two numbers", "GET", "/misc/latest_update?version=1.0", 400, failure(400, invalid)},
		{"plus sign read as a space", "GET", "/misc/latest_update?version=1.0.0+5", 400, failure(400, invalid)},
		{"broken escape", "GET", "/misc/latest_update?version=%zz", 400, failure(400, invalid)},
		{"a second version that is broken", "GET", "/misc/latest_update?version=1.0.0&version=%zz", 400, failure(400, invalid)},
		{"a semicolon", "GET", "/misc/latest_update?version=1.0.0;a", 400, failure(400, invalid)},
		{"another parameter that is broken", "GET", "/misc/latest_update?version=1.0.0&platform=%zz&%zz", 200, releaseJSON},
		{"a name in escapes", "GET", "/misc/latest_update?version=1.0.0&vers%69on=1.0.0", 400, failure(400, invalid)},
		{"mobile, bare", "GET", "/misc/client_version", 200, clientsJSON},
		{"mobile, extra parameters", "GET", "/misc/client_version?a=b", 200, clientsJSON},
		{"square", "GET", "/misc/demo_square", 200, `{"code":200,"result":` + squareJSON + `}`},
		{"mobile, in an envelope", "GET", "/misc/mobile_version", 200, `{"code":200,"result":` + clientsJSON + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newHost(t).do(t, test.method, test.target, "")
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, test.body, w.Body.String())
			if strings.Contains(test.target, "latest_update") {
				assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), "a stale answer makes the desktop client reinstall for ever")
				assert.Empty(t, w.Header().Get("ETag"), "the desktop client shows a 304 as an error")
			} else {
				assert.Equal(t, "max-age=60", w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestHeadHasTheHeadersOfGetAndNoBody(t *testing.T) {
	server := httptest.NewServer(newHost(t).handler(t))
	defer server.Close()
	for _, path := range []string{"/misc/latest_update?version=1.0.0", "/misc/client_version", "/misc/mobile_version", "/misc/demo_square"} {
		get, err := http.Get(server.URL + path)
		require.NoError(t, err)
		require.NoError(t, get.Body.Close())
		head, err := http.Head(server.URL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(head.Body)
		require.NoError(t, err)
		require.NoError(t, head.Body.Close())
		assert.Empty(t, body)
		assert.Equal(t, 200, head.StatusCode)
		for _, h := range []http.Header{get.Header, head.Header} {
			h.Del("Date")
		}
		assert.Equal(t, get.Header, head.Header, path)
		assert.NotEmpty(t, head.Header.Get("Content-Length"), path)
	}
}

func TestMobileVersionsAreRevalidated(t *testing.T) {
	h := newHost(t)
	bare := h.do(t, "GET", "/misc/client_version", "").Header().Get("ETag")
	envelope := h.do(t, "GET", "/misc/mobile_version", "").Header().Get("ETag")
	assert.Regexp(t, `^"[0-9a-f]{32}"$`, bare)
	assert.Regexp(t, `^"[0-9a-f]{32}"$`, envelope)
	assert.NotEqual(t, bare, envelope)
	for _, test := range []struct {
		path   string
		values []string
		status int
	}{
		{"client_version", []string{bare}, 304},
		{"client_version", []string{"W/" + bare}, 304},
		{"client_version", []string{`"other", W/"x" , ` + bare}, 304},
		{"client_version", []string{`"other"`, bare}, 304},
		{"client_version", []string{"*"}, 304},
		{"client_version", []string{`"other"`}, 200},
		{"client_version", []string{envelope}, 200},
		{"client_version", []string{strings.Trim(bare, `"`)}, 200},
		{"client_version", []string{""}, 200},
		{"mobile_version", []string{envelope}, 304},
		{"mobile_version", []string{bare}, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := h.do(t, method, "/misc/"+test.path, "", header("If-None-Match", test.values...))
			assert.Equal(t, test.status, w.Code, "%s %s %q", method, test.path, test.values)
			assert.NotEmpty(t, w.Header().Get("ETag"))
			assert.Equal(t, "max-age=60", w.Header().Get("Cache-Control"))
			if test.status == 304 {
				assert.Empty(t, w.Body.String())
				assert.Empty(t, w.Header().Get("Content-Type"))
			}
		}
	}
	// The desktop endpoint never answers 304, whatever is asked.
	assert.Equal(t, 200, h.do(t, "GET", "/misc/latest_update?version=1.0.0", "", header("If-None-Match", "*")).Code)
}

// versionSource answers what a test puts into it.
type versionSource struct {
	release *misc.Release
	clients *misc.ClientVersions
	square  *misc.Square
	err     error
	asked   misc.UpdateQuery
}

func (s *versionSource) LatestRelease(_ context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	s.asked = q
	return s.release, s.err
}

func (s *versionSource) ClientVersions(context.Context) (*misc.ClientVersions, error) {
	return s.clients, s.err
}

func (s *versionSource) Square(context.Context) (*misc.Square, error) { return s.square, s.err }

func TestTheSourceHearsAllThatADesktopClientSays(t *testing.T) {
	h := newHost(t)
	source := &versionSource{err: misc.ErrNoRelease}
	h.misc.Versions = source
	w := h.do(t, "GET", "/misc/latest_update?version=v1.0.0%2B1&platform=darwin&platform=x&arch=arm64&os_version=14.4&channel=beta&id=%E5%B0%8F&other=1", "", header("User-Agent", "Darwin/22.5.0"))
	assert.Equal(t, 204, w.Code)
	assert.Equal(t, misc.UpdateQuery{Version: "v1.0.0+1", Platform: "darwin", Arch: "arm64", OSVersion: "14.4", Channel: "beta", ClientID: "小", UserAgent: "Darwin/22.5.0"}, source.asked)
}

func TestWithoutASquareThereIsNoSuchPath(t *testing.T) {
	for _, source := range []misc.SquareSource{nil, &versionSource{err: fmt.Errorf("x: %w", misc.ErrNoSquare)}} {
		h := newHost(t)
		h.misc.Square = source
		w := h.do(t, "GET", "/misc/demo_square", "")
		assert.Equal(t, failure(404, "no such path"), w.Body.String())
		assert.Equal(t, 404, w.Code)
		assert.Empty(t, h.log.lines())
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

func TestAUserOfTheHostsMiddlewareIsLoggedIn(t *testing.T) {
	h := newHost(t)
	h.http.CurrentUser = httpapi.UserFromContext
	for user, want := range map[string]int{alice: 200, mallory: 403, "": 403} {
		w := h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], func(r *http.Request) {
			*r = *r.WithContext(httpapi.WithUser(r.Context(), user))
		})
		assert.Equal(t, want, w.Code, user)
	}
	assert.Equal(t, failure(403, "not logged in"), h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]).Body.String())
	assert.Equal(t, []misc.Message{notice(alice, 1, bob, "sendScreenNtf")}, h.cloud.Delivered())
}

func TestTheCodeOfARequestWithoutLoginIsASetting(t *testing.T) {
	h := newHost(t)
	h.http.NotLoggedInCode = 1000
	w := h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], as(""))
	assert.Equal(t, 403, w.Code)
	assert.Equal(t, failure(1000, "not logged in"), w.Body.String())
	w = h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], as(mallory))
	assert.Equal(t, failure(403, "targetId is not a friend of yours"), w.Body.String(), "only that one")
}

func TestANewReleaseIsServedAtOnce(t *testing.T) {
	h := newHost(t)
	source := &versionSource{}
	h.misc.Versions = source
	handler := h.handler(t)
	for _, version := range []string{"1.0.6", "1.0.7", "1.0.6"} {
		var err error
		source.clients, err = catalog.ParseClientVersions([]byte(strings.ReplaceAll(clientsJSON, "1.0.5", version)))
		require.NoError(t, err)
		for range 2 {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("GET", "/misc/client_version", nil))
			assert.Equal(t, strings.ReplaceAll(clientsJSON, "1.0.5", version), w.Body.String())
		}
	}
}

func TestAVersionSourceAtFaultIs500(t *testing.T) {
	for name, source := range map[string]*versionSource{
		"it fails":                                 {err: errors.New("disk on fire")},
		"it has what no constructor made":          {release: &misc.Release{}, clients: &misc.ClientVersions{}, square: &misc.Square{}},
		"it answers nothing":                       {},
		"it blames the client":                     {err: fmt.Errorf("mine: %w", misc.ErrInvalidVersion)},
		"it has wrapped what others answer 4xx to": {err: fmt.Errorf("mine: %w", misc.ErrInvalidID)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/misc/latest_update?version=1.0.0", "/misc/client_version", "/misc/mobile_version", "/misc/demo_square"} {
				h := newHost(t)
				h.misc.Versions, h.misc.Square = source, source
				w := h.do(t, "GET", path, "")
				assert.Equal(t, 500, w.Code, path)
				assert.Equal(t, failure(500, "internal error"), w.Body.String())
				assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
				assert.Empty(t, w.Header().Get("ETag"))
				assert.Len(t, h.log.lines(), 1)
			}
		})
	}
	// What is wrong with the request is still the client's to hear.
	h := newHost(t)
	h.misc.Versions = &versionSource{err: errors.New("disk on fire")}
	assert.Equal(t, 400, h.do(t, "GET", "/misc/latest_update?version=1", "").Code)
}

func notice(from string, t misc.ConversationType, to, operation string) misc.Message {
	return misc.Message{
		Type: t, From: from, To: to, ObjectName: "ST:ConNtf", IncludeSender: true,
		Content: `{"operatorUserId":"` + from + `","operation":"` + operation + `"}`,
	}
}

func TestWhatClientsSendIsAnswered(t *testing.T) {
	private, group := misc.PrivateConversation(bob, alice), misc.GroupConversation(team)
	message := func(t misc.ConversationType, to, objectName, content, push string) misc.Message {
		return misc.Message{Type: t, From: alice, To: to, ObjectName: objectName, Content: content, PushContent: push}
	}
	for _, test := range []struct {
		name, path, body string
		answer           string
		sent             *misc.Message
		on               *misc.Conversation // what is on afterwards; everything is off before
	}{
		{
			name: "the document's message", path: "send_message",
			body:   `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"RC:TxtMsg","content":"你好,Martin","pushContent":"push 内容"}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, "RC:TxtMsg", `{"content":"你好,Martin"}`, "push 内容")),
		},
		{
			name: "the iOS share extension", path: "send_message",
			body:   `{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:ImgTextMsg","content":{"title":"t","content":"c","imageUri":"https:\/\/x.test\/a.png","url":"https://x.test/?a=1&b=<2>"}}`,
			answer: `{"code":"200"}`, sent: ptr(message(3, team, "RC:ImgTextMsg", `{"title":"t","content":"c","imageUri":"https:\/\/x.test\/a.png","url":"https://x.test/?a=1&b=<2>"}`, "")),
		},
		{
			name: "unknown fields, null and an empty push", path: "send_message",
			body:   `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"x:y","content":"raw","pushContent":null,"extra":{"a":[1]},"TargetId":1}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, "x:y", "raw", "")),
		},
		{
			name: "the last of two equal fields counts", path: "send_message",
			body:   `{"conversationType":"GROUP","conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"x:y","content":"raw","pushContent":""}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, "x:y", "raw", "")),
		},
		{
			name: "a mention", path: "send_message",
			body:   `{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:TxtMsg","content":{"content":"@all","mentionedInfo":{"type":1}}}`,
			answer: `{"code":"200"}`, sent: ptr(misc.Message{Type: 3, From: alice, To: team, ObjectName: "RC:TxtMsg", Content: `{"content":"@all","mentionedInfo":{"type":1}}`, Mentioned: true}),
		},
		{
			name: "32 characters, however long", path: "send_message",
			body:   `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"` + strings.Repeat("你", 32) + `","content":"raw"}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, strings.Repeat("你", 32), "raw", "")),
		},
		{
			name: "on, in private", path: "set_screen_capture", body: `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":1}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 1, bob, "openScreenNtf")), on: &private,
		},
		{
			name: "on, in a group, as older callers ask", path: "set_screen_capture", body: `{"conversationType":"3","targetId":"JZlK4nOwb","noticeStatus":"1"}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 3, team, "openScreenNtf")), on: &group,
		},
		{
			name: "off", path: "set_screen_capture", body: `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":0}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 1, bob, "closeScreenNtf")),
		},
		{name: "never set", path: "get_screen_capture", body: `{"conversationType":1,"targetId":"z2mlAvb0c"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "never set, in a group", path: "get_screen_capture", body: `{"conversationType":"3","targetId":"JZlK4nOwb"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "the ultra groups Android asks for", path: "get_screen_capture", body: `{"conversationType":10,"targetId":"anything"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "a number beyond all types", path: "get_screen_capture", body: `{"conversationType":99999999999999999999999,"targetId":"anything"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "a negative type", path: "get_screen_capture", body: `{"conversationType":"-1","targetId":"anything"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "a screenshot, though the notices are off", path: "send_sc_msg", body: `{"conversationType":1,"targetId":"z2mlAvb0c"}`, answer: `{"code":200}`, sent: ptr(notice(alice, 1, bob, "sendScreenNtf"))},
		{name: "a screenshot of a group", path: "send_sc_msg", body: `{"conversationType":"3","targetId":"JZlK4nOwb"}`, answer: `{"code":200}`, sent: ptr(notice(alice, 3, team, "sendScreenNtf"))},
		{name: "a number in escapes", path: "send_sc_msg", body: `{"conversationType":"\u0033","targetId":"JZlK4nOwb"}`, answer: `{"code":200}`, sent: ptr(notice(alice, 3, team, "sendScreenNtf"))},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			w := h.do(t, "POST", "/misc/"+test.path, test.body)
			assert.Equal(t, 200, w.Code)
			assert.Equal(t, test.answer, w.Body.String())
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.Empty(t, h.log.lines())
			if test.sent == nil {
				assert.Empty(t, h.cloud.Delivered())
			} else {
				assert.Equal(t, []misc.Message{*test.sent}, h.cloud.Delivered())
			}
			for _, c := range []misc.Conversation{private, group} {
				status, err := h.store.ScreenCapture(t.Context(), c)
				require.NoError(t, err)
				assert.Equal(t, test.on != nil && *test.on == c, status == misc.NoticeOn)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestASettingIsReadByWhoeverAsks(t *testing.T) {
	h := newHost(t)
	ask := func(user, target string, kind int) string {
		return h.do(t, "POST", "/misc/get_screen_capture", fmt.Sprintf(`{"conversationType":%d,"targetId":%q}`, kind, target), as(user)).Body.String()
	}
	const on, off = `{"code":200,"result":{"status":1}}`, `{"code":200,"result":{"status":0}}`
	require.Equal(t, 200, h.do(t, "POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"`+bob+`","noticeStatus":1}`).Code)
	assert.Equal(t, on, ask(alice, bob, 1))
	assert.Equal(t, on, ask(bob, alice, 1))
	assert.Equal(t, off, ask(alice, team, 3))
	require.Equal(t, 200, h.do(t, "POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"`+alice+`","noticeStatus":0}`, as(bob)).Code)
	assert.Equal(t, off, ask(alice, bob, 1))
}

func TestANumericSendCode(t *testing.T) {
	h := newHost(t)
	h.http.NumericSendCode = true
	w := h.do(t, "POST", "/misc/send_message", `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"RC:TxtMsg","content":"hi"}`)
	assert.Equal(t, `{"code":200}`, w.Body.String())
}

// untouched checks that a refused request stored and sent nothing.
func (h *host) untouched(t *testing.T) {
	t.Helper()
	assert.Empty(t, h.cloud.Delivered())
	for _, c := range []misc.Conversation{misc.PrivateConversation(alice, bob), misc.PrivateConversation(alice, mallory), misc.GroupConversation(team)} {
		status, err := h.store.ScreenCapture(t.Context(), c)
		require.NoError(t, err)
		assert.Equal(t, misc.NoticeOff, status)
	}
}

// good is, for each POST endpoint, a body that is answered 200.
var good = map[string]string{
	"send_message":       `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"RC:TxtMsg","content":"hi","pushContent":"p"}`,
	"set_screen_capture": `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":1}`,
	"get_screen_capture": `{"conversationType":1,"targetId":"z2mlAvb0c"}`,
	"send_sc_msg":        `{"conversationType":1,"targetId":"z2mlAvb0c"}`,
}

// replaced returns the good body of path with the value of a field replaced,
// or the field removed where value is empty.
func replaced(path, field, value string) string {
	parts := strings.Split(strings.Trim(good[path], "{}"), ",")
	kept := parts[:0]
	for _, p := range parts {
		if !strings.HasPrefix(p, `"`+field+`":`) {
			kept = append(kept, p)
		}
	}
	if value != "" {
		kept = append(kept, `"`+field+`":`+value)
	}
	return "{" + strings.Join(kept, ",") + "}"
}

func TestWrongFieldsAreNamed(t *testing.T) {
	type fault struct{ value, message string }
	const objectName = "objectName must be 1 to 32 characters, without control characters and not only white space"
	text := func(field, mistyped string) []fault {
		return []fault{
			{``, field + " is required"},
			{`null`, field + " is required"},
			{`""`, field + " must not be empty"},
			{`1`, field + mistyped},
			{`true`, field + mistyped},
			{`["z2mlAvb0c"]`, field + mistyped},
			{`{"id":"z2mlAvb0c"}`, field + mistyped},
		}
	}
	number := func(field, mistyped string) []fault {
		faults := []fault{{``, field + " is required"}, {`null`, field + " is required"}}
		for _, value := range []string{`1.5`, `1.0`, `1e0`, `"01"`, `"1.5"`, `""`, `" 1"`, `"+1"`, `"-"`, `"-01"`, `-0`, `"-0"`, `"1 "`, `"0x1"`, `"PRIVATE"`, `"１"`, `"1\u0000"`, `true`, `false`, `[1]`, `{}`, `{"a":1}`} {
			faults = append(faults, fault{value, field + mistyped})
		}
		return faults
	}
	for path, fields := range map[string]map[string][]fault{
		"send_message": {
			"conversationType": text("conversationType", " must be PRIVATE or GROUP"),
			"targetId":         text("targetId", " must be a string"),
			"objectName":       append(text("objectName", " must be a string"), fault{`"` + strings.Repeat("a", 33) + `"`, objectName}, fault{`"` + strings.Repeat("你", 33) + `"`, objectName}, fault{`"my\n"`, objectName}, fault{`"\u0000"`, objectName}, fault{`" "`, objectName}),
			"content": {
				{``, "content is required"},
				{`null`, "content is required"},
				{`""`, "content must be a JSON object or a string that is not empty"},
				{`1`, "content must be a JSON object or a string that is not empty"},
				{`true`, "content must be a JSON object or a string that is not empty"},
				{`["a"]`, "content must be a JSON object or a string that is not empty"},
				{`"` + strings.Repeat("a", 128<<10) + `"`, "content must be at most 128 KiB"},
			},
			"pushContent": {{`1`, "pushContent must be a string"}, {`{}`, "pushContent must be a string"}, {`[]`, "pushContent must be a string"}},
		},
		"set_screen_capture": {
			"conversationType": number("conversationType", " must be 1 (private) or 3 (group)"),
			"targetId":         text("targetId", " must be a string"),
			"noticeStatus": append(number("noticeStatus", " must be 0 (off) or 1 (on)"),
				fault{`2`, "noticeStatus must be 0 (off) or 1 (on)"}, fault{`-1`, "noticeStatus must be 0 (off) or 1 (on)"},
				fault{`"2"`, "noticeStatus must be 0 (off) or 1 (on)"}, fault{`4294967297`, "noticeStatus must be 0 (off) or 1 (on)"},
				fault{`18446744073709551617`, "noticeStatus must be 0 (off) or 1 (on)"}),
		},
		"get_screen_capture": {"conversationType": number("conversationType", " must be 1 (private) or 3 (group)"), "targetId": text("targetId", " must be a string")},
		"send_sc_msg":        {"conversationType": number("conversationType", " must be 1 (private) or 3 (group)"), "targetId": text("targetId", " must be a string")},
	} {
		for field, faults := range fields {
			for _, fault := range faults {
				h := newHost(t)
				body := replaced(path, field, fault.value)
				w := h.do(t, "POST", "/misc/"+path, body)
				assert.Equal(t, 400, w.Code, "%s %.200s", path, body)
				assert.Equal(t, failure(400, fault.message), w.Body.String(), "%s %.200s", path, body)
				assert.Empty(t, h.log.lines())
				h.untouched(t)
			}
		}
	}
	for path, values := range map[string][]string{
		"send_message":       {`"private"`, `"1"`, `"CHATROOM"`, `"PRIVATE "`},
		"set_screen_capture": {`0`, `2`, `7`, `-1`, `"7"`, `4294967297`, `18446744073709551617`, strings.Repeat("9", 100_000)},
		"send_sc_msg":        {`0`, `2`, `7`, `-3`, `"4"`, `4294967299`},
	} {
		for _, value := range values {
			h := newHost(t)
			types := "1 (private) or 3 (group)"
			if path == "send_message" {
				types = "PRIVATE or GROUP"
			}
			w := h.do(t, "POST", "/misc/"+path, replaced(path, "conversationType", value))
			assert.Equal(t, failure(403, "conversationType is not supported: use "+types), w.Body.String(), "%s %.100s", path, value)
			assert.Equal(t, 403, w.Code)
			h.untouched(t)
		}
	}
}

func TestAnUnsupportedTypeStillNeedsATarget(t *testing.T) {
	w := newHost(t).do(t, "POST", "/misc/get_screen_capture", `{"conversationType":7}`)
	assert.Equal(t, failure(400, "targetId is required"), w.Body.String())
}

func TestRequestsThatAreRefused(t *testing.T) {
	long := func(n int) string {
		return `{"conversationType":1,"targetId":"` + bob + `","noticeStatus":1,"x":"` + strings.Repeat("a", n) + `"}`
	}
	for _, test := range []struct {
		name, method, target, body string
		change                     func(*http.Request)
		status                     int
		message                    string
		allow                      string
	}{
		{name: "no such endpoint", method: "GET", target: "/misc/nothing", status: 404, message: "no such path"},
		{name: "the prefix alone", method: "GET", target: "/misc/", status: 404, message: "no such path"},
		{name: "a slash too many", method: "GET", target: "/misc/client_version/", status: 404, message: "no such path"},
		{name: "another prefix", method: "GET", target: "/other/client_version", status: 404, message: "no such path"},
		{name: "another case", method: "GET", target: "/misc/Client_Version", status: 404, message: "no such path"},
		{name: "the path comes before the method", method: "DELETE", target: "/misc/nothing", status: 404, message: "no such path"},
		{name: "POST to a GET", method: "POST", target: "/misc/latest_update?version=1.0.0", status: 405, message: "method must be GET or HEAD", allow: "GET, HEAD"},
		{name: "OPTIONS", method: "OPTIONS", target: "/misc/mobile_version", status: 405, message: "method must be GET or HEAD", allow: "GET, HEAD"},
		{name: "GET to a POST", method: "GET", target: "/misc/send_message", status: 405, message: "method must be POST", allow: "POST"},
		{name: "the method comes before the login", method: "PUT", target: "/misc/send_sc_msg", change: header("X-User"), status: 405, message: "method must be POST", allow: "POST"},
		{name: "not logged in", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("X-User"), status: 403, message: "not logged in"},
		{name: "the login comes before the media type", method: "POST", target: "/misc/set_screen_capture", body: "a=b", change: func(r *http.Request) { r.Header = http.Header{} }, status: 403, message: "not logged in"},
		{name: "a form", method: "POST", target: "/misc/set_screen_capture", body: "a=b", change: header("Content-Type", "application/x-www-form-urlencoded"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "compressed", method: "POST", target: "/misc/set_screen_capture", body: "\x1f\x8b", change: header("Content-Encoding", "gzip"), status: 415, message: "Content-Encoding must be identity: send the body uncompressed"},
		{name: "compressed twice", method: "POST", target: "/misc/set_screen_capture", body: "\x1f\x8b", change: header("Content-Encoding", "identity", "br"), status: 415, message: "Content-Encoding must be identity: send the body uncompressed"},
		{name: "no media type", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("Content-Type"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "a broken media type", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("Content-Type", "application/json; charset"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "another charset", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("Content-Type", "application/json; charset=gbk"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "the media type comes before the size", method: "POST", target: "/misc/set_screen_capture", body: long(1 << 20), change: header("Content-Type", "text/plain"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "a body too large", method: "POST", target: "/misc/set_screen_capture", body: long(256 << 10), status: 413, message: "body must be at most 262144 bytes"},
		{name: "the size comes before the JSON", method: "POST", target: "/misc/set_screen_capture", body: strings.Repeat("x", 1<<20), status: 413, message: "body must be at most 262144 bytes"},
		{name: "no body", method: "POST", target: "/misc/set_screen_capture", status: 400, message: "body is not valid JSON: "},
		{name: "half a body", method: "POST", target: "/misc/set_screen_capture", body: `{"conversationType":1,`, status: 400, message: "body is not valid JSON: "},
		{name: "JavaScript", method: "POST", target: "/misc/set_screen_capture", body: `{conversationType:1}`, status: 400, message: "body is not valid JSON: "},
		{name: "a second value", method: "POST", target: "/misc/set_screen_capture", body: long(1) + `{}`, status: 400, message: "body is not valid JSON: "},
		{name: "a byte order mark", method: "POST", target: "/misc/set_screen_capture", body: "\ufeff" + long(1), status: 400, message: "body is not valid JSON: "},
		{name: "an array", method: "POST", target: "/misc/set_screen_capture", body: `[` + long(1) + `]`, status: 400, message: "body must be a JSON object"},
		{name: "null", method: "POST", target: "/misc/set_screen_capture", body: `null`, status: 400, message: "body must be a JSON object"},
		{name: "a string", method: "POST", target: "/misc/set_screen_capture", body: `"{}"`, status: 400, message: "body must be a JSON object"},
		{name: "bytes that are no UTF-8", method: "POST", target: "/misc/send_message", body: replaced("send_message", "content", "\"\xff\""), status: 400, message: "body must be UTF-8"},
		{name: "nested without end", method: "POST", target: "/misc/send_message", body: replaced("send_message", "content", strings.Repeat(`{"a":`, 20_000)+`1`+strings.Repeat(`}`, 20_000)), status: 400, message: "body is not valid JSON: "},
		{name: "a field in another case is missing", method: "POST", target: "/misc/set_screen_capture", body: `{"ConversationType":1,"targetId":"x","noticeStatus":1}`, status: 400, message: "conversationType is required"},
		{name: "fields come before the type", method: "POST", target: "/misc/set_screen_capture", body: `{"conversationType":7,"targetId":"x","noticeStatus":2}`, status: 400, message: "noticeStatus must be 0 (off) or 1 (on)"},
		{name: "the type comes before the relation", method: "POST", target: "/misc/set_screen_capture", body: `{"conversationType":7,"targetId":"` + mallory + `","noticeStatus":1}`, status: 403, message: "conversationType is not supported: use 1 (private) or 3 (group)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			change := test.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := h.do(t, test.method, test.target, test.body, change)
			assert.Equal(t, test.status, w.Code)
			if strings.HasSuffix(test.message, ": ") { // and then words of encoding/json
				assert.Contains(t, w.Body.String(), strings.TrimSuffix(failure(test.status, test.message), `"}`))
			} else {
				assert.Equal(t, failure(test.status, test.message), w.Body.String())
			}
			assert.Equal(t, test.allow, w.Header().Get("Allow"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.Empty(t, h.log.lines(), "what the client did wrong is not logged")
			h.untouched(t)
		})
	}
}

func TestMediaTypesThatAreJSON(t *testing.T) {
	for _, value := range []string{"application/json", "application/json;charset=utf-8", "application/json; charset=UTF-8", `Application/JSON; charset="utf-8"`, "application/json; profile=x"} {
		assert.Equal(t, 200, newHost(t).do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], header("Content-Type", value)).Code, value)
	}
}

func TestABodyAsLargeAsTheLimit(t *testing.T) {
	h := newHost(t)
	h.http.MaxBodyBytes = int64(len(good["send_sc_msg"]))
	assert.Equal(t, 200, h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]).Code)
	assert.Equal(t, 413, h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]+" ").Code)
}

func TestABodyThatEndsEarly(t *testing.T) {
	h := newHost(t)
	w := h.do(t, "POST", "/misc/set_screen_capture", "", func(r *http.Request) {
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(good["set_screen_capture"]), errReader{}))
	})
	assert.Equal(t, failure(400, "body ended early"), w.Body.String())
	h.untouched(t)
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestStrangersReachNobody(t *testing.T) {
	for path, body := range good {
		for _, test := range []struct{ name, user, target, kind, message string }{
			{"a stranger", alice, mallory, "private", "targetId is not a friend of yours"},
			{"oneself", alice, alice, "private", "targetId is not a friend of yours"},
			{"a group as a friend", alice, team, "private", "targetId is not a friend of yours"},
			{"a group of others", mallory, team, "group", "you are not a member of the group targetId"},
			{"a friend as a group", alice, bob, "group", "you are not a member of the group targetId"},
			{"a group that is not", alice, "nosuchgroup", "group", "you are not a member of the group targetId"},
		} {
			kind := map[string]string{"private": "1", "group": "3"}[test.kind]
			if path == "send_message" {
				kind = map[string]string{"private": `"PRIVATE"`, "group": `"GROUP"`}[test.kind]
			}
			h := newHost(t)
			body := strings.NewReplacer(bob, test.target, `"conversationType":1`, `"conversationType":`+kind, `"PRIVATE"`, kind).Replace(body)
			w := h.do(t, "POST", "/misc/"+path, body, as(test.user))
			assert.Equal(t, 403, w.Code, "%s: %s", path, test.name)
			assert.Equal(t, failure(403, test.message), w.Body.String(), "%s: %s", path, test.name)
			h.untouched(t)
		}
	}
}

func TestAnOpenScreenCaptureIsOpenThereAlone(t *testing.T) {
	for path, body := range good {
		h := newHost(t)
		h.misc.InsecureOpenScreenCapture = true
		want := 200
		if path == "send_message" {
			want = 403
		}
		assert.Equal(t, want, h.do(t, "POST", "/misc/"+path, body, as(mallory)).Code, path)
	}
}

// relations and store fail with err where it is set.
type failing struct {
	misc.Relations
	misc.ScreenCaptureStore
	relations, get, set error
}

func (f failing) AreFriends(ctx context.Context, a, b string) (bool, error) {
	if f.relations != nil {
		return false, f.relations
	}
	return f.Relations.AreFriends(ctx, a, b)
}

func (f failing) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	if f.get != nil {
		return 0, f.get
	}
	return f.ScreenCaptureStore.ScreenCapture(ctx, c)
}

func (f failing) SetScreenCapture(ctx context.Context, c misc.Conversation, s misc.NoticeStatus) error {
	if f.set != nil {
		return f.set
	}
	return f.ScreenCaptureStore.SetScreenCapture(ctx, c, s)
}

// backAfter is an error that knows how long it lasts, and nothing else.
type backAfter time.Duration

func (backAfter) Error() string               { return "away" }
func (b backAfter) RetryAfter() time.Duration { return time.Duration(b) }

// limited is a rate limit that knows when it ends.
type limited struct{ after time.Duration }

func (limited) Error() string               { return "slow down" }
func (limited) Unwrap() error               { return misc.ErrRateLimited }
func (l limited) RetryAfter() time.Duration { return l.after }

func TestWhatFailsBehindIsTold(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.7:3306: password hunter2")
	const (
		internal = "internal error"
		refused  = "the chat cloud did not take the message"
		late     = "the chat cloud did not answer in time"
	)
	for _, test := range []struct {
		name       string
		paths      string
		fail       failing
		send       error
		user       error
		status     int
		message    string
		retryAfter string
	}{
		{name: "the login", paths: "send_message set_screen_capture get_screen_capture send_sc_msg", user: secret, status: 500, message: internal},
		{name: "relations", paths: "send_message set_screen_capture get_screen_capture send_sc_msg", fail: failing{relations: secret}, status: 500, message: internal},
		{name: "relations, in time", paths: "send_message", fail: failing{relations: context.DeadlineExceeded}, status: 500, message: internal},
		{name: "an id that cannot be decoded", paths: "send_message set_screen_capture get_screen_capture send_sc_msg", fail: failing{relations: fmt.Errorf("x: %w", misc.ErrInvalidID)}, status: 400, message: "targetId is not a valid id"},
		{name: "the target's id", paths: "send_message set_screen_capture get_screen_capture send_sc_msg", fail: failing{relations: &misc.IDError{ID: bob}}, status: 400, message: "targetId is not a valid id"},
		{name: "the user's own id", paths: "send_message set_screen_capture get_screen_capture send_sc_msg", fail: failing{relations: &misc.IDError{ID: alice}}, status: 500, message: internal},
		{name: "reading", paths: "get_screen_capture", fail: failing{get: secret}, status: 500, message: internal},
		{name: "storing", paths: "set_screen_capture", fail: failing{set: secret}, status: 500, message: internal},
		{name: "the cloud, in a way nobody knows", paths: "send_message set_screen_capture send_sc_msg", send: secret, status: 502, message: refused},
		{name: "the cloud refuses", paths: "send_message set_screen_capture send_sc_msg", send: fmt.Errorf("x: %w", misc.ErrRefused), status: 502, message: refused},
		{name: "the cloud is away", paths: "send_message set_screen_capture send_sc_msg", send: fmt.Errorf("x: %w", misc.ErrUnreachable), status: 502, message: refused},
		{name: "the cloud blames an id", paths: "send_message", send: fmt.Errorf("x: %w", misc.ErrInvalidID), status: 502, message: refused},
		{name: "the cloud is late", paths: "send_message set_screen_capture send_sc_msg", send: fmt.Errorf("x: %w", misc.ErrTimeout), status: 504, message: late},
		{name: "a deadline", paths: "send_message set_screen_capture send_sc_msg", send: fmt.Errorf("x: %w", context.DeadlineExceeded), status: 504, message: late},
		{name: "the rate limit", paths: "send_message set_screen_capture send_sc_msg", send: fmt.Errorf("x: %w", misc.ErrRateLimited), status: 429, message: "too many messages, try again later"},
		{name: "the rate limit, until then", paths: "send_message", send: fmt.Errorf("x: %w", limited{1500 * time.Millisecond}), status: 429, message: "too many messages, try again later", retryAfter: "2"},
		{name: "the cloud is away, and knows when it is back", paths: "send_message", send: fmt.Errorf("%w: %w", misc.ErrUnreachable, backAfter(time.Minute)), status: 502, message: refused},
		{name: "the rate limit, in time", paths: "send_message", send: fmt.Errorf("%w: %w", misc.ErrTimeout, misc.ErrRateLimited), status: 429, message: "too many messages, try again later"},
		{name: "the rate limit, until some time", paths: "send_message", send: limited{}, status: 429, message: "too many messages, try again later"},
	} {
		for path := range strings.FieldsSeq(test.paths) {
			t.Run(test.name+" in "+path, func(t *testing.T) {
				h := newHost(t)
				test.fail.Relations, test.fail.ScreenCaptureStore = h.misc.Relations, h.store
				h.misc.Relations, h.misc.Captures = test.fail, test.fail
				h.cloud.Fail(test.send)
				if test.user != nil {
					h.http.CurrentUser = func(*http.Request) (string, error) { return "", test.user }
				}
				w := h.do(t, "POST", "/misc/"+path, good[path])
				assert.Equal(t, test.status, w.Code)
				assert.Equal(t, failure(test.status, test.message), w.Body.String())
				assert.Equal(t, test.retryAfter, w.Header().Get("Retry-After"))
				assert.Empty(t, h.cloud.Delivered())
				if test.status < 500 {
					assert.Empty(t, h.log.lines())
				} else {
					require.Len(t, h.log.lines(), 1, "a 5xx is logged once")
					line := h.log.lines()[0]
					assert.Contains(t, line, "level=ERROR")
					assert.Contains(t, line, "path=/misc/"+path)
					for _, cause := range []error{test.user, test.fail.relations, test.fail.get, test.fail.set, test.send} {
						if cause != nil {
							assert.Contains(t, line, strings.Trim(strconv.Quote(cause.Error()), `"`), "the log names the cause")
						}
					}
				}
				status, err := h.store.ScreenCapture(t.Context(), misc.PrivateConversation(alice, bob))
				require.NoError(t, err)
				assert.Equal(t, path == "set_screen_capture" && test.send != nil, status == misc.NoticeOn, "a setting stays when its notice fails")
			})
		}
	}
}

func TestAFailedNoticeIsSentByTheSameCallAgain(t *testing.T) {
	h := newHost(t)
	h.cloud.Fail(misc.ErrUnreachable)
	require.Equal(t, 502, h.do(t, "POST", "/misc/set_screen_capture", good["set_screen_capture"]).Code)
	h.cloud.Fail(nil)
	require.Equal(t, 200, h.do(t, "POST", "/misc/set_screen_capture", good["set_screen_capture"]).Code)
	assert.Equal(t, []misc.Message{notice(alice, 1, bob, "openScreenNtf")}, h.cloud.Delivered())
}

func TestAnErrorOfTheLoginIsTheHostsWhateverItWraps(t *testing.T) {
	for _, wrapped := range []error{misc.ErrInvalidID, misc.ErrNotFriend, misc.ErrRateLimited, misc.ErrTimeout, misc.ErrSend} {
		h := newHost(t)
		h.http.CurrentUser = func(*http.Request) (string, error) { return alice, fmt.Errorf("session: %w", wrapped) }
		w := h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"])
		assert.Equal(t, failure(500, "internal error"), w.Body.String())
		require.Len(t, h.log.lines(), 1)
		assert.Contains(t, h.log.lines()[0], "session: "+wrapped.Error())
	}
}

// causes collects the errors that are logged.
type causes struct {
	slog.Handler
	errs []error
}

func (c *causes) Enabled(context.Context, slog.Level) bool { return true }

func (c *causes) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			c.errs = append(c.errs, err)
		}
		return true
	})
	return nil
}

func TestALoggedCauseKeepsItsChain(t *testing.T) {
	boom := errors.New("boom")
	h := newHost(t)
	logged := &causes{}
	h.http.Logger = slog.New(logged)
	h.misc.Versions = &versionSource{err: boom}
	h.http.CurrentUser = func(*http.Request) (string, error) { return "", boom }
	h.do(t, "GET", "/misc/latest_update?version=1.0.0", "")
	h.do(t, "GET", "/misc/client_version", "")
	h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"])
	require.Len(t, logged.errs, 3)
	for _, err := range logged.errs {
		assert.ErrorIs(t, err, boom)
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

func TestAnEmptyUserIsNotLoggedIn(t *testing.T) {
	h := newHost(t)
	h.http.CurrentUser = func(*http.Request) (string, error) { return "", nil }
	assert.Equal(t, failure(403, "not logged in"), h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]).Body.String())
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
	require.Len(t, h.log.lines(), 1)
	assert.Contains(t, h.log.lines()[0], "no such session table")
	assert.Contains(t, h.log.lines()[0], "httpapi_test.go", "the log shows where")
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
	require.Len(t, h.log.lines(), 1)
	assert.Contains(t, h.log.lines()[0], "level=INFO")
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
	assert.Len(t, h.log.lines(), 1)
}

// FuzzPost sends any body to every POST endpoint: never a 5xx, never two
// messages, and nothing at all on a refusal.
func FuzzPost(f *testing.F) {
	for path, body := range good {
		f.Add(body)
		for _, value := range []string{``, `null`, `""`, `"3"`, `"\u0033"`, `-1`, `1.5`, `1e999`, `true`, `[]`, `{}`, `"JZlK4nOwb"`, `"GROUP"`} {
			for _, field := range []string{"conversationType", "targetId", "content"} {
				f.Add(replaced(path, field, value))
			}
		}
	}
	for _, body := range []string{
		``, `{}`, `null`, `[]`, "\ufeff{}", `{"conversationType":"\ud800"}`, "{\"targetId\":\"\x00\"}", `{"targetId":"\u0000","conversationType":1,"noticeStatus":1}`,
		`{"conversationType":1,"conversationType":3,"targetId":"JZlK4nOwb","noticeStatus":"1"}`,
		`{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:TxtMsg","content":"{\"content\":\"\ud83d\"}"}`,
		`{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:TxtMsg","content":{"content":"hi","mentionedInfo":{"type":1}}}`,
	} {
		f.Add(body)
	}
	h := newHost(f)
	cloud := new(counter)
	h.misc.Messenger = cloud
	f.Fuzz(func(t *testing.T, body string) {
		for path := range good {
			*cloud = 0
			w := h.do(t, "POST", "/misc/"+path, body)
			require.Less(t, w.Code, 500)
			var answer map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			want := counter(0)
			if w.Code == 200 && path != "get_screen_capture" {
				want = 1
			}
			require.Equal(t, want, *cloud, path)
		}
	})
}

// counter is a Messenger that counts.
type counter int

func (c *counter) Send(context.Context, misc.Message) error {
	*c++
	return nil
}

func TestErrorsAreNotEscapedForHTML(t *testing.T) {
	w := newHost(t).do(t, "POST", "/misc/send_sc_msg", "<xml/>")
	assert.Equal(t, 400, w.Code)
	assert.Contains(t, w.Body.String(), "<")
}
