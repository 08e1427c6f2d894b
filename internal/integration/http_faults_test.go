//go:build unix

package integration_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
)

// The people of a host: alice and bob are friends, and both are in the team.
var (
	alice    = misctest.ID(1)
	bob      = misctest.ID(2)
	stranger = misctest.ID(9)
	team     = misctest.ID(3)
)

const (
	sessionCookie = "misc_session"

	squareJSON  = `[{"id":"JZlK4nOwb","type":"group","name":"team","portraitUri":"https://x.test/a.png","memberCount":2,"maxMemberCount":500}]`
	releaseJSON = `{"version":"1.0.2","url":"http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg","name":"SealTalk 1.0.2","notes":"bug fix","pub_date":"2017-05-05"}`
	clientsJSON = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://dn-rongcloud.qbox.me/app.plist"},"Android":{"version":"1.0.5","url":"http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"}}`
)

// A host is a server in the making: its parts may be replaced before it serves.
// The cookie of the contract says who is logged in.
type host struct {
	misc  misc.Config
	http  httpapi.Config
	store *misc.MemoryStore
	cloud *misctest.Messenger
	log   *journal
}

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
	h := &host{store: misc.NewMemoryStore(), cloud: &misctest.Messenger{}, log: &journal{}}
	h.misc = misc.Config{
		Versions: versions,
		Relations: misctest.NewRelations(misctest.World{
			Friends: [][2]string{{alice, bob}},
			Groups:  map[string][]string{team: {alice, bob}},
		}),
		Captures:  h.store,
		Messenger: h.cloud,
		Square:    squares{square, nil},
	}
	h.http = httpapi.Config{
		CurrentUser: func(r *http.Request) (string, error) {
			cookie, err := r.Cookie(sessionCookie)
			if err != nil {
				return "", httpapi.ErrNotLoggedIn
			}
			return cookie.Value, nil
		},
		Logger: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	return h
}

// newHostWith returns a host that has that part.
func newHostWith(t testing.TB, part string) *host {
	h := newHost(t)
	if part == "RelatedScreenCapture" {
		h.misc.Related = &relatedParts{h.misc.Relations, h.misc.Captures}
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

func (h *host) captures(t testing.TB, c misc.Conversation) misc.NoticeStatus {
	t.Helper()
	status, err := h.store.ScreenCapture(context.Background(), c)
	require.NoError(t, err)
	return status
}

// A journal keeps what is logged, a line each.
type journal struct {
	mu   sync.Mutex
	text []string
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text = append(j.text, string(line))
	return len(line), nil
}

// take returns the lines since the last call.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.text
	j.text = nil
	return lines
}

// asAlice returns a request of alice's, with a JSON body if it is a POST.
func asAlice(ctx context.Context, method, url, body string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: alice})
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// ask returns the status and the body of an answer.
func ask(t testing.TB, client *http.Client, r *http.Request) (int, string) {
	t.Helper()
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// until waits for what must come soon. It starts no goroutine, as those of
// testify do, so that goroutines can be counted.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// hooked is every part that a host supplies, with a hook in front of each
// method. It is set before the host serves, and replaced only in between.
type hooked struct {
	misc.VersionSource
	misc.Relations
	misc.ScreenCaptureStore
	misc.Messenger
	hook func(ctx context.Context, part string) error
}

func (h *host) hooked() *hooked {
	parts := &hooked{h.misc.Versions, h.misc.Relations, h.misc.Captures, h.misc.Messenger, nil}
	h.misc.Versions, h.misc.Relations, h.misc.Captures, h.misc.Messenger = parts, parts, parts, parts
	if h.misc.Related != nil {
		h.misc.Related = &hookedRelated{parts, h.misc.Related}
	}
	currentUser := h.http.CurrentUser
	h.http.CurrentUser = func(r *http.Request) (string, error) {
		if err := parts.hook(r.Context(), "CurrentUser"); err != nil {
			return "", err
		}
		return currentUser(r)
	}
	return parts
}

func (p *hooked) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	if err := p.hook(ctx, "LatestRelease"); err != nil {
		return nil, err
	}
	return p.VersionSource.LatestRelease(ctx, q)
}

