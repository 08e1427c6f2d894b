package rongcloud

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// maxUses is how many requests go over one connection: RongCloud asks for
// fewer than 80, since its load balancing follows connections.
const maxUses = 79

// NewTransport returns the transport that a [Client] uses if it is given none.
// Wrap it, for example to trace requests, and pass it on in Config.HTTPClient.
// The argument connect is the maximum time to make a TCP connection and,
// separately, to complete the TLS handshake; 0 means no limit. The transport
// closes connections after 50 seconds without use, since RongCloud drops them
// after about 55. A Client uses each of its connections for fewer than 80
// requests. The transport speaks HTTP/1 only, since HTTP/2 would send
// everything over one connection. It uses the proxy that the environment names.
func NewTransport(connect time.Duration) *http.Transport {
	dialer := net.Dialer{Timeout: connect}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &countedConn{Conn: c}, nil
		},
		TLSHandshakeTimeout:    connect,
		IdleConnTimeout:        50 * time.Second,
		MaxIdleConnsPerHost:    100,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// A countedConn is a connection of NewTransport. One request at a time has it.
type countedConn struct {
	net.Conn
	uses int
}

// noRedirects hides where a redirect leads: the signature is for one host alone.
// A CheckRedirect would not do, as an http.Client parses the Location before it
// calls that, and fails if it cannot.
type noRedirects struct{ http.RoundTripper }

func (t noRedirects) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if resp != nil && resp.StatusCode != http.StatusOK {
		resp.Header.Del("Location")
	}
	return resp, err
}

func (t noRedirects) CloseIdleConnections() {
	if closer, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// A connection is what httptrace reports about the connection of one attempt.
type connection struct{ asked, got atomic.Bool }

func (c *connection) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { c.asked.Store(true) },
		GotConn: func(info httptrace.GotConnInfo) {
			conn := info.Conn
			for encrypted, ok := conn.(*tls.Conn); ok; encrypted, ok = conn.(*tls.Conn) {
				conn = encrypted.NetConn()
			}
			if counted, ok := conn.(*countedConn); ok {
				if counted.uses++; counted.uses > maxUses {
					_ = counted.Close() // below TLS: nothing was written yet, and the transport takes another one
					return
				}
			}
			c.got.Store(true)
		},
	})
}

// mayExist is false only if nothing can have reached the host. A RoundTripper
// that knows nothing of httptrace never asks for a connection, and may have
// one all the same.
func (c *connection) mayExist() bool { return c.got.Load() || !c.asked.Load() }
