package rongcloud_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/rongcloud"
)

const (
	appKey    = "uwd1c0sxdlx2"
	appSecret = "Y1W2MeFwwwRxa0"
)

var hello = misc.Message{
	Type:       misc.Private,
	From:       "alice",
	To:         "bob",
	ObjectName: "RC:TxtMsg",
	Content:    `{"content":"hello"}`,
}

// A host is an HTTP server that records the requests it receives.
type host struct {
	*httptest.Server

	mu          sync.Mutex
	forms       []url.Values
	headers     []http.Header
	paths       []string
	connections int
}

// newHost starts a host that answers with answer, or with success if answer is nil.
func newHost(t *testing.T, answer http.HandlerFunc) *host {
	t.Helper()
	if answer == nil {
		answer = reply(http.StatusOK, `{"code":200}`)
	}
	h := &host{}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		h.mu.Lock()
		h.forms = append(h.forms, form)
		h.headers = append(h.headers, r.Header.Clone())
		h.paths = append(h.paths, r.Method+" "+r.URL.Path)
		h.mu.Unlock()
		answer(w, r)
	}))
	h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			h.mu.Lock()
			h.connections++
			h.mu.Unlock()
		}
	}
	h.Start()
	t.Cleanup(h.Close)
	return h
}

func (h *host) requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.forms)
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drop closes the connection without an answer.
func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// breakOff closes the connection in the middle of a successful answer.
func breakOff(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	reply(http.StatusOK, `{"code":200}`)(w, r)
}

// hangAmid starts a successful answer and never ends it.
func hangAmid(w http.ResponseWriter, r *http.Request) {
	reply(http.StatusOK, `{"code":`)(w, r)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// rawHost returns the URL of a host that answers each request with these bytes.
func rawHost(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				requests := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, answer)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// refusedURL returns the URL of a host that refuses connections.
func refusedURL(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// blackHole returns an HTTP client that never gets a connection to the host of
// base, but gets one to any other host.
func blackHole(t *testing.T, base string) *http.Client {
	t.Helper()
	u, err := url.Parse(base)
	require.NoError(t, err)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == u.Host {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func newClient(t *testing.T, cfg rongcloud.Config) *rongcloud.Client {
	t.Helper()
	if cfg.AppKey == "" {
		cfg.AppKey, cfg.AppSecret = appKey, appSecret
	}
	c, err := rongcloud.New(cfg)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// A fakeCloud answers for its hosts without a network, which fake time requires.
type fakeCloud map[string]http.HandlerFunc

func (f fakeCloud) client() *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		f[r.URL.Host](w, r)
		return w.Result(), nil
	})}
}

// privateCloud returns the Config of a private cloud with the hosts main and backup.
func privateCloud(f fakeCloud) rongcloud.Config {
	return rongcloud.Config{Region: "http://main", Backup: "http://backup", HTTPClient: f.client()}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var errBroken = errors.New("broken")

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
