package catalog_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
)

// decisions are queries to testdata/releases.json with the version and the last
// part of the URL that the answer has, and the reason.
var decisions = []struct{ query, userAgent, offered, reason string }{
	{"version=1.9.0&platform=darwin&os_version=14.4&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=1.9.0&platform=darwin&os_version=14.4&id=client-1", "", "", "rollout"},
	{"version=1.9.0&platform=darwin&os_version=14.4", "", "", "no-id"},
	{"version=1.5.0&platform=darwin&os_version=14.4&id=client-1", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=14.4", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=11.7&id=client-0", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=22.6.0&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=10.16&id=client-0", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=10.16&id=client-0", "SealTalk/1 CFNetwork/1 Darwin/22.5.0", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&id=client-0", "", "", "os-unknown"},
	{"version=1.5.0&platform=darwin", "SealTalk/1 CFNetwork/1 Darwin/17.5.0", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin", "SealTalk/1 CFNetwork/1 Darwin/16.7.0", "", "os"},
	{"version=1.9.0&platform=darwin&id=client-0", "", "", "os-unknown"},
	{"version=2.0.0&platform=darwin&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=2.0.0&platform=darwin&os_version=14.4", "", "", "no-id"},
	{"version=1.4.0&platform=darwin&os_version=10.12.6", "", "", "os"},
	{"version=1.0.0&platform=darwin&os_version=14.4&id=client-0", "", "1.4.0 SealTalk.zip, mandatory", "update"},
	{"version=1.0.0&platform=darwin", "", "1.4.0 SealTalk.zip, mandatory", "update"},
	{"version=1.3.9&platform=darwin&os_version=10.9", "", "1.4.0 SealTalk.zip, mandatory", "update"},
	{"version=2.0.1&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=2.0.1%2B7&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=2.2.0&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=2.0.1&platform=darwin&os_version=14.4&channel=beta", "", "2.1.0-beta.2 SealTalk-x64.zip", "update"},
	{"version=2.1.0-beta.1&platform=darwin&os_version=14.4", "", "2.1.0-beta.2 SealTalk-x64.zip", "update"},
	{"version=2.1.0-beta.1&platform=darwin&os_version=14.4&channel=stable", "", "", "current"},
	{"version=2.1.0-rc.1&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=1.9.0&platform=darwin&os_version=14.4&channel=nightly&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=2.0.1&platform=darwin&os_version=12.7&channel=beta", "", "", "os"},
	{"version=2.0.1&platform=darwin&arch=arm64&os_version=14.4&channel=beta", "", "2.1.0-beta.2 SealTalk-arm64.zip", "update"},
	{"version=2.0.1&platform=darwin&arch=mips&os_version=14.4&channel=beta", "", "", "arch"},
	{"version=1.9.0&platform=win32&arch=x64&os_version=10.0.19045&id=client-0", "", "2.0.1 SealTalk.msix", "update"},
	{"version=1.9.0&platform=win32&arch=x64&os_version=10.0.14393&id=client-0", "", "", "os"},
	{"version=1.9.0&platform=win32&arch=arm64&os_version=10.0.22631&id=client-0", "", "", "arch"},
	{"version=1.9.0&platform=linux&id=client-0", "", "", "platform"},
	{"version=1.9.0&os_version=14.4&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"}}

func TestEachClientGetsItsRelease(t *testing.T) {
	releases, err := os.ReadFile("testdata/releases.json")
	require.NoError(t, err)
	h := newReleasesHost(t, string(releases))
	for _, tt := range decisions {
		t.Run(tt.query+" "+tt.userAgent, func(t *testing.T) {
			offered, reason := h.ask(tt.query, tt.userAgent)
			assert.Equal(t, tt.offered, offered)
			assert.Equal(t, tt.reason, reason)
		})
	}
}

// releasesHost serves a releases.json over HTTP.
type releasesHost struct {
	*catalog.Catalog
	t       *testing.T
	handler http.Handler
	reason  catalog.Reason
}

func newReleasesHost(t *testing.T, releases string) *releasesHost {
	t.Helper()
	h := &releasesHost{t: t}
	dir := newDir(t, "not read", goodClients)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "releases.json"), []byte(releases), 0o600))
	var err error
	h.Catalog, err = catalog.Open(dir, catalog.Config{Decided: func(_ context.Context, _ misc.UpdateQuery, why catalog.Reason) { h.reason = why }})
	require.NoError(t, err)
	service, err := misc.New(misc.Config{Versions: h, Relations: misctest.NewRelations(misctest.World{}), Captures: misc.NewMemoryStore(), Messenger: &misctest.Messenger{}})
	require.NoError(t, err)
	h.handler, err = httpapi.New(httpapi.Config{Service: service, CurrentUser: httpapi.UserFromContext})
	require.NoError(t, err)
	return h
}

// ask returns the version and the last part of the URL that are offered, whether
// it is mandatory, and the reason.
func (h *releasesHost) ask(query, userAgent string) (offered, reason string) {
	h.t.Helper()
	r := httptest.NewRequest("GET", "/misc/latest_update?"+query, nil)
	r.Header.Set("User-Agent", userAgent)
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	if w.Code == http.StatusNoContent {
		require.Empty(h.t, w.Body.String())
		return "", string(h.reason)
	}
	require.Equal(h.t, http.StatusOK, w.Code, w.Body.String())
	var answer struct {
		Version, URL string
		Mandatory    *bool
	}
	require.NoError(h.t, json.Unmarshal(w.Body.Bytes(), &answer))
	offered = answer.Version + " " + path.Base(answer.URL)
	if answer.Mandatory != nil {
		require.True(h.t, *answer.Mandatory)
		offered += ", mandatory"
	}
	return offered, string(h.reason)
}
