// Package httpapi serves a [misc.Service] over HTTP, as SealTalk's clients
// expect it:
//
//	GET, HEAD  /misc/latest_update?version=1.0.0   anyone
//	GET, HEAD  /misc/client_version                anyone
//	GET, HEAD  /misc/mobile_version                anyone
//	POST       /misc/send_message                  a logged-in user
//	POST       /misc/set_screen_capture            a logged-in user
//	POST       /misc/get_screen_capture            a logged-in user
//	POST       /misc/send_sc_msg                   a logged-in user
//
// Every body is application/json in UTF-8. An error carries its HTTP status
// and {"code":<the same status>,"message":"…"}, where the message names what is
// wrong and shows nothing internal. No answer sets a cookie, and no error
// carries code 1000 or 10000, which log SealTalk's clients out.
//
// The host authenticates; rate limits, CORS and compression are its own
// middleware too.
package httpapi

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/sealtalk-go/misc"
)

// ErrNotLoggedIn is what Config.CurrentUser returns or wraps when a request
// carries no valid login.
var ErrNotLoggedIn = errors.New("httpapi: not logged in")

// DefaultMaxBodyBytes is the limit on a request body where Config sets none.
const DefaultMaxBodyBytes = 256 << 10

// Config says how a [Handler] fits into its host. Service and CurrentUser are
// required.
type Config struct {
	Service *misc.Service

	// CurrentUser returns the public id of the user that a POST comes from. An
	// error that wraps ErrNotLoggedIn, or an empty id, answers 403; any other
	// error is the host's and answers 500.
	CurrentUser func(*http.Request) (string, error)

	// Prefix is the path that the endpoints live under, with a slash at both
	// ends. Empty means /misc/.
	Prefix string

	// MaxBodyBytes limits the body of a POST. 0 means DefaultMaxBodyBytes.
	MaxBodyBytes int64

	// NumericSendCode makes send_message answer {"code":200}, the number that
	// SealTalk's own servers send, in place of the string that its API
	// document shows. SealTalk's clients take both.
	NumericSendCode bool

	// Logger receives each 5xx once, with its cause. Nil means slog.Default().
	Logger *slog.Logger
}

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI returns the contract of the endpoints, under the default prefix, as
// an OpenAPI 3.1 document in YAML. The copy is the caller's.
func OpenAPI() []byte { return bytes.Clone(openAPI) }

// A Handler serves the endpoints. Make one with [New].
type Handler struct {
	cfg       Config
	endpoints map[string]endpoint
	versions  atomic.Pointer[versionAnswers]
}

type endpoint struct {
	post  bool
	serve func(http.ResponseWriter, *http.Request) error
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler, or an error that names every fault of cfg.
func New(cfg Config) (*Handler, error) {
	var faults []error
	if cfg.Service == nil {
		faults = append(faults, errors.New("httpapi: Config.Service is required"))
	}
	if cfg.CurrentUser == nil {
		faults = append(faults, errors.New("httpapi: Config.CurrentUser is required"))
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "/misc/"
	}
	if !strings.HasPrefix(cfg.Prefix, "/") || !strings.HasSuffix(cfg.Prefix, "/") {
		faults = append(faults, fmt.Errorf("httpapi: Config.Prefix is %q and must have a slash at both ends, such as /misc/", cfg.Prefix))
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if cfg.MaxBodyBytes < 0 {
		faults = append(faults, fmt.Errorf("httpapi: Config.MaxBodyBytes is %d and must not be negative", cfg.MaxBodyBytes))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &Handler{cfg: cfg}
	h.endpoints = map[string]endpoint{
		"latest_update":      {false, h.latestUpdate},
		"client_version":     {false, h.clientVersion},
		"mobile_version":     {false, h.mobileVersion},
		"send_message":       {true, h.authenticated(h.sendMessage)},
		"set_screen_capture": {true, h.authenticated(h.setScreenCapture)},
		"get_screen_capture": {true, h.authenticated(h.getScreenCapture)},
		"send_sc_msg":        {true, h.authenticated(h.sendScreenCaptureNotice)},
	}
	return h, nil
}

// ServeHTTP implements [http.Handler]. A panic in a part of the host's answers
// 500 for that request, and is logged with its stack.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			h.fail(w, r, fmt.Errorf("httpapi: panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := h.route(w, r); err != nil {
		h.fail(w, r, err)
	}
}

func (h *Handler) route(w http.ResponseWriter, r *http.Request) error {
	name, ok := strings.CutPrefix(r.URL.Path, h.cfg.Prefix)
	e, known := h.endpoints[name]
	switch {
	case !ok || !known:
		return refusal{http.StatusNotFound, "no such path"}
	case e.post && r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST")
		return refusal{http.StatusMethodNotAllowed, "method must be POST"}
	case !e.post && r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return refusal{http.StatusMethodNotAllowed, "method must be GET or HEAD"}
	}
	return e.serve(w, r)
}

// authenticated asks for the login before anything of the request is read.
func (h *Handler) authenticated(serve func(w http.ResponseWriter, r *http.Request, userID string) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		userID, err := h.cfg.CurrentUser(r)
		if errors.Is(err, ErrNotLoggedIn) || err == nil && userID == "" {
			return refusal{http.StatusForbidden, "not logged in"}
		}
		if err != nil {
			return internalError{fmt.Errorf("httpapi: current user: %w", err)}
		}
		return serve(w, r, userID)
	}
}

