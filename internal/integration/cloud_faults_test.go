//go:build unix

package integration_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
)

// soon is a time-out for a cloud that never answers: no longer than a test can
// wait, and long enough that a third of it makes a connection to this machine.
const soon = 600 * time.Millisecond

// A cloudFault is a way in which a chat cloud fails: before it has read the
// request, or after it has taken the message. Neither function returns before
// it is done with the connection.
type cloudFault struct {
	name    string
	closed  bool                                                       // nobody listens
	connect func(c net.Conn)                                           // in place of HTTP
	answer  func(w http.ResponseWriter, r *http.Request, other string) // the message is taken; other is the URL of a stranger
	scheme  string
	timeout time.Duration // 0: longer than it takes
	reuse   bool          // the fault comes on a connection that has served before

	status     int
	retryAfter string
	second     bool // nothing can have arrived: the backup host gets the message, and the answer is 200
}

func answers(status int, body string, header ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func redirects(status int) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, r *http.Request, other string) {
		http.Redirect(w, r, other+r.URL.Path, status)
	}
}

// hijacked gives the bare connection to f, and closes it in order, or with a
// reset.
func hijacked(reset bool, f func(c net.Conn)) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		f(c)
		if reset {
			_ = c.(*countedConn).Conn.(*net.TCPConn).SetLinger(0)
		}
	}
}

// drip writes text a byte a second, until the other side closes.
func drip(c net.Conn, text string) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	for i := range len(text) {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			break
		}
		select {
		case <-gone:
			return
		case <-time.After(time.Second):
		}
	}
	<-gone
}

