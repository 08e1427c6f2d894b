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
	maxAnswer     = 64 << 10       // bytes; a longer answer counts as garbage
	maxMessage    = 256            // bytes kept of a message
	maxRetryAfter = 24 * time.Hour // anything longer is no advice
)

// An Error is an answer that is no success. It wraps, and so matches with
// errors.Is: misc.ErrRateLimited for code 1008 and HTTP 429; misc.ErrTimeout
// for code 1050 and HTTP 504, where the cloud itself ran out of time;
// misc.ErrRefused for all else, also a redirect, garbage and an answer of over
// 64 KiB.
type Error struct {
	HTTPStatus int
	Code       int    // RongCloud's; 0 if the answer held none
	Message    string // RongCloud's, cut after 256 bytes; may be empty
	RequestID  string // what the request had as X-Request-ID

	retryAfter time.Duration
}

// Error names all there is to know for asking RongCloud about the request.
func (e *Error) Error() string {
	return fmt.Sprintf("rongcloud: %v: HTTP %d, code %d, message %q (request %s)",
		e.Unwrap(), e.HTTPStatus, e.Code, e.Message, e.RequestID)
}

// Unwrap returns the sentinel of package misc.
func (e *Error) Unwrap() error {
	switch {
	case e.Code == 1008, e.HTTPStatus == http.StatusTooManyRequests:
		return misc.ErrRateLimited
	case e.Code == 1050, e.HTTPStatus == http.StatusGatewayTimeout:
		return misc.ErrTimeout
	}
	return misc.ErrRefused
}

// RetryAfter returns how long the answer asks to wait before the next message,
// at most 24 hours; 0 if it does not say, or nothing sensible.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// readAnswer returns nil if the answer is a success, and an *Error if not. A
// code may be a number or, as some hosts have it, a string.
func readAnswer(resp *http.Response, body []byte, requestID, signature string, now time.Time) error {
	var answer struct {
		Code         json.Number `json:"code"`
		ErrorMessage string      `json:"errorMessage"`
	}
	if len(body) <= maxAnswer {
		_ = json.Unmarshal(body, &answer) // what cannot be read stays empty
	}
	code, _ := strconv.Atoi(answer.Code.String())
	if resp.StatusCode == http.StatusOK && code == 200 {
		return nil
	}
	return &Error{
		HTTPStatus: resp.StatusCode,
		Code:       code,
		Message:    cut(strings.ReplaceAll(answer.ErrorMessage, signature, "[signature]")),
		RequestID:  requestID,
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), now),
	}
}

// cut returns at most maxMessage bytes of s, in whole characters.
func cut(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "")
}

func parseRetryAfter(value string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if t, err := http.ParseTime(value); err == nil {
		wait = t.Sub(now)
	}
	if wait < 0 || wait > maxRetryAfter {
		return 0
	}
	return wait
}
