package rongcloud_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
)

func TestEachMessageIsPostedWithExactlyTheseParameters(t *testing.T) {
	t.Parallel()
	const private, group = "POST /message/private/publish.json", "POST /message/group/publish.json"
	tests := map[string]struct {
		message misc.Message
		path    string
		form    url.Values
	}{
		"private text": {
			hello, private,
			url.Values{"fromUserId": {"alice"}, "toUserId": {"bob"}, "objectName": {"RC:TxtMsg"}, "content": {`{"content":"hello"}`}},
		},
		"text beyond ASCII, and what a form escapes": {
			misc.Message{Type: misc.Private, From: "a+b", To: "c&d", ObjectName: "RC:TxtMsg", Content: `{"content":"你好 <&=%+;>"}`}, private,
			url.Values{"fromUserId": {"a+b"}, "toUserId": {"c&d"}, "objectName": {"RC:TxtMsg"}, "content": {`{"content":"你好 <&=%+;>"}`}},
		},
		"push content of a custom type": {
			misc.Message{Type: misc.Private, From: "alice", To: "bob", ObjectName: "My:Type", Content: "raw", PushContent: "news"}, private,
			url.Values{"fromUserId": {"alice"}, "toUserId": {"bob"}, "objectName": {"My:Type"}, "content": {"raw"}, "pushContent": {"news"}},
		},
		"notice to the sender as well": {
			misc.Notice("alice", misc.Private, "bob", misc.NoticeOpened), private,
			url.Values{
				"fromUserId": {"alice"}, "toUserId": {"bob"}, "objectName": {"ST:ConNtf"}, "isIncludeSender": {"1"},
				"content": {`{"operatorUserId":"alice","operation":"openScreenNtf"}`},
			},
		},
		"group": {
			misc.Message{Type: misc.Group, From: "alice", To: "team", ObjectName: "RC:TxtMsg", Content: `{"content":"hi"}`}, group,
			url.Values{"fromUserId": {"alice"}, "toGroupId": {"team"}, "objectName": {"RC:TxtMsg"}, "content": {`{"content":"hi"}`}},
		},
		"group with everything": {
			misc.Message{
				Type: misc.Group, From: "alice", To: "team", ObjectName: "RC:TxtMsg", Content: `{"content":"hi"}`,
				PushContent: "push", Mentioned: true, IncludeSender: true,
			}, group,
			url.Values{
				"fromUserId": {"alice"}, "toGroupId": {"team"}, "objectName": {"RC:TxtMsg"}, "content": {`{"content":"hi"}`},
				"pushContent": {"push"}, "isMentioned": {"1"}, "isIncludeSender": {"1"},
			},
		},
		"mentioned means nothing in private": {
			misc.Message{Type: misc.Private, From: "alice", To: "bob", ObjectName: "RC:TxtMsg", Content: `{}`, Mentioned: true}, private,
			url.Values{"fromUserId": {"alice"}, "toUserId": {"bob"}, "objectName": {"RC:TxtMsg"}, "content": {`{}`}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, nil)
			c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
			require.NoError(t, c.Send(t.Context(), test.message))
			assert.Equal(t, []string{test.path}, h.paths)
			assert.Equal(t, []url.Values{test.form}, h.forms)
		})
	}
}

func TestHeadersAreThoseRongCloudAsksFor(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "30be0bbca9c9b2e27578701e9fda2358a814c88f", rongcloud.Sign(appSecret, "14314", "1408710653000"), "RongCloud's own vector")
	h := newHost(t, nil)
	before := time.Now().UnixMilli()
	require.NoError(t, newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)}).Send(t.Context(), hello))
	header := h.headers[0]
	millis, err := strconv.ParseInt(header.Get("Timestamp"), 10, 64)
	require.NoError(t, err)
	assert.True(t, before <= millis && millis <= time.Now().UnixMilli(), "%d", millis)
	for name, want := range map[string]string{
		"App-Key":      appKey,
		"Signature":    rongcloud.Sign(appSecret, header.Get("Nonce"), header.Get("Timestamp")),
		"Content-Type": "application/x-www-form-urlencoded",
		"User-Agent":   "sealtalk-misc-go",
	} {
		assert.Equal(t, []string{want}, header[name], name)
	}
}

func TestNonceNeverExceeds18CharactersAndIsFresh(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
	for range 20 {
		require.NoError(t, c.Send(t.Context(), hello))
	}
	nonces, ids := map[string]bool{}, map[string]bool{}
	for _, header := range h.headers {
		assert.Regexp(t, regexp.MustCompile(`^\d{1,18}$`), header.Get("Nonce"))
		assert.LessOrEqual(t, len(header.Get("X-Request-Id")), 36)
		nonces[header.Get("Nonce")], ids[header.Get("X-Request-Id")] = true, true
	}
	assert.Len(t, nonces, 20)
	assert.Len(t, ids, 20)
}

