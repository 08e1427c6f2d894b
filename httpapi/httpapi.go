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
// Login, rate limits, CORS and compression are left to your server, and so are the
// limits of its connections: set the timeouts and MaxHeaderBytes of http.Server,
// and give the context of each request a deadline.
package httpapi

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"path"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealtalk-go/misc"
)

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
	// a login. 0 means 403. It must not be negative or 200. Set 10000: every
	// client of SealTalk that shows its login page for some code does so for
	// this one.
	NotLoggedInCode int

	// Prefix is the path of the endpoints, with a slash at both ends:
	// /api/misc/, not /api/misc. Empty means /misc/.
	Prefix string

	// MaxBodyBytes is the size of the largest body of a POST, in bytes. A
	// larger one is answered 413. 0 means 256 KiB. It must not be negative.
	MaxBodyBytes int64

	// NumericSendCode makes send_message answer {"code":200}, as SealTalk's own
	// servers do, instead of {"code":"200"}, as SealTalk's API document says.
	// SealTalk's clients accept both.
	NumericSendCode bool

	// Logger logs each answer with a status of 500 or above once, with its
	// misc.Code and the error that caused it: at level Info if the client has
	// left, otherwise at level Error. Nil means slog.Default().
	Logger *slog.Logger
}

//go:embed openapi.yaml
var openAPI []byte

// prefixPattern matches paths without characters that have a meaning in the
// patterns of [http.ServeMux].
var prefixPattern = regexp.MustCompile(`^/([^\x00-\x20{}?#%\\]+/)*$`)

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
	types   string // the conversation types that it takes
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
	if !prefixPattern.MatchString(cfg.Prefix) || cfg.Prefix != "/" && path.Clean(cfg.Prefix)+"/" != cfg.Prefix {
		faults = append(faults, fmt.Errorf("httpapi: Config.Prefix is %.100q and must be a path with a slash at both ends, such as /misc/", cfg.Prefix))
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = 256 << 10
	}
	if cfg.MaxBodyBytes < 0 {
		faults = append(faults, fmt.Errorf("httpapi: Config.MaxBodyBytes is %d and must not be negative", cfg.MaxBodyBytes))
	}
	if cfg.NotLoggedInCode < 0 || cfg.NotLoggedInCode == http.StatusOK {
		faults = append(faults, fmt.Errorf("httpapi: Config.NotLoggedInCode is %d and must be a code of failure, such as 10000", cfg.NotLoggedInCode))
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
		"latest_update":      {gets, h.latestUpdate, ""},
		"client_version":     {gets, cached(cfg.Service.ClientVersions, bare), ""},
		"mobile_version":     {gets, cached(cfg.Service.ClientVersions, enveloped), ""},
		"demo_square":        {gets, cached(cfg.Service.Square, enveloped), ""},
		"send_message":       {posts, h.loggedIn(h.sendMessage), namedTypes},
		"set_screen_capture": {posts, h.loggedIn(h.setScreenCapture), numericTypes},
		"get_screen_capture": {posts, h.loggedIn(h.getScreenCapture), numericTypes},
		"send_sc_msg":        {posts, h.loggedIn(h.sendScreenCaptureNotice), numericTypes},
	}
	return h, nil
}

// ServeHTTP implements http.Handler. If a part of your server panics, such as
// Config.CurrentUser, the request is answered 500, and the panic is logged with
// its stack. A panic with http.ErrAbortHandler is passed on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e endpoint
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			h.fail(w, r, e, fmt.Errorf("httpapi: panic: %v\n%s", p, debug.Stack()))
		}
	}()
	e, err := h.route(w, r)
	if err == nil {
		err = e.serve(w, r)
	}
	if err != nil {
		h.fail(w, r, e, err)
	}
}

