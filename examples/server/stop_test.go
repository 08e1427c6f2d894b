package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAStopLetsARequestInFlightFinish(t *testing.T) {
	url, reached, release := hangingCloud(t)
	cfg := testConfig(t, t.TempDir(), "-rongcloud", url, "-app-key", "key", "-app-secret", "secret")
	cfg.limits.idle = 0
	in := start(t, cfg)
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
	cfg.limits.idle, cfg.limits.drain = 0, time.Millisecond
	in := start(t, cfg)
	in.login(1)
	go in.do("POST", "/misc/send_sc_msg", toFriend) // its connection is cut
	<-reached
	in.cancel()
	assert.ErrorContains(t, <-in.ended, "requests unfinished")
}

func TestAStopUnderLoadLosesNoAnswerAndResetsNoConnection(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	cfg.limits.idle = time.Minute // enough for each client to be told
	stopped, other := start(t, cfg), start(t, cfg)
	login := credentials(t, 1)

	const clients = 16
	var wg sync.WaitGroup
	var busy sync.WaitGroup
	busy.Add(clients)
	ended := make(chan struct{})
	for range clients {
		wg.Go(func() {
			transport := &http.Transport{MaxConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			base, kept, afterwards := stopped.base, false, 0 // kept: the transport keeps the connection for the next request
			for i := 0; afterwards < 20; i++ {
				req, err := http.NewRequest("POST", base+"/misc/get_screen_capture", strings.NewReader(toFriend))
				assert.NoError(t, err)
				req.GetBody = nil // so that the transport does not hide a lost request by sending it again
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set(login[0], login[1])
				req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GotConn: func(info httptrace.GotConnInfo) {
						assert.Equal(t, kept, info.Reused, "no connection is closed without a word")
						kept = false
					},
					PutIdleConn: func(err error) { kept = err == nil },
				}))
				resp, err := transport.RoundTrip(req)
				if i == 10 || err != nil && i < 10 {
					busy.Done()
				}
				if !assert.NoError(t, err, "after %d answers", i) {
					return
				}
				body, err := io.ReadAll(resp.Body)
				assert.NoError(t, errors.Join(err, resp.Body.Close()))
				assert.Equal(t, `{"code":200,"result":{"status":0}}`, string(body))
				switch {
				case resp.Close: // this client has been told, and switches to the other instance
					assert.Equal(t, stopped.base, base)
					base = other.base
				case base == other.base:
					select {
					case <-ended:
						afterwards++
					default:
					}
				}
			}
		})
	}
	busy.Wait()
	stopped.cancel()
	assert.NoError(t, <-stopped.ended)
	close(ended)
	wg.Wait()
	assert.Contains(t, stopped.log.String(), "every request was answered")
	other.stop()
}

func TestAStoppingServerIsNotReadyButAnswers(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	parts, err := openParts(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer parts.close()
	stop := new(stopper)
	handler, err := newHandler(cfg, parts, stop, io.Discard, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	stop.stopping.Store(true)
	for path, status := range map[string]int{"/readyz": 503, "/healthz": 200, "/misc/client_version": 200} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		assert.Equal(t, status, w.Code, path)
		assert.Equal(t, "close", w.Header().Get("Connection"), path)
		assert.Equal(t, status == 503, strings.Contains(w.Body.String(), `"status":"stopping"`), path)
	}
}
