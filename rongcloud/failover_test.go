package rongcloud_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/rongcloud"
)

// A message that may have reached the cloud must not be sent again, and a host
// that failed must not be used for the next message.
func TestFailingHostIsLeftAndTheMessageSentAgainOnlyIfThatIsSafe(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer     http.HandlerFunc // nil if the connection is refused
		timeout    time.Duration    // of the Config
		idempotent bool
		err        error
		main       int // messages that reached the main host
		failover   bool
	}{
		"connection refused":            {failover: true},
		"connection refused, with key":  {idempotent: true, failover: true},
		"500":                           {answer: reply(500, `{"code":1000}`), err: misc.ErrRefused, main: 1, failover: true},
		"503 garbage":                   {answer: reply(503, `no`), err: misc.ErrRefused, main: 1, failover: true},
		"504":                           {answer: reply(504, `{"code":1050}`), err: misc.ErrTimeout, main: 1, failover: true},
		"internal time-out in a 200":    {answer: reply(200, `{"code":1050}`), err: misc.ErrTimeout, main: 1, failover: true},
		"500, with key":                 {answer: reply(500, `{"code":1000}`), idempotent: true, main: 1, failover: true},
		"504, with key":                 {answer: reply(504, `{"code":1050}`), idempotent: true, main: 1, failover: true},
		"connection lost":               {answer: drop, err: misc.ErrUnreachable, main: 1, failover: true},
		"connection lost, with key":     {answer: drop, idempotent: true, main: 1, failover: true},
		"answer broken off":             {answer: breakOff, err: misc.ErrUnreachable, main: 1, failover: true},
		"answer broken off, with key":   {answer: breakOff, idempotent: true, main: 1, failover: true},
		"no answer":                     {answer: hang, timeout: time.Second, err: misc.ErrTimeout, main: 1, failover: true},
		"no end of the answer":          {answer: hangAmid, timeout: time.Second, err: misc.ErrTimeout, main: 1, failover: true},
		"no answer, with key":           {answer: hang, timeout: 2 * time.Second, idempotent: true, main: 1, failover: true},
		"no end of answer, with key":    {answer: hangAmid, timeout: 2 * time.Second, idempotent: true, main: 1, failover: true},
		"refused":                       {answer: reply(400, `{"code":1002}`), err: misc.ErrRefused, main: 1},
		"refused, with key":             {answer: reply(400, `{"code":1002}`), idempotent: true, err: misc.ErrRefused, main: 1},
		"bad signature":                 {answer: reply(401, `{"code":1004}`), idempotent: true, err: misc.ErrRefused, main: 1},
		"rate limit, with key":          {answer: reply(429, `{"code":1008}`), idempotent: true, err: misc.ErrRateLimited, main: 1},
		"garbage in a 200, with key":    {answer: reply(200, `<html>`), idempotent: true, err: misc.ErrRefused, main: 1},
		"highest status that is no 5xx": {answer: reply(499, `{}`), idempotent: true, err: misc.ErrRefused, main: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failing := true
			var main *host
			base := ""
			if test.answer == nil {
				base = refusedURL(t)
			} else {
				main = newHost(t, func(w http.ResponseWriter, r *http.Request) {
					if failing {
						failing = false
						test.answer(w, r)
						return
					}
					reply(http.StatusOK, `{"code":200}`)(w, r)
				})
				base = main.URL
			}
			backup := newHost(t, nil)
			c := newClient(t, rongcloud.Config{Region: rongcloud.Region(base), Backup: backup.URL, Idempotent: test.idempotent, Timeout: test.timeout})
			err := c.Send(t.Context(), hello)
			sentAgain := 0
			if test.err != nil {
				require.ErrorIs(t, err, test.err)
				assert.Zero(t, backup.requests(), "sent again")
			} else {
				require.NoError(t, err)
				require.Equal(t, 1, backup.requests())
				sentAgain = 1
			}
			if main != nil {
				require.Equal(t, test.main, main.requests())
			}

			require.NoError(t, c.Send(t.Context(), hello), "the message after the failure")
			if test.failover {
				assert.Equal(t, sentAgain+1, backup.requests())
			} else {
				assert.Zero(t, backup.requests())
				assert.Equal(t, test.main+1, main.requests())
			}
			if test.idempotent && sentAgain == 1 && main != nil {
				first, second := main.forms[0], backup.forms[0]
				assert.NotEmpty(t, first.Get("msgRandom"))
				assert.Equal(t, first, second, "the second attempt must be the same message")
				assert.NotEqual(t, first.Get("msgRandom"), backup.forms[1].Get("msgRandom"), "the next message is another")
				assert.NotEqual(t, main.headers[0].Get("Nonce"), backup.headers[0].Get("Nonce"))
				assert.Equal(t, main.headers[0].Get("X-Request-Id"), backup.headers[0].Get("X-Request-Id"))
			}
		})
	}
}