func (p *hooked) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	if err := p.hook(ctx, "ClientVersions"); err != nil {
		return nil, err
	}
	return p.VersionSource.ClientVersions(ctx)
}

func (p *hooked) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	if err := p.hook(ctx, "AreFriends"); err != nil {
		return false, err
	}
	return p.Relations.AreFriends(ctx, userID, otherID)
}

func (p *hooked) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	if err := p.hook(ctx, "IsGroupMember"); err != nil {
		return false, err
	}
	return p.Relations.IsGroupMember(ctx, userID, groupID)
}

func (p *hooked) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	if err := p.hook(ctx, "ScreenCapture"); err != nil {
		return 0, err
	}
	return p.ScreenCaptureStore.ScreenCapture(ctx, c)
}

func (p *hooked) SetScreenCapture(ctx context.Context, c misc.Conversation, s misc.NoticeStatus) error {
	if err := p.hook(ctx, "SetScreenCapture"); err != nil {
		return err
	}
	return p.ScreenCaptureStore.SetScreenCapture(ctx, c, s)
}

// hookedRelated is those of a store that is a RelatedStore.
type hookedRelated struct {
	*hooked
	both misc.RelatedStore
}

func (p *hookedRelated) RelatedScreenCapture(ctx context.Context, userID string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	if err := p.hook(ctx, "RelatedScreenCapture"); err != nil {
		return false, 0, err
	}
	return p.both.RelatedScreenCapture(ctx, userID, c)
}

// relatedParts is a RelatedStore of two parts, for private conversations.
type relatedParts struct {
	misc.Relations
	misc.ScreenCaptureStore
}

func (r *relatedParts) RelatedScreenCapture(ctx context.Context, userID string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	other, b := c.Users()
	if other == userID {
		other = b
	}
	friends, err := r.AreFriends(ctx, userID, other)
	if err != nil || !friends {
		return false, 0, err
	}
	status, err := r.ScreenCapture(ctx, c)
	return true, status, err
}

func (p *hooked) Send(ctx context.Context, m misc.Message) error {
	if err := p.hook(ctx, "Send"); err != nil {
		return err
	}
	return p.Messenger.Send(ctx, m)
}

// through has, for each part, a request that comes to it.
var through = []struct{ part, method, path, body string }{
	{"CurrentUser", "POST", "send_sc_msg", `{"conversationType":1,"targetId":"` + bob + `"}`},
	{"LatestRelease", "GET", "latest_update?version=1.0.0", ""},
	{"ClientVersions", "GET", "client_version", ""},
	{"ClientVersions", "GET", "mobile_version", ""},
	{"AreFriends", "POST", "send_message", `{"conversationType":"PRIVATE","targetId":"` + bob + `","objectName":"RC:TxtMsg","content":"hi"}`},
	{"IsGroupMember", "POST", "send_sc_msg", `{"conversationType":3,"targetId":"` + team + `"}`},
	{"ScreenCapture", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"` + bob + `"}`},
	{"RelatedScreenCapture", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"` + bob + `"}`},
	{"SetScreenCapture", "POST", "set_screen_capture", `{"conversationType":3,"targetId":"` + team + `","noticeStatus":1}`},
	{"Send", "POST", "send_message", `{"conversationType":"GROUP","targetId":"` + team + `","objectName":"RC:TxtMsg","content":"hi"}`},
	{"Send", "POST", "set_screen_capture", `{"conversationType":1,"targetId":"` + bob + `","noticeStatus":1}`},
	{"Send", "POST", "send_sc_msg", `{"conversationType":1,"targetId":"` + bob + `"}`},
}

