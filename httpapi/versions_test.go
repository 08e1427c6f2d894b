package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

func TestVersionEndpoints(t *testing.T) {
	const invalid = "version must be one semantic version such as 1.0.2"
	for _, test := range []struct {
		name, method, target string
		status               int
		body                 string
	}{
		{"older", "GET", "/misc/latest_update?version=1.0.0", 200, releaseJSON},
		{"as the desktop client asks", "GET", "/misc/latest_update?version=1.0.0&platform=darwin", 200, releaseJSON},
		{"prerelease of the same", "GET", "/misc/latest_update?version=v1.0.2-rc.1%2B5", 200, releaseJSON},
		{"the same", "GET", "/misc/latest_update?version=1.0.2", 204, ""},
		{"the same but for its build", "GET", "/misc/latest_update?version=1.0.2%2B5", 204, ""},
		{"newer, though lower as a string", "GET", "/misc/latest_update?version=1.0.10", 204, ""},
		{"HEAD, as MSIX clients ask first", "HEAD", "/misc/latest_update?version=1.0.2", 204, ""},
		{"no version", "GET", "/misc/latest_update", 400, failure(400, invalid)},
		{"empty version", "GET", "/misc/latest_update?version=", 400, failure(400, invalid)},
		{"two versions", "GET", "/misc/latest_update?version=1.0.0&version=1.0.0", 400, failure(400, invalid)},
		{"another parameter that is broken", "GET", "/misc/latest_update?version=1.0.0&platform=%zz&arch=x64&%zz", 200, releaseJSON},
		{"mobile, bare", "GET", "/misc/client_version", 200, clientsJSON},
		{"mobile, extra parameters", "GET", "/misc/client_version?a=b", 200, clientsJSON},
		{"square", "GET", "/misc/demo_square", 200, `{"code":200,"result":` + squareJSON + `}`},
		{"mobile, in an envelope", "GET", "/misc/mobile_version", 200, `{"code":200,"result":` + clientsJSON + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newHost(t).do(t, test.method, test.target, "")
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, test.body, w.Body.String())
			if strings.Contains(test.target, "latest_update") {
				assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), "a stale answer makes the desktop client reinstall for ever")
				assert.Empty(t, w.Header().Get("ETag"), "the desktop client shows a 304 as an error")
			} else {
				assert.Equal(t, "max-age=60", w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestHeadHasTheHeadersOfGetAndNoBody(t *testing.T) {
	server := httptest.NewServer(newHost(t).handler(t))
	defer server.Close()
	for _, path := range []string{"/misc/latest_update?version=1.0.0", "/misc/client_version", "/misc/mobile_version", "/misc/demo_square"} {
		get, err := http.Get(server.URL + path)
		require.NoError(t, err)
		require.NoError(t, get.Body.Close())
		head, err := http.Head(server.URL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(head.Body)
		require.NoError(t, err)
		require.NoError(t, head.Body.Close())
		assert.Empty(t, body)
		assert.Equal(t, 200, head.StatusCode)
		for _, h := range []http.Header{get.Header, head.Header} {
			h.Del("Date")
		}
		assert.Equal(t, get.Header, head.Header, path)
		assert.NotEmpty(t, head.Header.Get("Content-Length"), path)
	}
}

func TestMobileVersionsAreRevalidated(t *testing.T) {
	h := newHost(t)
	bare := h.do(t, "GET", "/misc/client_version", "").Header().Get("ETag")
	envelope := h.do(t, "GET", "/misc/mobile_version", "").Header().Get("ETag")
	assert.Regexp(t, `^"[0-9a-f]{32}"$`, bare)
	assert.Regexp(t, `^"[0-9a-f]{32}"$`, envelope)
	assert.NotEqual(t, bare, envelope)
	for _, test := range []struct {
		path   string
		values []string
		status int
	}{
		{"client_version", []string{bare}, 304},
		{"client_version", []string{"W/" + bare}, 304},
		{"client_version", []string{`"other", W/"x" , ` + bare}, 304},
		{"client_version", []string{`"other"`, bare}, 304},
		{"client_version", []string{"*"}, 304},
		{"client_version", []string{`"other"`}, 200},
		{"client_version", []string{envelope}, 200},
		{"client_version", []string{strings.Trim(bare, `"`)}, 200},
		{"client_version", []string{""}, 200},
		{"mobile_version", []string{envelope}, 304},
		{"mobile_version", []string{bare}, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := h.do(t, method, "/misc/"+test.path, "", header("If-None-Match", test.values...))
			assert.Equal(t, test.status, w.Code, "%s %s %q", method, test.path, test.values)
			assert.NotEmpty(t, w.Header().Get("ETag"))
			assert.Equal(t, "max-age=60", w.Header().Get("Cache-Control"))
			if test.status == 304 {
				assert.Empty(t, w.Body.String())
				assert.Empty(t, w.Header().Get("Content-Type"))
			}
		}
	}
	// The desktop endpoint never answers 304, whatever the request is.
	assert.Equal(t, 200, h.do(t, "GET", "/misc/latest_update?version=1.0.0", "", header("If-None-Match", "*")).Code)
}

// versionSource returns what a test puts into it.
type versionSource struct {
	release *misc.Release
	clients *misc.ClientVersions
	square  *misc.Square
	err     error
	asked   misc.UpdateQuery
}

func (s *versionSource) LatestRelease(_ context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	s.asked = q
	return s.release, s.err
}

func (s *versionSource) ClientVersions(context.Context) (*misc.ClientVersions, error) {
	return s.clients, s.err
}

func (s *versionSource) Square(context.Context) (*misc.Square, error) { return s.square, s.err }

func TestTheSourceHearsAllThatADesktopClientSays(t *testing.T) {
	h := newHost(t)
	source := &versionSource{err: misc.ErrNoRelease}
	h.misc.Versions = source
	const query = "version=v1.0.0%2B1&platform=darwin&arch=arm64&os_version=14.4&channel=beta&id=%E5%B0%8F&other=1"
	want, err := misc.ParseUpdateQuery(query)
	require.NoError(t, err)
	want.UserAgent = "Darwin/22.5.0"
	assert.Equal(t, 204, h.do(t, "GET", "/misc/latest_update?"+query, "", header("User-Agent", "Darwin/22.5.0")).Code)
	assert.Equal(t, want, source.asked)
}

func TestWithoutASquareThereIsNoSuchPath(t *testing.T) {
	for _, source := range []misc.SquareSource{nil, &versionSource{err: fmt.Errorf("x: %w", misc.ErrNoSquare)}} {
		h := newHost(t)
		h.misc.Square = source
		w := h.do(t, "GET", "/misc/demo_square", "")
		assert.Equal(t, failure(404, "no such path"), w.Body.String())
		assert.Equal(t, 404, w.Code)
		assert.Empty(t, h.log.Take())
	}
}

func TestANewReleaseIsServedAtOnce(t *testing.T) {
	h := newHost(t)
	source := &versionSource{}
	h.misc.Versions = source
	handler := h.handler(t)
	for _, version := range []string{"1.0.6", "1.0.7", "1.0.6"} {
		var err error
		source.clients, err = catalog.ParseClientVersions([]byte(strings.ReplaceAll(clientsJSON, "1.0.5", version)))
		require.NoError(t, err)
		for range 2 {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("GET", "/misc/client_version", nil))
			assert.Equal(t, strings.ReplaceAll(clientsJSON, "1.0.5", version), w.Body.String())
		}
	}
}

func TestWhatNoConstructorMadeIs500(t *testing.T) {
	for _, source := range []*versionSource{{}, {release: &misc.Release{}, clients: &misc.ClientVersions{}, square: &misc.Square{}}} {
		for _, path := range []string{"/misc/latest_update?version=1.0.0", "/misc/client_version", "/misc/mobile_version", "/misc/demo_square"} {
			h := newHost(t)
			h.misc.Versions, h.misc.Square = source, source
			w := h.do(t, "GET", path, "")
			assert.Equal(t, 500, w.Code, path)
			assert.Equal(t, failure(500, "internal error"), w.Body.String())
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.Empty(t, w.Header().Get("ETag"))
			assert.Len(t, h.log.Take(), 1)
		}
	}
}