func TestAppsInOneProcessKeepTheirOwnKeys(t *testing.T) {
	t.Parallel()
	clouds := map[string]*misctest.Cloud{
		"one": misctest.NewCloud("one", "secret1"),
		"two": misctest.NewCloud("two", "secret2"),
	}
	mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { clouds[r.Header.Get("App-Key")].ServeHTTP(w, r) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	one := newClient(t, rongcloud.Config{AppKey: "one", AppSecret: "secret1", Region: rongcloud.Region(s.URL)})
	two := newClient(t, rongcloud.Config{AppKey: "two", AppSecret: "secret2", Region: rongcloud.Region(s.URL)})
	require.NoError(t, one.Send(t.Context(), hello))
	require.NoError(t, two.Send(t.Context(), hello))
	require.NoError(t, one.Send(t.Context(), hello))
	assert.Len(t, clouds["one"].Delivered(), 2)
	assert.Len(t, clouds["two"].Delivered(), 1)
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"after success": nil,
		"after refusal": reply(http.StatusBadRequest, `{"code":1002,"errorMessage":"`+strings.Repeat("x", 30<<10)+`"}`),
		"after garbage": reply(http.StatusForbidden, strings.Repeat("x", 30<<10)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, answer)
			c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
			for range 20 {
				_ = c.Send(t.Context(), hello)
			}
			assert.Equal(t, 20, h.requests())
			h.mu.Lock()
			defer h.mu.Unlock()
			assert.Equal(t, 1, h.connections)
		})
	}
}

// RongCloud's load balancing follows connections. When messages move to a new
// connection, none is lost or sent twice.
func TestAConnectionHasFewerThan80Uses(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		var mu sync.Mutex
		uses, targets := map[string]int{}, map[string]int{}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			uses[r.RemoteAddr]++
			targets[r.PostFormValue("toUserId")]++
			reply(http.StatusOK, `{"code":200}`)(w, r)
		}))
		s.Start()
		if encrypted {
			s.Close()
			s = httptest.NewTLSServer(s.Config.Handler)
		}
		t.Cleanup(s.Close)
		transport := rongcloud.NewTransport(time.Minute)
		if encrypted {
			transport.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
		}
		c := newClient(t, rongcloud.Config{Region: rongcloud.Region(s.URL), HTTPClient: &http.Client{Transport: transport}})
		const senders, each = 4, 120
		var all sync.WaitGroup
		for i := range senders {
			all.Go(func() {
				for k := range each {
					m := hello
					m.To = fmt.Sprint(i, "-", k)
					assert.NoError(t, c.Send(t.Context(), m))
				}
			})
		}
		all.Wait()
		assert.Len(t, targets, senders*each)
		for target, n := range targets {
			assert.Equal(t, 1, n, target)
		}
		assert.GreaterOrEqual(t, len(uses), senders*each/79)
		for _, n := range uses {
			assert.Less(t, n, 80)
		}
	}
}

// RongCloud drops idle connections after about 55 seconds. A message that is
// written at that moment is lost.
func TestIdleConnectionsAreDroppedBeforeRongCloudDoesSo(t *testing.T) {
	t.Parallel()
	idle := rongcloud.NewTransport(time.Second).IdleConnTimeout
	assert.Positive(t, idle)
	assert.Less(t, idle, 55*time.Second)
}

func TestCloseIdleConnectionsClosesThem(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
	for range 3 {
		require.NoError(t, c.Send(t.Context(), hello))
		c.CloseIdleConnections()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Equal(t, 3, h.connections)
}

func TestCancelledContextSendsNothing(t *testing.T) {
	t.Parallel()
	main, backup := newHost(t, nil), newHost(t, nil)
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(main.URL), Backup: backup.URL})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.Send(cancelled, hello)
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, misc.ErrTimeout)

	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	err = c.Send(expired, hello)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, misc.ErrTimeout)

	assert.Zero(t, main.requests()+backup.requests())
	require.NoError(t, c.Send(t.Context(), hello))
	assert.Equal(t, 1, main.requests(), "no failover without an attempt")
}

func TestCancelledContextSendsNothingThroughATransportThatIgnoresIt(t *testing.T) {
	t.Parallel()
	c := newClient(t, rongcloud.Config{Region: rongcloud.Beijing, HTTPClient: &http.Client{
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			t.Error("sent")
			return nil, errBroken
		}),
	}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Send(ctx, hello), context.Canceled)
}

func TestDeadlineIsATimeoutWhateverTheTransportReports(t *testing.T) {
	t.Parallel()
	c := newClient(t, rongcloud.Config{Region: rongcloud.Beijing, Timeout: 50 * time.Millisecond, HTTPClient: &http.Client{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, errBroken
		}),
	}})
	err := c.Send(t.Context(), hello)
	require.ErrorIs(t, err, misc.ErrTimeout)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotErrorIs(t, err, misc.ErrUnreachable)
}

type closeRecorder struct {
	io.Reader
	closed bool
}

