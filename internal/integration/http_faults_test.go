//go:build unix

package integration_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/internal/testkit"
	"github.com/sealtalk-go/misc/misctest"
)

// The users and the group of a host: alice and bob are friends, and both are in team.
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

// A host is a server under construction: its parts may be replaced before it serves.
// The cookie of the OpenAPI document says who is logged in.
type host struct {
	misc  misc.Config
	http  httpapi.Config
	store *misc.MemoryStore
	cloud *misctest.Messenger
	log   *testkit.Log
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{store: misc.NewMemoryStore(), cloud: &misctest.Messenger{}, log: &testkit.Log{}}
	h.misc = misc.Config{
		Versions: versions(),
		Relations: misctest.NewRelations(misctest.World{
			Friends: [][2]string{{alice, bob}},
			Groups:  map[string][]string{team: {alice, bob}},
		}),
		Captures:  h.store,
		Messenger: h.cloud,
		Square:    squares{square: must(catalog.ParseSquare([]byte(squareJSON), nil))},
	}
	h.http = httpapi.Config{
		CurrentUser: func(r *http.Request) (string, error) {
			cookie, err := r.Cookie(sessionCookie)
			if err != nil {
				return "", httpapi.ErrNotLoggedIn
			}
			return cookie.Value, nil
		},
		Logger: h.log.Logger(),
	}
	return h
}

func versions() misc.VersionSource {
	return must(misc.NewStaticVersions(must(catalog.ParseRelease([]byte(releaseJSON))), must(catalog.ParseClientVersions([]byte(clientsJSON)))))
}

func (h *host) handler(t testing.TB) *httpapi.Handler {
	t.Helper()
	var err error
	h.http.Service, err = misc.New(h.misc)
	require.NoError(t, err)
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

// asAlice returns a request from alice, with a JSON body if it is a POST.
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

// ask sends a request and returns the answer and its body.
func ask(t testing.TB, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// until waits until done returns true, which must be soon. Unlike the functions of
// testify, it starts no goroutine, so that goroutines can be counted.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// hooked is every part that a host supplies, with a hook that runs before each method.
// The hook is set before the host serves, and replaced only between requests.
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
	currentUser := h.http.CurrentUser
	h.http.CurrentUser = func(r *http.Request) (string, error) {
		return after(r.Context(), parts, "CurrentUser", func() (string, error) { return currentUser(r) })
	}
	return parts
}

// newHostWith returns a host with hooked parts that uses the named one.
func newHostWith(t testing.TB, part string) (*host, *hooked) {
	h := newHost(t)
	parts := h.hooked()
	if part == "RelatedScreenCapture" {
		h.misc.Related = parts
	}
	return h, parts
}

// after calls the hook and, unless it fails, the part.
func after[T any](ctx context.Context, p *hooked, part string, call func() (T, error)) (none T, _ error) {
	if err := p.hook(ctx, part); err != nil {
		return none, err
	}
	return call()
}

func (p *hooked) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	return after(ctx, p, "LatestRelease", func() (*misc.Release, error) { return p.VersionSource.LatestRelease(ctx, q) })
}

func (p *hooked) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	return after(ctx, p, "ClientVersions", func() (*misc.ClientVersions, error) { return p.VersionSource.ClientVersions(ctx) })
}

func (p *hooked) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	return after(ctx, p, "AreFriends", func() (bool, error) { return p.Relations.AreFriends(ctx, userID, otherID) })
}

func (p *hooked) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	return after(ctx, p, "IsGroupMember", func() (bool, error) { return p.Relations.IsGroupMember(ctx, userID, groupID) })
}

func (p *hooked) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	return after(ctx, p, "ScreenCapture", func() (misc.NoticeStatus, error) { return p.ScreenCaptureStore.ScreenCapture(ctx, c) })
}

func (p *hooked) SetScreenCapture(ctx context.Context, c misc.Conversation, s misc.NoticeStatus) error {
	_, err := after(ctx, p, "SetScreenCapture", func() (any, error) { return nil, p.ScreenCaptureStore.SetScreenCapture(ctx, c, s) })
	return err
}

