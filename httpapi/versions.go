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
// error, and installs again and again from a stale answer.
func (h *Handler) latestUpdate(w http.ResponseWriter, r *http.Request) error {
	query, versions := updateQuery(r)
	if versions != 1 {
		return misc.ErrInvalidVersion
	}
	release, err := h.cfg.Service.LatestUpdate(r.Context(), query)
	switch {
	case errors.Is(err, misc.ErrNoRelease):
		w.Header().Set("Cache-Control", noStore)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case err != nil && misc.ValidVersion(query.Version): // a version that the source itself has wrong is its fault
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

// updateQuery returns what a desktop client says about itself, and how many
// versions it sent. The first of several parameters with one name counts. A
// malformed parameter counts as not sent, since it must not make the request
// fail; a malformed version still counts as one.
func updateQuery(r *http.Request) (q misc.UpdateQuery, versions int) {
	fields := [...]struct {
		name  string
		value *string
		found bool
	}{
		{"version", &q.Version, false},
		{"platform", &q.Platform, false},
		{"arch", &q.Arch, false},
		{"os_version", &q.OSVersion, false},
		{"channel", &q.Channel, false},
		{"id", &q.ClientID, false},
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name) // empty if it is malformed
		value, err := url.QueryUnescape(value)
		if name == "version" {
			versions++
		}
		for i := range fields {
			if f := &fields[i]; err == nil && f.name == name && !f.found {
				*f.value, f.found = value, true
			}
		}
	}
	q.UserAgent = r.UserAgent()
	return q, versions
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
