package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sealtalk-go/misc"
)

const (
	contentType = "application/json; charset=utf-8"
	noStore     = "no-store"
	maxAge      = "max-age=60"
)

func write(w http.ResponseWriter, status int, cacheControl string, body []byte) {
	header, values := w.Header(), []string{contentType, cacheControl} // one allocation for both
	header["Content-Type"], header["Cache-Control"] = values[:1:1], values[1:]
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails when the client has left, and then there is no one to tell
}

func errorBody(r refusal) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{r.status, r.message}); err != nil {
		panic(err) // a number and a string always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// setRetryAfter tells how long to wait, in whole seconds, rounded up, where an
// error in the chain knows it.
func setRetryAfter(w http.ResponseWriter, status int, err error) {
	var limited interface{ RetryAfter() time.Duration }
	if status == http.StatusTooManyRequests && errors.As(err, &limited) && limited.RetryAfter() > 0 {
		seconds := math.Ceil(limited.RetryAfter().Seconds())
		w.Header().Set("Retry-After", strconv.FormatFloat(seconds, 'f', 0, 64))
	}
}

// latestUpdate answers without an ETag: the updater of macOS shows a 304 as an
// error, and reinstalls for ever from a stale answer.
func (h *Handler) latestUpdate(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refusal{http.StatusBadRequest, "query is malformed"}
	}
	if len(query["version"]) != 1 {
		return misc.ErrInvalidVersion
	}
	version := query["version"][0]
	release, err := h.cfg.Service.LatestUpdate(r.Context(), misc.UpdateQuery{
		Version:  version,
		Platform: query.Get("platform"),
	})
	switch {
	case errors.Is(err, misc.ErrNoRelease):
		w.Header().Set("Cache-Control", noStore)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case err != nil && misc.ValidVersion(version): // a version that the source itself has wrong is its fault
		return internalError{err}
	case err != nil:
		return err
	}
	body, err := release.MarshalJSON()
	if err != nil {
		return internalError{err}
	}
	write(w, http.StatusOK, noStore, body)
	return nil
}

// versionAnswers are the two forms of the mobile versions, made once for each
// value that the source hands over.
type versionAnswers struct {
	of             *misc.ClientVersions
	bare, envelope versionAnswer
}

type versionAnswer struct {
	body []byte
	etag string
}

func newVersionAnswer(body []byte) versionAnswer {
	sum := sha256.Sum256(body)
	return versionAnswer{body, `"` + hex.EncodeToString(sum[:16]) + `"`}
}

func (h *Handler) clientVersion(w http.ResponseWriter, r *http.Request) error {
	answers, err := h.versionAnswers(r.Context())
	if err == nil {
		writeVersion(w, r, answers.bare)
	}
	return err
}

func (h *Handler) mobileVersion(w http.ResponseWriter, r *http.Request) error {
	answers, err := h.versionAnswers(r.Context())
	if err == nil {
		writeVersion(w, r, answers.envelope)
	}
	return err
}

func (h *Handler) versionAnswers(ctx context.Context) (*versionAnswers, error) {
	versions, err := h.cfg.Service.ClientVersions(ctx)
	if err != nil {
		return nil, internalError{err}
	}
	if known := h.versions.Load(); known != nil && known.of == versions {
		return known, nil
	}
	body, err := versions.MarshalJSON()
	if err != nil {
		return nil, internalError{err}
	}
	answers := &versionAnswers{
		of:       versions,
		bare:     newVersionAnswer(body),
		envelope: newVersionAnswer([]byte(`{"code":200,"result":` + string(body) + `}`)),
	}
	h.versions.Store(answers)
	return answers, nil
}

func writeVersion(w http.ResponseWriter, r *http.Request, a versionAnswer) {
	w.Header().Set("ETag", a.etag)
	if matches(r.Header["If-None-Match"], a.etag) {
		w.Header().Set("Cache-Control", maxAge)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	write(w, http.StatusOK, maxAge, a.body)
}

// matches compares as RFC 9110 asks for If-None-Match: weakly, against a list
// or a star.
func matches(ifNoneMatch []string, etag string) bool {
	for _, line := range ifNoneMatch {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == etag || tag == "*" {
				return true
			}
		}
	}
	return false
}
