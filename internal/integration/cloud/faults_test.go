// Package cloud_test tests package rongcloud with a chat cloud that misbehaves on its
// connections. What it answers is tested in rongcloud.
package cloud_test

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
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
)

// soon is a timeout for a cloud that never answers: short enough for a test to wait
// for, and long enough that a third of it suffices to connect to this machine.
const soon = 3 * time.Second

// A fault is a way in which a chat cloud fails: before it has read the request, or after
// it has accepted the message.
type fault struct {
	name    string
	err     error                                        // of Send
	connect func(c net.Conn)                             // used instead of HTTP
	answer  func(w http.ResponseWriter, r *http.Request) // the message was accepted

	tls     bool          // the client uses TLS
	timeout time.Duration // 0 means longer than needed
	reuse   bool          // the fault occurs on a connection that was used before
	second  bool          // nothing can have arrived, so the backup host gets the message and Send returns nil
}

// hijacked passes the raw connection to f, and then closes it normally or with a reset.
func hijacked(reset bool, f func(c net.Conn)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		f(c)
		if reset {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
	}
}

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

func faults() []fault {
	const success = `{"code":200}`
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
	closes := func(net.Conn) {}
	writes := func(text string) func(http.ResponseWriter, *http.Request) {
		return hijacked(false, func(c net.Conn) { _, _ = io.WriteString(c, text) })
	}
	repeats := func(first, then string) func(http.ResponseWriter, *http.Request) {
		return hijacked(false, func(c net.Conn) {
			_, err := io.WriteString(c, first)
			for err == nil {
				_, err = io.WriteString(c, then)
			}
		})
	}
	return []fault{
		{name: "accepts and never reads", err: misc.ErrTimeout, connect: readsOn, timeout: soon},
		{name: "hangs up on every connection", err: misc.ErrUnreachable, connect: closes},
		{name: "speaks no HTTP", err: misc.ErrUnreachable, connect: says("220 mail.example.com ESMTP\r\n")},
		{name: "answers TLS with garbage", err: misc.ErrUnreachable, connect: says(strings.Repeat("garbage ", 100)), tls: true, second: true},
		{name: "never ends the TLS handshake", err: misc.ErrTimeout, connect: readsOn, tls: true, timeout: soon, second: true},
		{name: "hangs on a connection that has served", err: misc.ErrTimeout, answer: hijacked(false, readsOn), timeout: soon, reuse: true},
		{name: "drips its answer", err: misc.ErrTimeout, answer: hijacked(false, func(c net.Conn) { drip(c, head+success) }), timeout: soon},
		{name: "drips its body", err: misc.ErrTimeout, answer: hijacked(false, func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			drip(c, success)
		}), timeout: soon},
		{name: "hangs in the middle of 10 MB", err: misc.ErrRefused, answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(10<<20))
			_, _ = io.WriteString(w, success+strings.Repeat(" ", 1<<20))
			<-r.Context().Done()
		}}, // no timeout, since the client reads no more than it needs
		{name: "is processing for ever", err: misc.ErrUnreachable, answer: repeats("", "HTTP/1.1 102 Processing\r\n\r\n")},
		{name: "sends headers without end", err: misc.ErrUnreachable, answer: repeats("HTTP/1.1 200 OK\r\n", "A: "+strings.Repeat("b", 1000)+"\r\n")},
		{name: "cuts its headers short", err: misc.ErrUnreachable, answer: writes(head[:30])},
		{name: "cuts a chunk short", err: misc.ErrUnreachable, answer: writes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + success[:5])},
		{name: "resets the connection after the request", err: misc.ErrUnreachable, answer: hijacked(true, closes)},
		{name: "closes a connection that has served after the next request", err: misc.ErrUnreachable, answer: hijacked(false, closes), reuse: true},
		{name: "resets a connection that has served after the next request", err: misc.ErrUnreachable, answer: hijacked(true, closes), reuse: true},
	}
}

// Each case is tried with and without a backup host. The messages that arrive are counted
// over both hosts.
func TestSurvivesAChatCloudThat(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("together", func(t *testing.T) {
		for _, f := range faults() {
			for _, backup := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, backup host %v", f.name, backup), func(t *testing.T) {
					t.Parallel()
					f.meet(t, backup)
				})
			}
		}
	})
	// A connection that is left has a goroutine on each side.
	testhost.Until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

func (f fault) meet(t *testing.T, hasBackup bool) {
	cloud := misctest.NewCloud("app", "secret") // both hosts belong to one cloud
	backup := httptest.NewServer(cloud)
	defer backup.Close()
	var warm, last atomic.Value // the connections of the first and the last request
	main := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last.Store(r.RemoteAddr)
		if f.reuse && warm.Load() == nil {
			cloud.ServeHTTP(w, r)
			return
		}
		taken := httptest.NewRecorder()
		cloud.ServeHTTP(taken, r)
		if taken.Code != 200 {
			panic(taken.Body.String())
		}
		f.answer(w, r)
	}))
	main.Config.ErrorLog = log.New(io.Discard, "", 0) // the tests break connections on purpose
	if f.connect != nil {
		main.Listener = raw{main.Listener, f.connect}
	}
	main.Start()
	defer main.Close()

	cfg := rongcloud.Config{AppKey: "app", AppSecret: "secret", Region: rongcloud.Region(main.URL), Timeout: cmp.Or(f.timeout, testhost.Patience)}
	if f.tls {
		cfg.Region = rongcloud.Region("https" + strings.TrimPrefix(main.URL, "http"))
	}
	if hasBackup {
		cfg.Backup = backup.URL
	}
	client := testhost.Must(rongcloud.New(cfg))
	defer client.CloseIdleConnections()
	send := func() error {
		return client.Send(context.Background(), misc.Notice(testhost.Alice, misc.Private, testhost.Bob, misc.NoticeScreenshot))
	}
	if f.reuse {
		for send() != nil { // a first connection may take longer than the timeout
		}
		cloud.Reset()
		warm.Store(last.Load())
	}

	deliveries := 1
	if err := send(); f.second && hasBackup {
		assert.NoError(t, err)
	} else {
		assert.ErrorIs(t, err, f.err)
		if f.answer == nil {
			deliveries = 0
		}
	}
	testhost.Until(t, "it is delivered", func() bool { return len(cloud.Delivered()) >= deliveries })
	assert.Len(t, cloud.Delivered(), deliveries)
	if f.reuse {
		assert.Equal(t, warm.Load(), last.Load(), "the fault did not meet the connection that has served")
	}
}

// raw passes each connection to connect, and none to HTTP.
type raw struct {
	net.Listener
	connect func(net.Conn)
}

func (l raw) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		go func() {
			defer c.Close()
			l.connect(c)
		}()
	}
}
