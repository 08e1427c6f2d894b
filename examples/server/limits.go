package main

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/go-chi/httprate"
	"github.com/realclientip/realclientip-go"
)

// limit lets through perUser requests per second from each logged-in user, and
// perAddress from each address that sends requests without a login, or with one that
// could not be checked. It runs after the login. It counts the requests of the current and of the last second, so that
// at most twice perUser requests of a user pass in any second. With redis, name is
// that of the limit, and all instances count together; while Redis is away, each
// lets through its share, and at least one a second.
func limit(next http.Handler, redis *shared, name string, perUser, perAddress int) http.Handler {
	users := limitBy(next, redis, name+":user:", perUser, userOf)
	addresses := limitBy(next, redis, name+":address:", perAddress, func(r *http.Request) (string, error) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		return httprate.CanonicalizeIP(host), err
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, err := userOf(r); err != nil || id == "" { // not logged in, or the login could not be checked
			addresses.ServeHTTP(w, r)
			return
		}
		users.ServeHTTP(w, r)
	})
}

func limitBy(next http.Handler, redis *shared, prefix string, perSecond int, key httprate.KeyFunc) http.Handler {
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusTooManyRequests, "too many requests, try again later")
	}
	own := perSecond
	if redis != nil {
		own = max(1, perSecond/redis.instances)
	}
	alone := httprate.LimitBy(own, time.Second, key, httprate.WithLimitHandler(refuse))(next)
	if redis == nil {
		return alone
	}
	together := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := key(r) // that it fails is answered before
		switch allowed, ok := redis.allow(r.Context(), prefix+id, perSecond); {
		case !ok:
			alone.ServeHTTP(w, r)
		case allowed:
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			refuse(w, r)
		}
	})
	// Whoever sends one instance more than the whole limit does not keep redis busy.
	return httprate.LimitBy(perSecond, time.Second, key, httprate.WithLimitHandler(refuse),
		httprate.WithResponseHeaders(httprate.ResponseHeaders{RetryAfter: "Retry-After"}))(together)
}

// behind makes the address of a request that one of the proxies passed on that of
// the client. X-Forwarded-For counts from the right, up to the first address that
// is not a proxy's, since a client can put anything to the left of it. The client's
// port is not known.
func behind(proxies []net.IPNet, next http.Handler) (http.Handler, error) {
	if len(proxies) == 0 {
		return next, nil
	}
	strategy, err := realclientip.NewRightmostTrustedRangeStrategy("X-Forwarded-For", proxies)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		ip := net.ParseIP(host)
		if slices.ContainsFunc(proxies, func(n net.IPNet) bool { return n.Contains(ip) }) {
			if client, err := netip.ParseAddr(strategy.ClientIP(r.Header, r.RemoteAddr)); err == nil {
				r.RemoteAddr = netip.AddrPortFrom(client.WithZone(""), 0).String()
			}
		}
		next.ServeHTTP(w, r)
	}), nil
}