func (p *hooked) Send(ctx context.Context, m misc.Message) error {
	_, err := after(ctx, p, "Send", func() (any, error) { return nil, p.Messenger.Send(ctx, m) })
	return err
}

// RelatedScreenCapture is called only for friends.
func (p *hooked) RelatedScreenCapture(ctx context.Context, _ string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	s, err := after(ctx, p, "RelatedScreenCapture", func() (misc.NoticeStatus, error) { return p.ScreenCaptureStore.ScreenCapture(ctx, c) })
	return err == nil, s, err
}

// through has, for each part, a request that reaches it.
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
			logged string // empty if net/http itself gives up the connection
		}{
			"a text":               {func() { panic("no table: sessions") }, "panic: no table: sessions"},
			"an error":             {func() { panic(errors.New("secret hunter2")) }, "panic: secret hunter2"},
			"a nil pointer":        {func() { _ = (*host)(nil).log }, "nil pointer dereference"},
			"a domain error":       {func() { panic(misc.ErrNotFriend) }, "not a friend"},
			"http.ErrAbortHandler": {func() { panic(http.ErrAbortHandler) }, ""},
		} {
			t.Run(test.part+" in "+test.path+": "+name, func(t *testing.T) {
				h, parts := newHostWith(t, test.part)
				var calls atomic.Int64
				parts.hook = func(_ context.Context, part string) error {
					if part == test.part && calls.Add(1) == 1 {
						fault.panics()
					}
					return nil
				}
				var serverLog testkit.Log
				server := httptest.NewUnstartedServer(h.handler(t))
				server.Config.ErrorLog = log.New(&serverLog, "", 0)
				server.Start()
				defer server.Close()
				request := func() *http.Request {
					return asAlice(t.Context(), test.method, server.URL+"/misc/"+test.path, test.body)
				}
				if fault.logged == "" {
					_, err := server.Client().Do(request())
					require.ErrorIs(t, err, io.EOF)
				} else {
					resp, body := ask(t, server.Client(), request())
					require.Equal(t, 500, resp.StatusCode)
					require.Equal(t, `{"code":500,"message":"internal error"}`, body)
					lines := h.log.Take()
					require.Len(t, lines, 1)
					for _, want := range []string{"level=ERROR", fault.logged, "http_faults_test.go", "path=/misc/" + strings.Split(test.path, "?")[0]} {
						require.Contains(t, lines[0], want)
					}
				}
				resp, body := ask(t, server.Client(), request())
				require.Equal(t, 200, resp.StatusCode, body)
				require.Empty(t, h.log.Take())
				require.Empty(t, serverLog.Take())
				require.EqualValues(t, 2, calls.Load())
			})
		}
	}
}

func TestAClientThatDisconnectsCancelsTheWorkOfEachPart(t *testing.T) {
	for _, test := range through[1:] { // without CurrentUser, which runs before the body is read: net/http notices only afterwards that a client has left
		t.Run(test.part+" in "+test.path, func(t *testing.T) {
			h, parts := newHostWith(t, test.part)
			entered, ended := make(chan struct{}), make(chan error, 1)
			var asked []string
			parts.hook = func(ctx context.Context, part string) error {
				asked = append(asked, part)
				if part != test.part {
					return nil
				}
				close(entered)
				err := errors.New("nobody cancelled")
				select {
				case <-ctx.Done():
					err = ctx.Err()
				case <-time.After(patience):
				}
				ended <- err
				return err
			}
			handler := h.handler(t)
			served := make(chan struct{}, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler.ServeHTTP(w, r)
				served <- struct{}{}
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
			require.ErrorIs(t, <-ended, context.Canceled)
			<-served
			assert.Equal(t, test.part, asked[len(asked)-1], "work goes on after the client has left")
			assert.Empty(t, h.cloud.Delivered())
			for _, line := range h.log.Take() {
				assert.Contains(t, line, "level=INFO", "a client that leaves is no alarm")
			}

			parts.hook = failsWith(nil)
			resp, body := ask(t, server.Client(), asAlice(t.Context(), test.method, server.URL+"/misc/"+test.path, test.body))
			require.Equal(t, 200, resp.StatusCode, body)
		})
	}
}
