package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/sealtalk-go/misc"
)

// latestUpdate answers without an ETag: the updater of macOS shows a 304 as an
// error, and reinstalls for ever from a stale answer.
func (h *Handler) latestUpdate(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if len(query["version"]) != 1 || err != nil && countVersions(r.URL.RawQuery) != 1 {
		return misc.ErrInvalidVersion
	}
	version := query.Get("version")
	release, err := h.cfg.Service.LatestUpdate(r.Context(), misc.UpdateQuery{
		Version:   version,
		Platform:  query.Get("platform"),
		Arch:      query.Get("arch"),
		OSVersion: query.Get("os_version"),
		Channel:   query.Get("channel"),
		ClientID:  query.Get("id"),
		UserAgent: r.UserAgent(),
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

// countVersions counts the version parameters of a query that is malformed
// somewhere, those with a malformed value included. Other parameters are never
// a reason to refuse a client.
func countVersions(query string) (n int) {
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); err == nil && key == "version" {
			n++
		}
	}
	return n
}

// bare and enveloped are the two forms of an answer.
const (
	bare      = "%s"
	enveloped = `{"code":200,"result":%s}`
)

// cached serves what a source returns, in the given form and with an ETag, and
// keeps the last answer.
func cached[T json.Marshaler](source func(context.Context) (T, error), form string) func(http.ResponseWriter, *http.Request) error {
	type answer struct {
		result, body []byte
		etag         string
	}
	var last atomic.Pointer[answer]
	return func(w http.ResponseWriter, r *http.Request) error {
		value, err := source(r.Context())
		if errors.Is(err, misc.ErrNoSquare) {
			return err
		}
		if err != nil {
			return internalError{err}
		}
		result, err := value.MarshalJSON()
		if err != nil {
			return internalError{err}
		}
		a := last.Load()
		if a == nil || !bytes.Equal(a.result, result) {
			body := fmt.Appendf(nil, form, result)
			sum := sha256.Sum256(body)
			a = &answer{result, body, fmt.Sprintf(`"%x"`, sum[:16])}
			last.Store(a)
		}
		w.Header().Set("ETag", a.etag)
		if matches(r.Header.Values("If-None-Match"), a.etag) {
			w.Header().Set("Cache-Control", maxAge)
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		write(w, http.StatusOK, maxAge, a.body)
		return nil
	}
}

// matches compares as RFC 9110 asks for If-None-Match: weakly, with a list of
// tags or a star.
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
