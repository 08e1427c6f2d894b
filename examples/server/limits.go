package main

import (
	"net"
	"net/http"
	"time"

	"github.com/go-chi/httprate"
	"github.com/sealtalk-go/misc/httpapi"
)

// limit lets through perUser requests per second from each logged-in user, and
// perAddress from each address that sends requests without a login. It runs after
// the login. It counts the requests of the current and of the last second, so that
// at most twice perUser requests of a user pass in any second.
func limit(next http.Handler, perUser, perAddress int) http.Handler {
	refuse := httprate.WithLimitHandler(func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusTooManyRequests, "too many requests, try again later")
	})
	users := httprate.LimitBy(perUser, time.Second, httpapi.UserFromContext, refuse)(next)
	addresses := httprate.LimitBy(perAddress, time.Second, func(r *http.Request) (string, error) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		return httprate.CanonicalizeIP(host), err
	}, refuse)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := httpapi.UserFromContext(r); err != nil {
			addresses.ServeHTTP(w, r)
			return
		}
		users.ServeHTTP(w, r)
	})
}