func cloudFaults() []cloudFault {
	const success = `{"code":200}`
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
	return []cloudFault{
		{name: "refuses connections", closed: true, status: 502, second: true},
		{name: "accepts and never reads", connect: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, timeout: soon, status: 504},
		{name: "hangs up on every connection", connect: func(net.Conn) {}, status: 502},
		{name: "speaks no HTTP", connect: func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n")
		}, status: 502},
		{name: "answers TLS with garbage", scheme: "https", connect: func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_, _ = io.WriteString(c, strings.Repeat("garbage ", 100))
		}, status: 502, second: true},
		{name: "never ends the TLS handshake", scheme: "https", connect: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
			timeout: 3 * soon, status: 504, second: true},
		{name: "hangs", answer: func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }, timeout: soon, status: 504},
		{name: "hangs on a connection that has served", reuse: true, answer: func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }, timeout: soon, status: 504},
		{name: "drips its answer", answer: hijacked(false, func(c net.Conn) { drip(c, head+success) }), timeout: soon, status: 504},
		{name: "drips its body", answer: hijacked(false, func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			drip(c, success)
		}), timeout: soon, status: 504},
		{name: "sends its headers and hangs", answer: func(w http.ResponseWriter, r *http.Request, _ string) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, timeout: soon, status: 504},
		{name: "answers 500", answer: answers(500, `{"code":1000,"errorMessage":"internal error"}`), status: 502},
		{name: "answers 500 without a body", answer: answers(500, ""), status: 502},
		{name: "answers 502 with a page", answer: answers(502, "<html>Bad Gateway</html>", "Content-Type", "text/html"), status: 502},
		{name: "answers 503", answer: answers(503, "", "Retry-After", "30"), status: 502},
		{name: "answers 504", answer: answers(504, `{"code":1050,"errorMessage":"timeout"}`), status: 504},
		{name: "answers 401", answer: answers(401, `{"code":1004,"errorMessage":"bad signature"}`), status: 502},
		{name: "answers 429", answer: answers(429, `{"code":1008,"errorMessage":"too many"}`), status: 429},
		{name: "answers 429 with Retry-After", answer: answers(429, `{"code":1008}`, "Retry-After", "7"), status: 429, retryAfter: "7"},
		{name: "answers 429 with a Retry-After that is no time", answer: answers(429, "", "Retry-After", "soon"), status: 429},
		{name: "answers 429 with a Retry-After of years", answer: answers(429, "", "Retry-After", "99999999999"), status: 429},
		{name: "answers 200 with a refusal", answer: answers(200, `{"code":1002,"errorMessage":"bad parameter"}`), status: 502},
		{name: "answers 200 with the rate limit", answer: answers(200, `{"code":1008}`), status: 429},
		{name: "answers 200 with its own time-out", answer: answers(200, `{"code":1050}`), status: 504},
		{name: "answers 200 with garbage", answer: answers(200, "\x00\xff{{{"), status: 502},
		{name: "answers 200 without a body", answer: answers(200, ""), status: 502},
		{name: "answers 200 without a code", answer: answers(200, `{}`), status: 502},
		{name: "answers 204", answer: answers(204, ""), status: 502},
		{name: "cuts its body short", answer: hijacked(false, func(c net.Conn) {
			_, _ = io.WriteString(c, strings.Replace(head, "12", "1200", 1)+success)
		}), status: 502},
		{name: "cuts its headers short", answer: hijacked(false, func(c net.Conn) { _, _ = io.WriteString(c, head[:30]) }), status: 502},
		{name: "cuts a chunk short", answer: hijacked(false, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n"+success[:5])
		}), status: 502},
		{name: "hangs in the middle of 10 MB", answer: func(w http.ResponseWriter, r *http.Request, _ string) {
			w.Header().Set("Content-Length", strconv.Itoa(10<<20))
			_, _ = io.WriteString(w, success+strings.Repeat(" ", 1<<20))
			<-r.Context().Done()
		}, status: 502}, // by a client that reads no more than it needs
		{name: "answers 10 MB", answer: answers(200, success+strings.Repeat(" ", 10<<20)), status: 502},
		{name: "redirects with 301", answer: redirects(301), status: 502},
		{name: "redirects with 302", answer: redirects(302), status: 502},
		{name: "redirects with 303", answer: redirects(303), status: 502},
		{name: "redirects with 307", answer: redirects(307), status: 502},
		{name: "redirects with 308", answer: redirects(308), status: 502},
		{name: "closes the connection after the request", answer: hijacked(false, func(net.Conn) {}), status: 502},
		{name: "resets the connection after the request", answer: hijacked(true, func(net.Conn) {}), status: 502},
		{name: "closes a connection that has served after the next request", reuse: true, answer: hijacked(false, func(net.Conn) {}), status: 502},
		{name: "resets a connection that has served after the next request", reuse: true, answer: hijacked(true, func(net.Conn) {}), status: 502},
		{name: "fails on a connection that has served", reuse: true, answer: answers(500, ""), status: 502},
	}
}

// senders are the requests that go on to the chat cloud.
var senders = map[string]string{
	"send_message":       `{"conversationType":"PRIVATE","targetId":"` + bob + `","objectName":"RC:TxtMsg","content":"hi"}`,
	"set_screen_capture": `{"conversationType":1,"targetId":"` + bob + `","noticeStatus":1}`,
	"send_sc_msg":        `{"conversationType":1,"targetId":"` + bob + `"}`,
}

