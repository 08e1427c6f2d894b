package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
)

// broken is every part of a Service. The method that is named by fails returns
// err; the others work.
type broken struct {
	*misc.MemoryStore
	misc.Relations
	misc.VersionSource
	misc.SquareSource
	misc.Messenger
	fails string
	err   error
}

func (b broken) fail(method string) error {
	if method == b.fails {
		return b.err
	}
	return nil
}

func (b broken) AreFriends(context.Context, string, string) (bool, error) {
	return true, b.fail("AreFriends")
}

func (b broken) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	return misc.NoticeOff, b.fail("ScreenCapture")
}

func (b broken) SetScreenCapture(ctx context.Context, c misc.Conversation, s misc.NoticeStatus) error {
	return b.fail("SetScreenCapture")
}

func (b broken) Access(context.Context, string, misc.Conversation) (bool, misc.NoticeStatus, error) {
	return true, misc.NoticeOff, b.fail("Access")
}

func (b broken) LatestRelease(context.Context, misc.UpdateQuery) (*misc.Release, error) {
	return nil, b.fail("LatestRelease")
}

func (b broken) ClientVersions(context.Context) (*misc.ClientVersions, error) {
	return nil, b.fail("ClientVersions")
}

func (b broken) Square(context.Context) (*misc.Square, error) { return nil, b.fail("Square") }

func (b broken) Send(context.Context, misc.Message) error { return b.fail("Send") }

func (b broken) CurrentUser(*http.Request) (string, error) { return alice, b.fail("CurrentUser") }

// limited is a rate limit that knows when it ends.
type limited time.Duration

func (limited) Error() string               { return "busy" }
func (limited) Unwrap() error               { return misc.ErrRateLimited }
func (l limited) RetryAfter() time.Duration { return time.Duration(l) }

// records keeps what is logged.
type records struct {
	slog.Handler
	attrs []map[string]any
}

func (l *records) Enabled(context.Context, slog.Level) bool { return true }

func (l *records) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]any{"level": r.Level}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Any()
		return true
	})
	l.attrs = append(l.attrs, attrs)
	return nil
}

// Whatever the error of a part wraps, it is the part's fault. The exceptions are in
// this test.
func TestWhoseFaultAnErrorIs(t *testing.T) {
	faults := []error{
		errors.New("broken"), context.DeadlineExceeded, context.Canceled, httpapi.ErrNotLoggedIn, limited(1500 * time.Millisecond), limited(0),
		&misc.IDError{ID: bob}, &misc.IDError{ID: alice}, &misc.IDError{ID: mallory},
		misc.ErrNoRelease, misc.ErrNoSquare, misc.ErrInvalidID, misc.ErrInvalidVersion, misc.ErrInvalidContent, misc.ErrContentTooLong,
		misc.ErrInvalidNoticeStatus, misc.ErrUnsupportedType, misc.ErrRateLimited, misc.ErrRefused, misc.ErrUnreachable, misc.ErrTimeout,
		fmt.Errorf("%w, %w", misc.ErrTimeout, misc.ErrRateLimited), fmt.Errorf("%w, %w", misc.ErrUnreachable, context.DeadlineExceeded),
	}
	for _, code := range []misc.Code{misc.CodeInvalid, misc.CodeUnsupportedType, misc.CodeNotFriend, misc.CodeNotMember, misc.CodeNoRelease,
		misc.CodeNoSquare, misc.CodeRateLimited, misc.CodeRefused, misc.CodeUnreachable, misc.CodeTimeout, misc.CodeInternal} {
		faults = append(faults, &misc.Error{Code: code, Field: "targetId"}) // of another Service
	}
	posts := []string{"POST send_message", "POST set_screen_capture", "POST get_screen_capture", "POST send_sc_msg"}
	for method, requests := range map[string][]string{
		"AreFriends": posts, "Access": posts, "CurrentUser": posts,
		"ScreenCapture":    {"POST get_screen_capture"},
		"SetScreenCapture": {"POST set_screen_capture"},
		"Send":             {"POST send_message", "POST set_screen_capture", "POST send_sc_msg"},
		"LatestRelease":    {"GET latest_update?version=1.0.0"},
		"ClientVersions":   {"GET client_version", "GET mobile_version"},
		"Square":           {"GET demo_square"},
	} {
		for _, fault := range faults {
			status, code, message, retryAfter := 500, misc.CodeInternal, "internal error", ""
			is := func(target error) bool { return errors.Is(fault, target) }
			switch method {
			case "CurrentUser":
				if is(httpapi.ErrNotLoggedIn) {
					status, message = 403, "not logged in"
				}
			case "AreFriends", "Access", "ScreenCapture", "SetScreenCapture":
				if id, ok := fault.(*misc.IDError); ok && id.ID == bob {
					status, message = 400, "targetId is not a valid id"
				}
			case "LatestRelease":
				if is(misc.ErrNoRelease) {
					status, message = 204, ""
				}
			case "Square":
				if is(misc.ErrNoSquare) {
					status, message = 404, "no such path"
				}
			case "Send":
				switch {
				case is(misc.ErrRateLimited):
					status, message = 429, "too many messages, try again later"
					if fault == error(limited(1500*time.Millisecond)) {
						retryAfter = "2"
					}
				case is(misc.ErrTimeout), is(context.DeadlineExceeded):
					status, code, message = 504, misc.CodeTimeout, "the chat cloud did not answer in time"
				case is(misc.ErrUnreachable):
					status, code, message = 502, misc.CodeUnreachable, "the chat cloud did not take the message"
				default:
					status, code, message = 502, misc.CodeRefused, "the chat cloud did not take the message"
				}
			}
			body := failure(status, message)
			if status == 204 {
				body = ""
			}
			for _, request := range requests {
				name := fmt.Sprintf("%s of %s returns %v", request, method, fault)
				h, log := newHost(t), &records{}
				parts := broken{fails: method, err: fmt.Errorf("secret: %w", fault)}
				h.misc = misc.Config{Versions: parts, Square: parts, Messenger: parts, Relations: parts, Captures: parts}
				if method == "Access" {
					h.misc.Relations, h.misc.Captures, h.misc.Store = nil, nil, parts
				}
				h.http.CurrentUser, h.http.Logger = parts.CurrentUser, slog.New(log)
				verb, path, _ := strings.Cut(request, " ")
				w := h.do(t, verb, "/misc/"+path, good[path])
				assert.Equal(t, status, w.Code, name)
				assert.Equal(t, body, w.Body.String(), name)
				assert.Equal(t, retryAfter, w.Header().Get("Retry-After"), name)
				assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
				if status < 500 {
					assert.Empty(t, log.attrs, name)
					continue
				}
				require.Len(t, log.attrs, 1, name)
				line := log.attrs[0]
				assert.ErrorIs(t, line["error"].(error), fault, name)
				delete(line, "error")
				path, _, _ = strings.Cut(path, "?")
				assert.Equal(t, map[string]any{"level": slog.LevelError, "method": verb, "path": "/misc/" + path, "status": int64(status), "code": string(code)}, line, name)
			}
		}
	}
}
