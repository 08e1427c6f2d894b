package rongcloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sealtalk-go/misc"
)

// Limits on what an answer may hold.
const (
	maxAnswer     = 64 << 10       // bytes
	maxMessage    = 256            // bytes kept of what the cloud says
	maxRetryAfter = 24 * time.Hour // a longer wait counts as none
)

// An Error is an answer of RongCloud that is not a success. It wraps
// misc.ErrRateLimited for code 1008 or HTTP status 429, misc.ErrTimeout for
// code 1050 or HTTP status 504, which mean that RongCloud itself timed out, and
// misc.ErrRefused for any other, such as a redirect, the page of a proxy, or an
// answer of more than 64 KiB.
type Error struct {
	HTTPStatus int
	Code       int    // RongCloud's error code; 0 if the answer has none
	Message    string // RongCloud's error message, cut after 256 bytes; may be empty
	RequestID  string // the request's X-Request-ID

	notJSON    bool
	retryAfter time.Duration
}

// Error returns a text with all fields, which RongCloud's support asks for. If
// the answer is not valid JSON of at most 64 KiB, the text says so in place of
// code and message.
func (e *Error) Error() string {
	answer := fmt.Sprintf("code %d, message %q", e.Code, e.Message)
	if e.notJSON {
		answer = "the body is not valid JSON of at most 64 KiB"
	}
	return fmt.Sprintf("rongcloud: %v: HTTP %d, %s (request %s)", e.Unwrap(), e.HTTPStatus, answer, e.RequestID)
}

// Unwrap returns misc.ErrRateLimited, misc.ErrTimeout or misc.ErrRefused.
func (e *Error) Unwrap() error {
	switch {
	case e.Code == 1008, e.HTTPStatus == http.StatusTooManyRequests:
		return misc.ErrRateLimited
	case e.Code == 1050, e.HTTPStatus == http.StatusGatewayTimeout:
		return misc.ErrTimeout
	}
	return misc.ErrRefused
}

// RetryAfter returns how long to wait before the next message, by the header
// Retry-After. It returns 0 if there is none or if it asks for more than 24
// hours.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// readAnswer returns nil if the answer is a success, and an *Error if not. A
// code may be a number or, from some hosts, a string.
func readAnswer(resp *http.Response, body []byte, requestID string, mask func(string) string) error {
	var answer struct {
		Code         json.Number `json:"code"`
		ErrorMessage string      `json:"errorMessage"`
	}
	isJSON := len(body) <= maxAnswer && json.Valid(body)
	if isJSON {
		_ = json.Unmarshal(body, &answer) // a field of another type stays empty
	}
	code, _ := strconv.Atoi(answer.Code.String())
	if resp.StatusCode == http.StatusOK && code == 200 {
		return nil
	}
	return &Error{
		HTTPStatus: resp.StatusCode,
		Code:       code,
		Message:    clip(mask(answer.ErrorMessage)),
		RequestID:  requestID,
		notJSON:    !isJSON,
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After")),
	}
}

// clip returns as much of a text of the cloud's as may be in an error.
func clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxMessage)], "")
}

func parseRetryAfter(value string) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if t, err := http.ParseTime(value); err == nil {
		wait = time.Until(t)
	}
	if wait < 0 || wait > maxRetryAfter {
		return 0
	}
	return wait
}