// Every case is tried by each sender, with and without a backup host. What a
// host took is counted over both.
func TestSurvivesAChatCloudThat(t *testing.T) {
	for _, fault := range cloudFaults() {
		t.Run(fault.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			var all sync.WaitGroup
			for path := range senders {
				all.Go(func() { fault.meet(t, path, false) })
				all.Go(func() { fault.meet(t, path, true) })
			}
			all.Wait()
			until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

func (f cloudFault) meet(t *testing.T, path string, hasBackup bool) {
	const key, secret = "app", "secret"
	name := path
	if hasBackup {
		name += ", with a backup host"
	}
	cloud := misctest.NewCloud(key, secret) // both hosts are of one cloud
	other := serve(nil, http.NotFoundHandler())
	defer other.close()
	var warm atomic.Bool
	warm.Store(f.reuse)
	main := serve(f.connect, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if warm.Load() {
			cloud.ServeHTTP(w, r)
			return
		}
		taken := httptest.NewRecorder()
		cloud.ServeHTTP(taken, r)
		if taken.Code != 200 {
			panic(taken.Body.String())
		}
		f.answer(w, r, other.URL)
	}))
	defer main.close()
	if f.closed {
		main.close()
	}
	backup := serve(nil, cloud)
	defer backup.close()

	cfg := rongcloud.Config{AppKey: key, AppSecret: secret, Region: rongcloud.Region(main.URL), Timeout: patience}
	if f.scheme != "" {
		cfg.Region = rongcloud.Region(f.scheme + strings.TrimPrefix(main.URL, "http"))
	}
	if f.timeout != 0 {
		cfg.Timeout = f.timeout
	}
	if hasBackup {
		cfg.Backup = backup.URL
	}
	client, err := rongcloud.New(cfg)
	if !assert.NoError(t, err, name) {
		return
	}
	h := newHost(t)
	h.misc.Messenger = client
	handler := h.handler(t)
	post := func() *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), asAlice(context.Background(), "POST", "/misc/"+path, senders[path])
		handler.ServeHTTP(w, r)
		wantDocumented(t, r, w, name)
		return w
	}
	if f.reuse {
		for post().Code != 200 { // a first connection may take longer than the time-out
		}
		cloud.Reset()
		h.log.Take()
		warm.Store(false)
	}

	status, retryAfter, deliveries := f.status, f.retryAfter, 1
	switch {
	case f.second && hasBackup:
		status = 200
	case f.answer == nil:
		deliveries = 0
	}
	connections := main.accepted.Load()
	w := post()
	assert.Equal(t, status, w.Code, name)
	assert.Equal(t, retryAfter, w.Header().Get("Retry-After"), name)
	assert.NotContains(t, w.Body.String(), "127.0.0.1", name)
	lines := h.log.Take()
	if status < 500 {
		assert.Empty(t, lines, name)
	} else if assert.Len(t, lines, 1, name) {
		assert.Contains(t, lines[0], "level=ERROR", name)
		assert.NotContains(t, lines[0], secret, name)
	}
	if path == "set_screen_capture" {
		assert.Equal(t, misc.NoticeOn, h.captures(t, misc.PrivateConversation(alice, bob)), name)
	}
	until(t, name+": it is delivered", func() bool { return len(cloud.Delivered()) >= deliveries })

	client.CloseIdleConnections()
	until(t, name+": no connection is left", func() bool { return main.open.Load()+backup.open.Load() == 0 })
	assert.Len(t, cloud.Delivered(), deliveries, name)
	assert.Zero(t, other.accepted.Load(), name)
	if f.reuse {
		assert.Equal(t, connections, main.accepted.Load(), "the fault did not meet the connection that has served: "+name)
	}
	if !f.second || !hasBackup {
		assert.Zero(t, backup.accepted.Load(), name)
	}
}

// A counted server knows how many connections it has, and has had.
type countedServer struct {
	URL            string
	listener       net.Listener
	connect        func(net.Conn)
	server         http.Server
	open, accepted atomic.Int64
	all            sync.WaitGroup
}

// serve hands each connection to connect, or to HTTP if that is nil.
func serve(connect func(net.Conn), handler http.Handler) *countedServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &countedServer{URL: "http://" + l.Addr().String(), listener: l, connect: connect}
	s.server.Handler = handler
	s.server.ErrorLog = log.New(io.Discard, "", 0) // the tests break connections on purpose
	s.all.Go(func() {
		if connect == nil {
			_ = s.server.Serve(s)
			return
		}
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			s.all.Go(func() {
				defer c.Close()
				connect(c)
			})
		}
	})
	return s
}

func (s *countedServer) Accept() (net.Conn, error) {
	c, err := s.listener.Accept()
	if err != nil {
		return nil, err
	}
	s.accepted.Add(1)
	s.open.Add(1)
	return &countedConn{Conn: c, open: &s.open}, nil
}

func (s *countedServer) Addr() net.Addr { return s.listener.Addr() }
func (s *countedServer) Close() error   { return s.listener.Close() }

func (s *countedServer) close() {
	_ = s.listener.Close()
	_ = s.server.Close()
	s.all.Wait()
}

type countedConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
