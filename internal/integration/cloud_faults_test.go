//go:build unix

package integration_test

import (
	"cmp"
	"context"
	"fmt"
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

// soon is a timeout for a cloud that never answers: short enough for a test to wait
// for, and long enough that a third of it suffices to connect to this machine.
const soon = 600 * time.Millisecond

// A cloudFault is a way in which a chat cloud fails: before it has read the request,
// or after it has accepted the message. Both functions return only when they are done
// with the connection.
type cloudFault struct {
	name    string
	status  int                                                        // of our answer
	connect func(c net.Conn)                                           // used instead of HTTP
	answer  func(w http.ResponseWriter, r *http.Request, other string) // the message was accepted; other is the URL of an unrelated server

	closed     bool          // nothing listens
	tls        bool          // the client uses TLS
	timeout    time.Duration // 0 means longer than needed
	reuse      bool          // the fault occurs on a connection that was used before
	retryAfter string
	second     bool // nothing can have arrived, so the backup host gets the message and the answer is 200
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

// hijacked passes the raw connection to f, and then closes it normally or with a
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

func hangs(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }

func readsOn(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// says returns a function that waits for the first byte and then writes text.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, text)
	}
}

// drip writes text at one byte per second, until the other side closes the connection.
func drip(c net.Conn, text string) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		readsOn(c)
	}()
	for i := range len(text) {
		_, _ = io.WriteString(c, text[i:i+1])
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
	closes := func(net.Conn) {}
	writes := func(text string) func(http.ResponseWriter, *http.Request, string) {
		return hijacked(false, func(c net.Conn) { _, _ = io.WriteString(c, text) })
	}
	repeats := func(first, then string) func(http.ResponseWriter, *http.Request, string) {
		return hijacked(false, func(c net.Conn) {
			_, err := io.WriteString(c, first)
			for err == nil {
				_, err = io.WriteString(c, then)
			}
		})
	}
	all := []cloudFault{
		{name: "refuses connections", status: 502, closed: true, second: true},
		{name: "accepts and never reads", status: 504, connect: readsOn, timeout: soon},
		{name: "hangs up on every connection", status: 502, connect: closes},
		{name: "speaks no HTTP", status: 502, connect: says("220 mail.example.com ESMTP\r\n")},
		{name: "answers TLS with garbage", status: 502, connect: says(strings.Repeat("garbage ", 100)), tls: true, second: true},
		{name: "never ends the TLS handshake", status: 504, connect: readsOn, tls: true, timeout: 3 * soon, second: true},
		{name: "hangs", status: 504, answer: hangs, timeout: soon},
		{name: "hangs on a connection that has served", status: 504, answer: hangs, timeout: soon, reuse: true},
		{name: "drips its answer", status: 504, answer: hijacked(false, func(c net.Conn) { drip(c, head+success) }), timeout: soon},
		{name: "drips its body", status: 504, answer: hijacked(false, func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			drip(c, success)
		}), timeout: soon},
		{name: "sends its headers and hangs", status: 504, answer: func(w http.ResponseWriter, r *http.Request, _ string) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, timeout: soon},
		{name: "hangs in the middle of 10 MB", status: 502, answer: func(w http.ResponseWriter, r *http.Request, _ string) {
			w.Header().Set("Content-Length", strconv.Itoa(10<<20))
			_, _ = io.WriteString(w, success+strings.Repeat(" ", 1<<20))
			<-r.Context().Done()
		}}, // 502, since the client reads no more than it needs
		{name: "switches protocols", status: 502, answer: hijacked(false, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"+head+success)
			readsOn(c)
		})},
		{name: "is processing for ever", status: 502, answer: repeats("", "HTTP/1.1 102 Processing\r\n\r\n")},
		{name: "sends headers without end", status: 502, answer: repeats("HTTP/1.1 200 OK\r\n", "A: "+strings.Repeat("b", 1000)+"\r\n")},
		{name: "cuts its body short", status: 502, answer: writes(strings.Replace(head, "12", "1200", 1) + success)},
		{name: "cuts its headers short", status: 502, answer: writes(head[:30])},
		{name: "cuts a chunk short", status: 502, answer: writes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + success[:5])},
		{name: "closes the connection after the request", status: 502, answer: hijacked(false, closes)},
		{name: "resets the connection after the request", status: 502, answer: hijacked(true, closes)},
		{name: "closes a connection that has served after the next request", status: 502, answer: hijacked(false, closes), reuse: true},
		{name: "resets a connection that has served after the next request", status: 502, answer: hijacked(true, closes), reuse: true},
		{name: "fails on a connection that has served", status: 502, answer: answers(500, ""), reuse: true},
		{name: "answers 500", status: 502, answer: answers(500, `{"code":1000,"errorMessage":"internal error"}`)},
		{name: "answers 500 without a body", status: 502, answer: answers(500, "")},
		{name: "answers 502 with a page", status: 502, answer: answers(502, "<html>Bad Gateway</html>", "Content-Type", "text/html")},
		{name: "answers 503", status: 502, answer: answers(503, "", "Retry-After", "30")},
		{name: "answers 504", status: 504, answer: answers(504, `{"code":1050,"errorMessage":"timeout"}`)},
		{name: "answers 401", status: 502, answer: answers(401, `{"code":1004,"errorMessage":"bad signature"}`)},
		{name: "answers 429", status: 429, answer: answers(429, `{"code":1008,"errorMessage":"too many"}`)},
		{name: "answers 429 with Retry-After", status: 429, answer: answers(429, `{"code":1008}`, "Retry-After", "7"), retryAfter: "7"},
		{name: "answers 429 with a Retry-After that is no time", status: 429, answer: answers(429, "", "Retry-After", "soon")},
		{name: "answers 429 with a Retry-After of years", status: 429, answer: answers(429, "", "Retry-After", "99999999999")},
		{name: "answers 200 with a refusal", status: 502, answer: answers(200, `{"code":1002,"errorMessage":"bad parameter"}`)},
		{name: "answers 200 with the rate limit", status: 429, answer: answers(200, `{"code":1008}`)},
		{name: "answers 200 with its own time-out", status: 504, answer: answers(200, `{"code":1050}`)},
		{name: "answers 200 with garbage", status: 502, answer: answers(200, "\x00\xff{{{")},
		{name: "answers 200 without a body", status: 502, answer: answers(200, "")},
		{name: "answers 200 without a code", status: 502, answer: answers(200, `{}`)},
		{name: "answers 200 with the page of a proxy", status: 502, answer: answers(200, "<html>Log in</html>", "Content-Type", "text/html")},
		{name: "answers 204", status: 502, answer: answers(204, "")},
		{name: "answers 10 MB", status: 502, answer: answers(200, success+strings.Repeat(" ", 10<<20))},
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		all = append(all, cloudFault{name: "redirects with " + strconv.Itoa(status), status: 502, answer: func(w http.ResponseWriter, r *http.Request, other string) {
			http.Redirect(w, r, other+r.URL.Path, status)
		}})
	}
	return all
}

