package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// ErrNotLoggedIn is what Config.CurrentUser returns or wraps if the request has
// no valid login.
var ErrNotLoggedIn = errors.New("httpapi: not logged in")

type userKey struct{}

// WithUser returns a context that carries the public id of the logged-in user
// for [UserFromContext]. Call it in the middleware that authenticates your
// users:
//
//	next.ServeHTTP(w, r.WithContext(httpapi.WithUser(r.Context(), id)))
func WithUser(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, userKey{}, id)
}

// UserFromContext returns the id that was given to [WithUser]. It returns
// ErrNotLoggedIn if there is none or if it is empty. Use it as
// Config.CurrentUser.
func UserFromContext(r *http.Request) (string, error) {
	id, _ := r.Context().Value(userKey{}).(string)
	if id == "" {
		return "", ErrNotLoggedIn
	}
	return id, nil
}

// loggedIn checks the login before anything of the body is read.
func (h *Handler) loggedIn(serve func(w http.ResponseWriter, r *http.Request, userID string) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		userID, err := h.cfg.CurrentUser(r)
		if errors.Is(err, ErrNotLoggedIn) || err == nil && userID == "" {
			return refusal{http.StatusForbidden, h.cfg.NotLoggedInCode, "not logged in"}
		}
		if err != nil {
			return fmt.Errorf("httpapi: current user: %w", err)
		}
		return serve(w, r, userID)
	}
}
