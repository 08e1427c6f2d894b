package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// stopper stops a server without losing an answer. [http.Server.Shutdown] alone
// closes connections on which a client may be sending a request, so every answer
// first tells its client to close the connection.
type stopper struct {
	stopping    atomic.Bool
	connections sync.Map // each open net.Conn, with whether its client is about to be told
}

// watch is the ConnState function of the server.
func (s *stopper) watch(c net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		s.connections.Delete(c)
		return
	}
	s.connections.Store(c, state == http.StateActive && s.stopping.Load()) // tell runs after this
}

// waiting reports whether there is a connection whose client has not been told, and
// may send its next request at any time.
func (s *stopper) waiting() (found bool) {
	s.connections.Range(func(_, told any) bool {
		found = !told.(bool)
		return !found
	})
	return found
}

// tell makes the answers of a stopping server tell clients to close their connections.
func (s *stopper) tell(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// stop keeps accepting requests for delay, in which the load balancer notices
// /readyz, and then until each open connection has had its last answer, but no
// longer than limits allow. Then it waits for the requests in flight.
func (s *stopper) stop(server *http.Server, delay time.Duration, limits limits) error {
	s.stopping.Store(true)
	time.Sleep(delay)
	for end := time.Now().Add(limits.idle); s.waiting() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limits.drain)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("requests unfinished: %w", err)
	}
	return nil
}