func TestHostThatNeverConnectsLeavesTimeForTheBackup(t *testing.T) {
	t.Parallel()
	for name, idempotent := range map[string]bool{"without key": false, "with key": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const hole = "http://192.0.2.1:80"
			backup := newHost(t, nil)
			c := newClient(t, rongcloud.Config{
				Region: hole, Backup: backup.URL, HTTPClient: blackHole(t, hole), Timeout: 2 * time.Second, Idempotent: idempotent,
			})
			require.NoError(t, c.Send(t.Context(), hello))
			require.NoError(t, c.Send(t.Context(), hello))
			assert.Equal(t, 2, backup.requests())
		})
	}
}

// The limit of a third of the time is for connecting only: a host that is slow
// to answer may take all of the time.
func TestSlowAnswerIsWaitedForUntilTheDeadline(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(*httptrace.ClientTrace){
		"connected": func(trace *httptrace.ClientTrace) {
			trace.GetConn("")
			trace.GotConn(httptrace.GotConnInfo{})
		},
		"perhaps connected": func(*httptrace.ClientTrace) {},
	} {
		var ended error
		client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			connect(httptrace.ContextClientTrace(r.Context()))
			<-r.Context().Done()
			ended = r.Context().Err()
			return nil, ended
		})}
		c := newClient(t, rongcloud.Config{Region: rongcloud.Beijing, HTTPClient: client, Timeout: 300 * time.Millisecond})
		require.ErrorIs(t, c.Send(t.Context(), hello), misc.ErrTimeout, name)
		assert.Equal(t, context.DeadlineExceeded, ended, "%s: ended before the deadline", name)
	}
}

func TestHostThatNeverConnectsWithoutBackupIsATimeout(t *testing.T) {
	t.Parallel()
	const hole = "http://192.0.2.1:80"
	c := newClient(t, rongcloud.Config{Region: hole, HTTPClient: blackHole(t, hole), Timeout: 50 * time.Millisecond})
	err := c.Send(t.Context(), hello)
	require.ErrorIs(t, err, misc.ErrTimeout)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestFailedHandshakeCountsAsNeverConnected(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = discardLog()
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	backup := newHost(t, nil)
	const patience = time.Minute // a handshake may take seconds on a busy machine
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(untrusted.URL), Backup: backup.URL, Timeout: patience})
	require.NoError(t, c.Send(t.Context(), hello))
	assert.Equal(t, 1, backup.requests())
	c = newClient(t, rongcloud.Config{Region: rongcloud.Region(untrusted.URL), Timeout: patience})
	require.ErrorIs(t, c.Send(t.Context(), hello), misc.ErrUnreachable)
}

