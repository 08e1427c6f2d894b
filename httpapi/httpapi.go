// Package httpapi serves a [misc.Service] over HTTP, as SealTalk's clients
// expect it:
//
//	GET, HEAD  /misc/latest_update?version=1.0.0   anyone
//	GET, HEAD  /misc/client_version                anyone
//	GET, HEAD  /misc/mobile_version                anyone
//	GET, HEAD  /misc/demo_square                   anyone, if misc.Config.Square is set
//	POST       /misc/send_message                  a logged-in user
//	POST       /misc/set_screen_capture            a logged-in user
//	POST       /misc/get_screen_capture            a logged-in user
//	POST       /misc/send_sc_msg                   a logged-in user
//
// Every body is application/json in UTF-8. An error carries its HTTP status
// and {"code":<the same status>,"message":"…"}. The message names what is wrong
// and shows nothing internal. No answer sets a cookie. No error carries code
// 1000 or 10000, which log SealTalk's clients out, unless
// Config.NotLoggedInCode says so.
//
// A request that reaches an endpoint has its path, such as
// /misc/latest_update, in [http.Request.Pattern] afterwards, for metrics and
// traces.
//
// Authentication, rate limits, CORS and compression are the host's.
package httpapi

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/sealtalk-go/misc"
)

// DefaultMaxBodyBytes is the limit on a request body where Config sets none.
const DefaultMaxBodyBytes = 256 << 10

// Config says how a [Handler] fits into its host. Service and CurrentUser are
// required.
type Config struct {
	Service *misc.Service

	// CurrentUser returns the public id of the user who sends a POST. An error
	// that wraps ErrNotLoggedIn, or an empty id, answers 403. Any other error is
	// the host's and answers 500. [UserFromContext] is ready for hosts whose
	// middleware logs users in.
	CurrentUser func(*http.Request) (string, error)

	// NotLoggedInCode is the code in the body of the 403 that answers a request
	// without login. 0 means 403. SealTalk's clients of 2025 go to their login
	// page on 1000 and on nothing else; older ones log their user out on it.
	NotLoggedInCode int

	// Prefix is the path that the endpoints are under, with a slash at both
	// ends, such as /api/misc/. Empty means /misc/.
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
// an OpenAPI 3.0 document in YAML. The copy is the caller's.
func OpenAPI() []byte { return bytes.Clone(openAPI) }

// A Handler serves the endpoints. Make one with [New].
type Handler struct {
	cfg       Config
	endpoints map[string]endpoint
}

type endpoint struct {
	methods []string
	serve   func(http.ResponseWriter, *http.Request) error
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
	if cfg.NotLoggedInCode < 0 || cfg.NotLoggedInCode == http.StatusOK {
		faults = append(faults, fmt.Errorf("httpapi: Config.NotLoggedInCode is %d and must be a code of failure, such as 1000", cfg.NotLoggedInCode))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.NotLoggedInCode == 0 {
		cfg.NotLoggedInCode = http.StatusForbidden
	}
	gets, posts := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	h := &Handler{cfg: cfg}
	h.endpoints = map[string]endpoint{
		"latest_update":      {gets, h.latestUpdate},
		"client_version":     {gets, cached(cfg.Service.ClientVersions, bare)},
		"mobile_version":     {gets, cached(cfg.Service.ClientVersions, enveloped)},
		"send_message":       {posts, h.loggedIn(h.sendMessage)},
		"set_screen_capture": {posts, h.loggedIn(h.setScreenCapture)},
		"get_screen_capture": {posts, h.loggedIn(h.getScreenCapture)},
		"send_sc_msg":        {posts, h.loggedIn(h.sendScreenCaptureNotice)},
	}
	if cfg.Service.HasSquare() {
		h.endpoints["demo_square"] = endpoint{gets, cached(cfg.Service.Square, enveloped)}
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
	if !ok || !known {
		return refuse(http.StatusNotFound, "no such path")
	}
	r.Pattern = r.URL.Path
	if !slices.Contains(e.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
		return refuse(http.StatusMethodNotAllowed, "method must be "+strings.Join(e.methods, " or "))
	}
	return e.serve(w, r)
}

// refusal is an error for the client alone.
type refusal struct {
	status, code int
	message      string
}

func (r refusal) Error() string { return r.message }

func refuse(status int, message string) refusal { return refusal{status, status, message} }

// internalError is the host's fault, whatever it wraps: always 500.
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
	{misc.ErrNotFriend, http.StatusForbidden, "targetId is not a friend of yours"},
	{misc.ErrNotMember, http.StatusForbidden, "you are not a member of the group targetId"},
	{misc.ErrNoSquare, http.StatusNotFound, "no such path"},
}

// fail answers err, and logs it if it is not the client's fault.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	answer := refuse(http.StatusInternalServerError, "internal error")
	switch e := err.(type) {
	case refusal:
		answer = e
	case internalError:
		err = e.error
	default:
		for _, s := range statuses {
			if errors.Is(err, s.err) {
				answer = refuse(s.status, cmp.Or(s.message, strings.TrimPrefix(s.err.Error(), "misc: ")))
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
	var limited misc.RetryAfterError
	if answer.status == http.StatusTooManyRequests && errors.As(err, &limited) && limited.RetryAfter() > 0 {
		seconds := math.Ceil(limited.RetryAfter().Seconds())
		w.Header().Set("Retry-After", strconv.FormatFloat(seconds, 'f', 0, 64))
	}
	write(w, answer.status, noStore, encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{answer.code, answer.message}))
}
