package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/stretchr/testify/require"
)

// BenchmarkRequest measures what a request costs in the handler of package httpapi
// alone, and in this server around it: with metrics, limits and a request id but
// without a log, and with each form of the log.
func BenchmarkRequest(b *testing.B) {
	dir := b.TempDir()
	require.NoError(b, os.CopyFS(dir, os.DirFS("versions")))
	discard := slog.New(slog.DiscardHandler)
	cfg, err := parseConfig([]string{"-db", "sqlite:" + filepath.Join(dir, "misc.db"), "-versions", dir, "-read-limit", "1000000000"}, io.Discard)
	require.NoError(b, err)
	p, err := openParts(b.Context(), cfg, discard)
	require.NoError(b, err)
	defer p.close()
	service, err := misc.New(misc.Config{Versions: p.versions, Store: p.store, Messenger: p.cloud})
	require.NoError(b, err)
	bare, err := httpapi.New(httpapi.Config{Service: service, CurrentUser: func(*http.Request) (string, error) { return id1, nil }, Logger: discard})
	require.NoError(b, err)
	whole := func(form string) http.Handler {
		logger := discard
		if form != "" {
			file, err := os.Create(filepath.Join(dir, form))
			require.NoError(b, err)
			b.Cleanup(func() { file.Close() })
			logger = newLogger(file, form)
		}
		h, err := newHandler(cfg, p, new(stopper), io.Discard, logger)
		require.NoError(b, err)
		return h
	}
	for _, handler := range []struct {
		name string
		http.Handler
	}{{"bare", bare}, {"server without a log", whole("")}, {"server, log as text", whole("text")}, {"server, log as JSON", whole("json")}} {
		for _, endpoint := range []struct{ method, path, body string }{{"GET", "client_version", ""}, {"GET", "latest_update?version=1.0.0", ""}, {"POST", "get_screen_capture", toFriend}} {
			b.Run(endpoint.path+"/"+handler.name, func(b *testing.B) {
				user := credentials(b, 1)
				for b.Loop() {
					r := httptest.NewRequest(endpoint.method, "/misc/"+endpoint.path, strings.NewReader(endpoint.body))
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set(user[0], user[1])
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					require.Equal(b, 200, w.Code)
				}
			})
		}
	}
}