func TestSurvivesAPanicInEachPartOfTheHostAndLogsIt(t *testing.T) {
	for _, test := range through {
		for name, fault := range map[string]struct {
			panics func()
			logged string // empty: net/http's own way to give up a connection
		}{
			"a text":               {func() { panic("no table: sessions") }, "panic: no table: sessions"},
			"an error":             {func() { panic(errors.New("secret hunter2")) }, "panic: secret hunter2"},
			"a nil pointer":        {func() { _ = (*journal)(nil).text }, "nil pointer dereference"},
			"a division by zero":   {func() { _ = 1 / len(test.path[:0]) }, "divide by zero"},
			"an index":             {func() { _ = make([]int, 1)[len(test.path)] }, "index out of range"},
			"a domain error":       {func() { panic(misc.ErrNotFriend) }, "not a friend"},
			"http.ErrAbortHandler": {func() { panic(http.ErrAbortHandler) }, ""},
		} {
			t.Run(test.part+" in "+test.path+": "+name, func(t *testing.T) {
				h := newHostWith(t, test.part)
				var calls atomic.Int64
				h.hooked().hook = func(_ context.Context, part string) error {
					if part == test.part && calls.Add(1) == 1 {
						fault.panics()
					}
					return nil
				}
				server := httptest.NewUnstartedServer(h.handler(t))
				var serverLog journal
				server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(&serverLog, nil), slog.LevelError)
				server.Start()
				defer server.Close()
				request := func() *http.Request {
					return asAlice(t.Context(), test.method, server.URL+"/misc/"+test.path, test.body)
				}
				if fault.logged == "" {
					_, err := server.Client().Do(request())
					require.ErrorIs(t, err, io.EOF)
					require.Empty(t, h.log.take())
				} else {
					status, body := ask(t, server.Client(), request())
					require.Equal(t, 500, status)
					require.Equal(t, `{"code":500,"message":"internal error"}`, body)
					lines := h.log.take()
					require.Len(t, lines, 1)
					for _, want := range []string{"level=ERROR", fault.logged, "http_faults_test.go", "path=/misc/" + strings.Split(test.path, "?")[0]} {
						require.Contains(t, lines[0], want)
					}
				}
				status, body := ask(t, server.Client(), request())
				require.Equal(t, 200, status, body)
				require.Empty(t, h.log.take())
				require.Empty(t, serverLog.take())
				require.EqualValues(t, 2, calls.Load())
			})
		}
	}
}

func TestAClientThatDisconnectsCancelsTheWorkOfEachPart(t *testing.T) {
	for _, test := range through[1:] { // the login comes before the body is read, and net/http looks for the end of a connection after
		t.Run(test.part+" in "+test.path, func(t *testing.T) {
			h := newHostWith(t, test.part)
			entered, ended := make(chan struct{}), make(chan error, 1)
			var asked []string
			parts := h.hooked()
			parts.hook = func(ctx context.Context, part string) error {
				asked = append(asked, part)
				if part != test.part {
					return nil
				}
				close(entered)
				select {
				case <-ctx.Done():
					ended <- nil
					return ctx.Err()
				case <-time.After(patience):
					err := errors.New("nobody cancelled")
					ended <- err
					return err
				}
			}
			handler := h.handler(t)
			served := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { served <- struct{}{} }()
				handler.ServeHTTP(w, r)
			}))
			defer server.Close()

			ctx, disconnect := context.WithCancel(t.Context())
			defer disconnect()
			gone := make(chan error, 1)
			go func() {
				_, err := server.Client().Do(asAlice(ctx, test.method, server.URL+"/misc/"+test.path, test.body))
				gone <- err
			}()
			<-entered
			disconnect()
			require.ErrorIs(t, <-gone, context.Canceled)
			require.NoError(t, <-ended)
			<-served
			assert.Equal(t, test.part, asked[len(asked)-1], "work goes on after the client has left")
			assert.Empty(t, h.cloud.Delivered())
			for _, line := range h.log.take() {
				assert.Contains(t, line, "level=INFO", "a client that leaves is no alarm")
			}

			parts.hook = func(context.Context, string) error { return nil }
			go func() { <-served }()
			status, body := ask(t, server.Client(), asAlice(t.Context(), test.method, server.URL+"/misc/"+test.path, test.body))
			require.Equal(t, 200, status, body)
		})
	}
}
