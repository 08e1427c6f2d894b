//go:build unix

// Package cluster_test starts clusters of database servers, and takes servers away from
// them under load. It has all tests that need a cluster, so that each is started once.
package cluster_test

import (
	"context"
	"database/sql"
	"io"
	"log"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

func TestMain(m *testing.M) {
	_ = mysql.SetLogger(log.New(io.Discard, "", 0)) // the tests break connections on purpose
	servers.Main(m)
}

func pair(a, b uint32) misc.Conversation {
	return misc.PrivateConversation(misctest.ID(a), misctest.ID(b))
}

func group(n uint32) misc.Conversation { return misc.GroupConversation(misctest.ID(n)) }

// manage keeps the connections of db, as a busy server does, and closes it at the end.
func manage(t testing.TB, db *sql.DB) *sql.DB {
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func newStore(t testing.TB, db *sql.DB, d sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(t.Context(), db, d, sqlstore.Config{Codec: servers.Codec})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func execute(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.Exec(statement)
	require.NoError(t, err)
}

func wantCapture(t testing.TB, s misc.ScreenCaptureStore, c misc.Conversation, want misc.NoticeStatus) {
	t.Helper()
	got, err := s.ScreenCapture(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// A proxy forwards connections to a server, as a load balancer or a virtual address does.
type proxy struct {
	address string
	flow    sync.RWMutex // is held for writing while nothing gets through

	mu     sync.Mutex
	target string
	conns  map[net.Conn]bool
}

func newProxy(t testing.TB, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{address: l.Addr().String(), target: target, conns: make(map[net.Conn]bool)}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		done.Wait()
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var done sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		done.Go(func() {
			buffer := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(buffer)
				p.flow.RLock()
				if err == nil {
					_, err = way[1].Write(buffer[:n])
				}
				p.flow.RUnlock()
				if err != nil {
					_, _ = client.Close(), server.Close()
					return
				}
			}
		})
	}
	done.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// to sends new connections to another server.
func (p *proxy) to(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// deadline is how long a call of the load may take.
const deadline = 10 * time.Second

// A load sets new conversations, until it is stopped.
type load struct {
	stop func()

	mu           sync.Mutex
	acknowledged map[misc.Conversation]bool
	failed       map[string]int // by error
	last         time.Time      // of the last acknowledgement
	pause        time.Duration  // the longest time without one
}

// startLoad uses all stores at the same time. Each is given numbers of its own.
func startLoad(t *testing.T, stores ...*sqlstore.Store) *load {
	const workers = 4 // for each store
	l := &load{acknowledged: make(map[misc.Conversation]bool), failed: make(map[string]int), last: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	l.stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(l.stop)
	for i := range uint32(len(stores) * workers) {
		done.Go(func() {
			for n := uint32(1); ctx.Err() == nil; n++ {
				c := pair(i+1, 100+n)
				callCtx, cancelCall := context.WithTimeout(t.Context(), deadline)
				l.count(c, stores[i/workers].SetScreenCapture(callCtx, c, misc.NoticeOn))
				cancelCall()
			}
		})
	}
	return l
}

func (l *load) count(c misc.Conversation, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed[err.Error()]++
		return
	}
	l.acknowledged[c] = true
	l.pause = max(l.pause, time.Since(l.last))
	l.last = time.Now()
}

// awaitMore returns when some more sets have been acknowledged.
func (l *load) awaitMore(t *testing.T) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acknowledged)
	}
	enough := count() + 300
	testhost.Until(t, "sets are acknowledged", func() bool { return count() >= enough })
}

// wantHeld stops the load, and reads all that was acknowledged.
func (l *load) wantHeld(t *testing.T, stores ...*sqlstore.Store) {
	t.Helper()
	l.stop()
	t.Logf("%d sets acknowledged, the longest pause was %v, errors: %v", len(l.acknowledged), l.pause.Round(time.Millisecond), l.failed)
	for _, s := range stores {
		conversations := make(chan misc.Conversation)
		var done sync.WaitGroup
		for range 8 {
			done.Go(func() {
				for c := range conversations {
					got, err := s.ScreenCapture(t.Context(), c)
					assert.NoError(t, err)
					assert.Equal(t, misc.NoticeOn, got, "%v", c)
				}
			})
		}
		for c := range l.acknowledged {
			conversations <- c
		}
		close(conversations)
		done.Wait()
	}
}