// senders are the requests that send a message to the chat cloud.
var senders = map[string]string{
	"send_message":       `{"conversationType":"PRIVATE","targetId":"` + bob + `","objectName":"RC:TxtMsg","content":"hi"}`,
	"set_screen_capture": `{"conversationType":1,"targetId":"` + bob + `","noticeStatus":1}`,
	"send_sc_msg":        `{"conversationType":1,"targetId":"` + bob + `"}`,
}

// Each case is tried with each sender, with and without a backup host. The messages
// that arrive are counted over both hosts.
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
	name := fmt.Sprintf("%s, with a backup host: %v", path, hasBackup)
	cloud := misctest.NewCloud("app", "secret") // both hosts belong to one cloud
	other, backup := serve(nil, http.NotFoundHandler()), serve(nil, cloud)
	defer other.Close()
	defer backup.Close()
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
	defer main.Close()
	if f.closed {
		main.Close()
	}

	cfg := rongcloud.Config{AppKey: "app", AppSecret: "secret", Region: rongcloud.Region(main.URL), Timeout: cmp.Or(f.timeout, patience)}
	if f.tls {
		cfg.Region = rongcloud.Region("https" + strings.TrimPrefix(main.URL, "http"))
	}
	if hasBackup {
		cfg.Backup = backup.URL
	}
	client := must(rongcloud.New(cfg))
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
		for post().Code != 200 { // a first connection may take longer than the timeout
		}
		cloud.Reset()
		h.log.Take()
		warm.Store(false)
	}

	status, deliveries := f.status, 1
	switch {
	case f.second && hasBackup:
		status = 200
	case f.answer == nil:
		deliveries = 0
	}
	connections := main.conns.accepted.Load()
	w := post()
	assert.Equal(t, status, w.Code, name)
	assert.Equal(t, f.retryAfter, w.Header().Get("Retry-After"), name)
	assert.NotContains(t, w.Body.String(), "127.0.0.1", name)
	lines := h.log.Take()
	if status < 500 {
		assert.Empty(t, lines, name)
	} else if assert.Len(t, lines, 1, name) {
		assert.Contains(t, lines[0], "level=ERROR", name)
		assert.NotContains(t, lines[0], "secret", name)
	}
	if path == "set_screen_capture" {
		assert.Equal(t, misc.NoticeOn, h.captures(t, misc.PrivateConversation(alice, bob)), name)
	}
	until(t, name+": it is delivered", func() bool { return len(cloud.Delivered()) >= deliveries })

	client.CloseIdleConnections()
	until(t, name+": no connection is left", func() bool { return main.conns.open.Load()+backup.conns.open.Load() == 0 })
	assert.Len(t, cloud.Delivered(), deliveries, name)
	assert.Zero(t, other.conns.accepted.Load(), name)
	if f.reuse {
		assert.Equal(t, connections, main.conns.accepted.Load(), "the fault did not meet the connection that has served: "+name)
	}
	if !f.second || !hasBackup {
		assert.Zero(t, backup.conns.accepted.Load(), name)
	}
}

type countedServer struct {
	*httptest.Server
	conns *counter
}

// serve starts a server that passes each connection to connect, or speaks HTTP if
// connect is nil.
func serve(connect func(net.Conn), handler http.Handler) countedServer {
	s := httptest.NewUnstartedServer(handler)
	c := &counter{Listener: s.Listener, connect: connect}
	s.Listener = c
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the tests break connections on purpose
	s.Start()
	return countedServer{s, c}
}

// A counter counts the connections that are open, and all that were accepted.
type counter struct {
	net.Listener
	connect        func(net.Conn)
	open, accepted atomic.Int64
}

func (c *counter) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c.accepted.Add(1)
		c.open.Add(1)
		counted := &countedConn{conn, sync.OnceFunc(func() { c.open.Add(-1) })}
		if c.connect == nil {
			return counted, nil
		}
		go func() {
			defer counted.Close()
			c.connect(counted)
		}()
	}
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
