// Package httpapi serves a misc.Service over HTTP, as SealTalk's clients expect
// it:
//
//	GET, HEAD  /misc/latest_update?version=1.0.0  a newer desktop release, or 204 if there is none
//	GET, HEAD  /misc/client_version               the mobile versions
//	GET, HEAD  /misc/mobile_version               the same, as {"code":200,"result":{…}}
//	GET, HEAD  /misc/demo_square                  the square, as {"code":200,"result":[…]}, or 404 if there is none
//	POST       /misc/send_message                 send a message
//	POST       /misc/set_screen_capture           switch the notices of a conversation on or off
//	POST       /misc/get_screen_capture           read that setting
//	POST       /misc/send_sc_msg                  tell a conversation about a screenshot
//
// The POSTs need a logged-in user, whom Config.CurrentUser names. The GETs are
// open to everyone. The document that [OpenAPI] returns describes the fields
// and answers of each endpoint.
//
// Every body is application/json in UTF-8. An error has a status of
// 400 or above, and a body such as {"code":403,"message":"targetId is not a
// friend of yours"}, whose code is the status. The message says what is wrong
// and shows no internal error. Some of SealTalk's clients log their user out if
// the code is 1000 or 10000, so no error has one of these, unless
// Config.NotLoggedInCode says so. No answer sets a cookie.
//
// ServeHTTP sets the Pattern field of the request to the path of the endpoint,
// such as /misc/latest_update, for use in metrics and traces. It does not
// change the field if the path is unknown.
//
// Login, rate limits, CORS and compression are left to your server.
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

// DefaultMaxBodyBytes is the limit on the body of a POST if Config.MaxBodyBytes
// is 0.
const DefaultMaxBodyBytes = 256 << 10

// Config configures a Handler. Service and CurrentUser are required.
type Config struct {
	Service *misc.Service

	// CurrentUser returns the public id of the user who sends a POST. If the
	// request has no valid login, it returns an error that wraps
	// ErrNotLoggedIn, or an empty id, and the answer is 403. Any other error
	// means that the login could not be checked, and the answer is 500. If a
	// middleware authenticates your users, use [UserFromContext].
	//
	// With package sqlstore, the id is one that n3d.Codec.Encode returns:
	// kFpN4KiZn, not 1.
	CurrentUser func(*http.Request) (string, error)

	// NotLoggedInCode is the code in the body of the 403 for a request without
	// a login. 0 means 403. It must not be negative or 200. SealTalk's clients
	// of 2025 show their login page only if it is 1000. Older clients log their
	// user out if it is 1000 or 10000.
	NotLoggedInCode int

	// Prefix is the path of the endpoints, with a slash at both ends:
	// /api/misc/, not /api/misc. Empty means /misc/.
	Prefix string

	// MaxBodyBytes is the size of the largest body of a POST, in bytes. A
	// larger one is answered 413. 0 means DefaultMaxBodyBytes. It must not be
	// negative.
	MaxBodyBytes int64

	// NumericSendCode makes send_message answer {"code":200}, as SealTalk's own
	// servers do, instead of {"code":"200"}, as SealTalk's API document says.
	// SealTalk's clients accept both.
	NumericSendCode bool

	// Logger logs each answer with a status of 500 or above once, with the
	// error that caused it: at level Info if the client has left, otherwise at
	// level Error. Nil means slog.Default().
	Logger *slog.Logger
}

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI returns an OpenAPI 3.0 document, in YAML, that describes the
// endpoints under the default prefix. The caller may modify the returned slice.
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

// New returns a Handler, or an error that names every problem with cfg.
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

// ServeHTTP implements http.Handler. If a part of your server panics, such as
// Config.CurrentUser, the request is answered 500, and the panic is logged with
// its stack. A panic with http.ErrAbortHandler is passed on.
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

// internalError is answered 500, whatever it wraps.
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