func (h *Handler) route(w http.ResponseWriter, r *http.Request) (endpoint, error) {
	name, ok := strings.CutPrefix(r.URL.Path, h.cfg.Prefix)
	e, known := h.endpoints[name]
	if !ok || !known {
		return e, refuse(http.StatusNotFound, "no such path")
	}
	r.Pattern = r.URL.Path
	if !slices.Contains(e.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
		return e, refuse(http.StatusMethodNotAllowed, "method must be "+strings.Join(e.methods, " or "))
	}
	return e, nil
}

// refusal is an error that a client gets for what this package finds wrong with
// its request.
type refusal struct {
	status, code int
	message      string
}

func (r refusal) Error() string { return r.message }

func refuse(status int, message string) refusal { return refusal{status, status, message} }

// invalid is the refusal for an error of misc.ParseUpdateQuery or
// misc.OutgoingContent.
func invalid(err error) refusal {
	return refuse(http.StatusBadRequest, strings.TrimPrefix(err.Error(), "misc: "))
}

// answers has, for each code of a misc.Error, the status and what a client is
// told.
var answers = map[misc.Code]struct {
	status  int
	message string // empty: see answerTo
}{
	misc.CodeInvalid:         {http.StatusBadRequest, ""},
	misc.CodeUnsupportedType: {http.StatusForbidden, ""},
	misc.CodeNotFriend:       {http.StatusForbidden, "targetId is not a friend of yours"},
	misc.CodeNotMember:       {http.StatusForbidden, "you are not a member of the group targetId"},
	misc.CodeNoRelease:       {http.StatusNoContent, ""},
	misc.CodeNoSquare:        {http.StatusNotFound, "no such path"},
	misc.CodeRateLimited:     {http.StatusTooManyRequests, "too many messages, try again later"},
	misc.CodeRefused:         {http.StatusBadGateway, "the chat cloud did not take the message"},
	misc.CodeUnreachable:     {http.StatusBadGateway, "the chat cloud did not take the message"},
	misc.CodeTimeout:         {http.StatusGatewayTimeout, "the chat cloud did not answer in time"},
	misc.CodeInternal:        {http.StatusInternalServerError, "internal error"},
}

// answerTo returns the answer to an error of the endpoint, and its code. Only
// the outermost error counts: one that is neither a refusal nor the Service's is
// the server's fault, whatever it wraps. The words of a part are never in it.
func (e endpoint) answerTo(err error) (refusal, misc.Code) {
	if r, ok := err.(refusal); ok {
		return r, ""
	}
	failure, ok := err.(*misc.Error)
	if !ok {
		failure = &misc.Error{Code: misc.CodeInternal}
	}
	a := answers[failure.Code]
	switch {
	case failure.Code == misc.CodeUnsupportedType:
		a.message = "conversationType is not supported: use " + e.types
	case failure.Code == misc.CodeInvalid && errors.As(failure, new(*misc.IDError)):
		a.message = failure.Field + " is not a valid id"
	case failure.Code == misc.CodeInvalid: // the Service's own words
		return invalid(failure.Err), failure.Code
	}
	return refuse(a.status, a.message), failure.Code
}

// fail answers err, and logs it if it is not the client's fault.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, e endpoint, err error) {
	answer, code := e.answerTo(err)
	switch {
	case answer.status == http.StatusNoContent:
		w.Header().Set("Cache-Control", noStore)
		w.WriteHeader(answer.status)
		return
	case answer.status >= 500:
		level := slog.LevelError
		if errors.Is(r.Context().Err(), context.Canceled) {
			level = slog.LevelInfo // the client has left, and nobody reads the answer
		}
		h.cfg.Logger.LogAttrs(r.Context(), level, "misc: request failed",
			slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("status", answer.status), slog.String("code", string(code)), slog.Any("error", err))
	case code == misc.CodeRateLimited:
		var limited interface{ RetryAfter() time.Duration }
		if errors.As(err, &limited) && limited.RetryAfter() > 0 {
			seconds := math.Ceil(limited.RetryAfter().Seconds())
			w.Header().Set("Retry-After", strconv.FormatFloat(seconds, 'f', 0, 64))
		}
	}
	write(w, answer.status, noStore, encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{answer.code, answer.message}))
}