// refusal is an error for the client alone: a status below 500, and words.
type refusal struct {
	status  int
	message string
}

func (r refusal) Error() string { return r.message }

// internalError is a fault of the host's, whatever it wraps: always 500.
type internalError struct{ error }

// statuses turns the errors of the domain into answers; the first that
// matches counts. ErrSend comes before what a Messenger may wrap by chance.
var statuses = []struct {
	err     error
	status  int
	message string // empty: the text of err
}{
	{misc.ErrRateLimited, http.StatusTooManyRequests, "too many messages, try again later"},
	{misc.ErrTimeout, http.StatusGatewayTimeout, "the chat cloud did not answer in time"},
	{misc.ErrSend, http.StatusBadGateway, "the chat cloud did not take the message"},
	{misc.ErrInvalidVersion, http.StatusBadRequest, ""},
	{misc.ErrInvalidObjectName, http.StatusBadRequest, ""},
	{misc.ErrInvalidContent, http.StatusBadRequest, ""},
	{misc.ErrContentTooLong, http.StatusBadRequest, ""},
	{misc.ErrInvalidNoticeStatus, http.StatusBadRequest, ""},
	{misc.ErrInvalidID, http.StatusBadRequest, "targetId is not a valid id"},
	{misc.ErrUnsupportedType, http.StatusForbidden, "conversationType is not supported: use private (1, PRIVATE) or group (3, GROUP)"},
	{misc.ErrNotFriend, http.StatusForbidden, "targetId is not a friend of yours"},
	{misc.ErrNotMember, http.StatusForbidden, "you are not a member of the group targetId"},
}

// fail answers err, and logs what is no fault of the client's.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	answer := refusal{http.StatusInternalServerError, "internal error"}
	switch e := err.(type) {
	case refusal:
		answer = e
	case internalError:
		err = e.error
	default:
		for _, s := range statuses {
			if errors.Is(err, s.err) {
				answer = refusal{s.status, s.message}
				if s.message == "" {
					answer.message = strings.TrimPrefix(s.err.Error(), "misc: ")
				}
				break
			}
		}
	}
	if answer.status >= 500 {
		level := slog.LevelError
		if errors.Is(r.Context().Err(), context.Canceled) {
			level = slog.LevelInfo // the client has left, and nobody reads the answer
		}
		h.cfg.Logger.LogAttrs(r.Context(), level, "misc: request failed",
			slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("status", answer.status), slog.Any("error", err))
	}
	setRetryAfter(w, answer.status, err)
	write(w, answer.status, noStore, errorBody(answer))
}