func (r *closeRecorder) Close() error {
	r.closed = true
	return nil
}

func TestBodyOfEveryAnswerIsClosed(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{"code":200}`, `{"code":1002}`, strings.Repeat("x", 100<<10)} {
		body := &closeRecorder{Reader: strings.NewReader(answer)}
		c := newClient(t, rongcloud.Config{Region: rongcloud.Beijing, HTTPClient: &http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: body, Request: r}, nil
			}),
		}})
		_ = c.Send(t.Context(), hello)
		assert.True(t, body.closed)
	}
}

func TestCallerWhoGivesUpCausesNoSecondAttemptAndNoFailover(t *testing.T) {
	t.Parallel()
	for _, idempotent := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := true
		main := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			if first {
				first = false
				cancel()
				hang(w, r)
			}
			reply(http.StatusOK, `{"code":200}`)(w, r)
		})
		backup := newHost(t, nil)
		c := newClient(t, rongcloud.Config{Region: rongcloud.Region(main.URL), Backup: backup.URL, Idempotent: idempotent})
		err := c.Send(ctx, hello)
		require.ErrorIs(t, err, context.Canceled)
		for _, other := range []error{misc.ErrTimeout, misc.ErrUnreachable, misc.ErrRefused} {
			assert.NotErrorIs(t, err, other)
		}
		require.NoError(t, c.Send(t.Context(), hello))
		assert.Equal(t, 2, main.requests())
		assert.Zero(t, backup.requests())
	}
}

func TestTimeoutOfTheConfigEndsASend(t *testing.T) {
	t.Parallel()
	h := newHost(t, hang)
	for name, cfg := range map[string]rongcloud.Config{
		"Timeout":            {Timeout: 50 * time.Millisecond},
		"HTTPClient.Timeout": {HTTPClient: &http.Client{Timeout: 50 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Region = rongcloud.Region(h.URL)
			err := newClient(t, cfg).Send(t.Context(), hello)
			require.ErrorIs(t, err, misc.ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

func TestSendAllowsEightSecondsUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	var deadline time.Time
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		deadline, _ = r.Context().Deadline()
		return nil, errBroken
	})}
	for want, timeout := range map[time.Duration]time.Duration{8 * time.Second: 0, time.Hour: time.Hour} {
		c := newClient(t, rongcloud.Config{Region: "https://rc.example", HTTPClient: client, Timeout: timeout})
		before := time.Now()
		require.ErrorIs(t, c.Send(t.Context(), hello), errBroken)
		assert.WithinRange(t, deadline, before.Add(want), time.Now().Add(want))
	}
}

func TestSuppliedClientIsUsedAndLeftAsItWas(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	used := 0
	supplied := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		used++
		return http.DefaultTransport.RoundTrip(r)
	})}
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL), HTTPClient: supplied})
	require.NoError(t, c.Send(t.Context(), hello))
	assert.Equal(t, 1, used)
	assert.Nil(t, supplied.CheckRedirect)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		target := newHost(t, nil)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL+r.URL.Path, status)
		})
		for name, supplied := range map[string]*http.Client{
			"own client":      nil,
			"supplied client": {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }},
		} {
			c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL), HTTPClient: supplied})
			err := c.Send(t.Context(), hello)
			require.ErrorIs(t, err, misc.ErrRefused, name)
			var answer *rongcloud.Error
			require.ErrorAs(t, err, &answer)
			assert.Equal(t, status, answer.HTTPStatus)
		}
		assert.Zero(t, target.requests(), "%d", status)
	}
}

func TestClientKeepsTheRulesOfAMessenger(t *testing.T) {
	t.Parallel()
	for name, idempotent := range map[string]bool{"without key": false, "with key": true} {
		t.Run(name, func(t *testing.T) {
			var fault atomic.Pointer[http.HandlerFunc] // if not nil, answers instead of the cloud
			cloud := misctest.NewCloud(appKey, appSecret)
			until := func(h http.HandlerFunc) func(*testing.T) func() {
				return func(*testing.T) func() {
					fault.Store(&h)
					return func() { fault.Store(nil) }
				}
			}
			misctest.TestMessenger(t, misctest.MessengerSuite{New: func(t *testing.T) (misc.Messenger, func() []misc.Message) {
				cloud.Reset()
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if f := fault.Load(); f != nil {
						(*f)(w, r)
						return
					}
					cloud.ServeHTTP(w, r)
				}))
				s.Config.ErrorLog = discardLog()
				s.Start()
				t.Cleanup(s.Close)
				return newClient(t, rongcloud.Config{Region: rongcloud.Region(s.URL), Backup: s.URL, Idempotent: idempotent}), cloud.Delivered
			},
				Refuse: until(reply(http.StatusOK, `{"code":1000}`)),
				Lose: until(func(w http.ResponseWriter, r *http.Request) {
					cloud.ServeHTTP(httptest.NewRecorder(), r)
					drop(w, r)
				}),
			})
		})
	}
}