func TestUnreachableCloudIsTriedOnceOnEachHost(t *testing.T) {
	t.Parallel()
	first, second := refusedURL(t), refusedURL(t)
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(first), Backup: second})
	err := c.Send(t.Context(), hello)
	require.ErrorIs(t, err, misc.ErrUnreachable)
	assert.ErrorContains(t, err, first, "an operator must hear of both hosts")
	assert.ErrorContains(t, err, second)

	c = newClient(t, rongcloud.Config{Region: rongcloud.Region(refusedURL(t))})
	require.ErrorIs(t, c.Send(t.Context(), hello), misc.ErrUnreachable, "no backup")

	main, backup := newHost(t, reply(500, ``)), newHost(t, reply(502, ``))
	c = newClient(t, rongcloud.Config{Region: rongcloud.Region(main.URL), Backup: backup.URL, Idempotent: true})
	var answer *rongcloud.Error
	require.ErrorAs(t, c.Send(t.Context(), hello), &answer)
	assert.Equal(t, 502, answer.HTTPStatus)
	assert.Equal(t, []int{1, 1}, []int{main.requests(), backup.requests()})
}

// Who calls Send may set any deadline, and may cancel at any moment: a user of a server can do so from outside. That says
// nothing about the host, unless the host had a third of Timeout.
func TestACallerWhoGivesUpMovesNobodyToTheOtherHost(t *testing.T) {
	t.Parallel()
	const timeout = 9 * time.Second
	hangs := func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		trace.GetConn("")
		trace.GotConn(httptrace.GotConnInfo{})
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	neverConnects := func(r *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(r.Context()).GetConn("")
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	trickles := func(r *http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader(`{"code":`), readerFunc(func([]byte) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		}))
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), Request: r}, nil
	}
	failsAfter := func(d time.Duration) roundTripper {
		return func(r *http.Request) (*http.Response, error) {
			time.Sleep(d)
			return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody, Request: r}, nil
		}
	}
	for name, test := range map[string]struct {
		host       roundTripper
		after      time.Duration // the caller gives up
		cancels    bool          // otherwise, its deadline passes
		idempotent bool
		left       bool
	}{
		"no answer, in a moment":               {host: hangs, after: time.Millisecond},
		"no answer, before a third":            {host: hangs, after: timeout/3 - 1},
		"no answer, after a third":             {host: hangs, after: timeout / 3, left: true},
		"no answer, after 5 s":                 {host: hangs, after: 5 * time.Second, left: true},
		"no answer, cancelled":                 {host: hangs, after: timeout/3 - 1, cancels: true},
		"no answer, cancelled after a third":   {host: hangs, after: timeout / 3, cancels: true, left: true},
		"no end of the answer, in a moment":    {host: trickles, after: time.Millisecond},
		"no end of the answer, after 5 s":      {host: trickles, after: 5 * time.Second, left: true},
		"no connection, in a moment":           {host: neverConnects, after: time.Millisecond},
		"no connection, before half":           {host: neverConnects, after: timeout/2 - 3},
		"no connection, after half":            {host: neverConnects, after: timeout / 2, left: true},
		"no connection, after 5 s":             {host: neverConnects, after: 5 * time.Second, left: true},
		"no connection, cancelled":             {host: neverConnects, after: timeout/3 - 1, cancels: true},
		"no answer, in a moment, with key":     {host: hangs, idempotent: true, after: time.Millisecond},
		"no answer, before half, with key":     {host: hangs, idempotent: true, after: timeout/2 - 3},
		"no answer, after half, with key":      {host: hangs, idempotent: true, after: timeout / 2, left: true},
		"a failure of the host, in a moment":   {host: failsAfter(0), after: time.Millisecond, left: true},
		"a failure of the host, at the end":    {host: failsAfter(time.Second), after: time.Second, left: true},
		"a failure of the host, cancelled too": {host: failsAfter(time.Second), after: time.Second, cancels: true, left: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []string
				client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					asked = append(asked, r.URL.Host)
					if len(asked) == 1 {
						return test.host(r)
					}
					w := httptest.NewRecorder()
					reply(http.StatusOK, `{"code":200}`)(w, r)
					return w.Result(), nil
				})}
				c := newClient(t, rongcloud.Config{
					Region: "http://main", Backup: "http://backup", HTTPClient: client, Idempotent: test.idempotent, Timeout: timeout})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.cancels {
					time.AfterFunc(test.after, cancel)
				} else {
					ctx, cancel = context.WithTimeout(ctx, test.after)
					defer cancel()
				}
				err := c.Send(ctx, hello)
				want, before := "main", len(asked)
				if test.left {
					want = "backup"
				}
				require.NoError(t, c.Send(t.Context(), hello))
				assert.Equal(t, want, asked[before], "the host of the next message; the error was %v", err)
			})
		})
	}
}

