package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/sealtalk-go/misc"
)

// latestUpdate answers without an ETag: the updater of macOS shows a 304 as an
// error, and installs again and again from a stale answer.
func (h *Handler) latestUpdate(w http.ResponseWriter, r *http.Request) error {
	query, err := misc.ParseUpdateQuery(r.URL.RawQuery)
	if err != nil {
		return invalid(err)
	}
	query.UserAgent = r.UserAgent()
	release, err := h.cfg.Service.LatestUpdate(r.Context(), query)
	if err != nil {
		return err
	}
	body, err := release.MarshalJSON()
	if err != nil {
		return err
	}
	write(w, http.StatusOK, noStore, body)
	return nil
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
		if err != nil {
			return err
		}
		result, err := value.MarshalJSON()
		if err != nil {
			return err
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