// A RoundTripper that does not use httptrace does not say whether it had a connection.
func TestTransportThatHidesItsConnectionsIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	attempts := 0
	c := newClient(t, rongcloud.Config{Region: rongcloud.Beijing, HTTPClient: &http.Client{
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			attempts++
			return nil, errBroken
		}),
	}})
	err := c.Send(t.Context(), hello)
	require.ErrorIs(t, err, misc.ErrUnreachable)
	require.ErrorIs(t, err, errBroken)
	assert.Equal(t, 1, attempts)
}

func TestHostsAreChangedOnlyOnceIn30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		main, backup := 0, 0
		count := func(n *int) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { *n++; w.WriteHeader(http.StatusInternalServerError) }
		}
		c := newClient(t, privateCloud(fakeCloud{"main": count(&main), "backup": count(&backup)}))
		for i, step := range []struct {
			advance      time.Duration
			main, backup int
		}{
			{0, 1, 0}, // switches to the backup
			{0, 1, 1},
			{29 * time.Second, 1, 2},
			{999 * time.Millisecond, 1, 3},
			{time.Millisecond, 1, 4}, // switches back
			{29 * time.Second, 2, 4},
			{time.Second, 3, 4}, // switches to the backup
			{0, 3, 5},
		} {
			time.Sleep(step.advance)
			require.Error(t, c.Send(t.Context(), hello))
			require.Equal(t, []int{step.main, step.backup}, []int{main, backup}, "step %d", i)
		}
	})
}

// The cloud recognizes a msgRandom for a minute.
func TestSecondAttemptComesWhileTheCloudKnowsTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			at = append(at, time.Since(start))
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		c := newClient(t, rongcloud.Config{Region: rongcloud.Beijing, HTTPClient: client, Idempotent: true, Timeout: 3 * time.Minute})
		require.ErrorIs(t, c.Send(t.Context(), hello), misc.ErrTimeout)
		require.Equal(t, []time.Duration{0, 30 * time.Second}, at)
		require.Equal(t, 3*time.Minute, time.Since(start), "Timeout is for both attempts")
	})
}

func TestBackupStaysInUseWhileItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := newClient(t, privateCloud(fakeCloud{
			"main":   func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(http.StatusInternalServerError) },
			"backup": reply(http.StatusOK, `{"code":200}`),
		}))
		require.Error(t, c.Send(t.Context(), hello))
		for range 3 {
			time.Sleep(time.Hour)
			require.NoError(t, c.Send(t.Context(), hello))
		}
		assert.Equal(t, 1, asked)
	})
}

func TestSecondAttemptWithin30SecondsLeavesTheHostInUse(t *testing.T) {
	t.Parallel()
	main := newHost(t, nil)
	main.Config.Handler = failOnce(main.Config.Handler)
	backup := httptest.NewServer(reply(http.StatusOK, `{"code":200}`))
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(main.URL), Backup: backup.URL})
	require.Error(t, c.Send(t.Context(), hello)) // switches to the backup
	backup.Close()                               // which now refuses connections
	c.CloseIdleConnections()
	for range 2 {
		require.NoError(t, c.Send(t.Context(), hello), "still tried on the other host")
	}
	assert.Equal(t, 2, main.requests())

	// The main host fails the second attempt, but is not in use, so there is no switch.
	main.Close()
	c.CloseIdleConnections()
	require.ErrorIs(t, c.Send(t.Context(), hello), misc.ErrUnreachable)
}

// failOnce answers 500 to the first request, without passing it on.
func failOnce(next http.Handler) http.Handler {
	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failed := false
		once.Do(func() {
			failed = true
			w.WriteHeader(http.StatusInternalServerError)
		})
		if !failed {
			next.ServeHTTP(w, r)
		}
	})
}

// The failures come a minute apart, so that each could cause a switch, and an even
// number of switches would end at the main host again.
func TestFailuresOfOneHostAtOnceChangeHostsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders = 8
		var arrived, backup atomic.Int64
		cfg := privateCloud(fakeCloud{
			"main": func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(time.Duration(arrived.Add(1)) * time.Minute)
				w.WriteHeader(http.StatusInternalServerError)
			},
			"backup": func(w http.ResponseWriter, r *http.Request) {
				backup.Add(1)
				reply(http.StatusOK, `{"code":200}`)(w, r)
			},
		})
		cfg.Timeout = time.Hour
		c := newClient(t, cfg)
		var all sync.WaitGroup
		for range senders {
			all.Go(func() { assert.Error(t, c.Send(t.Context(), hello)) })
		}
		all.Wait()
		require.NoError(t, c.Send(t.Context(), hello))
		assert.Equal(t, []int64{senders, 1}, []int64{arrived.Load(), backup.Load()})
	})
}

func TestOnlyHostIsUsedAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.Config.Handler = failOnce(h.Config.Handler)
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
	require.Error(t, c.Send(t.Context(), hello))
	require.NoError(t, c.Send(t.Context(), hello))
}

func TestNamedRegionsHaveTheirHosts(t *testing.T) {
	t.Parallel()
	for region, want := range map[rongcloud.Region][2]string{
		rongcloud.Beijing:       {"api.rong-api.com", "api-b.rong-api.com"},
		rongcloud.Singapore:     {"api.sg-light-api.com", "api-b.sg-light-api.com"},
		rongcloud.SingaporeB:    {"api.sg-b-light-api.com", "api-b.sg-b-light-api.com"},
		rongcloud.NorthAmerica:  {"api.us-light-api.com", "api-b.us-light-api.com"},
		rongcloud.SaudiArabia:   {"api.sau-light-api.com", "api-b.sau-light-api.com"},
		rongcloud.Beijing + "/": {"api.rong-api.com", "api-b.rong-api.com"},
	} {
		main, backup := newHost(t, reply(500, ``)), newHost(t, nil)
		var asked []string
		c := newClient(t, rongcloud.Config{Region: region, HTTPClient: &http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.String())
				r = r.Clone(r.Context())
				r.URL.Scheme = "http"
				r.URL.Host = main.Listener.Addr().String()
				if len(asked) > 1 {
					r.URL.Host = backup.Listener.Addr().String()
				}
				return http.DefaultTransport.RoundTrip(r)
			}),
		}})
		require.Error(t, c.Send(t.Context(), hello))
		require.NoError(t, c.Send(t.Context(), hello))
		assert.Equal(t, []string{
			"https://" + want[0] + "/message/private/publish.json",
			"https://" + want[1] + "/message/private/publish.json",
		}, asked)
	}
}

func TestPrivateCloudMayLiveUnderAPath(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	for _, cfg := range []rongcloud.Config{
		{Region: rongcloud.Region(h.URL + "/im/api//")},
		{Region: rongcloud.Region(refusedURL(t)), Backup: h.URL + "/im/api//"},
	} {
		require.NoError(t, newClient(t, cfg).Send(t.Context(), hello))
	}
	const path = "POST /im/api/message/private/publish.json"
	assert.Equal(t, []string{path, path}, h.paths)
}
