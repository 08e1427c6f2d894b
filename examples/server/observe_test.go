package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealtalk-go/misc/misctest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestMetricsCountRequestsWithBoundedLabels(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir()))
	for _, request := range []string{"GET /misc/client_version", "GET /misc/client_version", "POST /misc/send_message",
		"GET /misc/made-up", "GET /made-up", "BREW /coffee"} {
		method, path, _ := strings.Cut(request, " ")
		in.do(method, path, "")
	}
	body := in.do("GET", "/metrics", "").body
	for _, line := range []string{
		`misc_http_requests_total{endpoint="/misc/client_version",method="GET",status="200"} 2`,
		`misc_http_requests_total{endpoint="/misc/send_message",method="POST",status="403"} 1`,
		`misc_http_requests_total{endpoint="other",method="GET",status="404"} 2`,
		`misc_http_requests_total{endpoint="other",method="other",status="404"} 1`,
		`misc_http_request_duration_seconds_count{endpoint="/misc/client_version"} 2`,
		`misc_catalog_up 1`,
		`go_goroutines `,
		`go_sql_open_connections{db_name="misc"}`,
	} {
		assert.Contains(t, body, line)
	}
	assert.NotContains(t, body, "made-up")
	in.stop()
}

func TestMetricsAndLogSayWhatWasDecidedFromReleasesJSON(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	const file = `{"releases": [
		{"version": "1.1.0", "rollout": 5, "builds": [{"url": "https://downloads.example.com/SealTalk-1.1.0.zip"}]},
		{"version": "1.0.2", "builds": [{"url": "https://downloads.example.com/SealTalk-1.0.2.zip"}]}
	]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "releases.json"), []byte(file), 0o600))
	in := start(t, cfg)
	for query, status := range map[string]int{
		"version=1.0.0&platform=amiga": 200,
		"version=1.0.2&id=alice":       200, // at 3 %
		"version=1.0.2&id=carol":       204, // at 20 %
		"version=1.0.2":                204,
		"version=1.1.0&platform=win32": 204,
		"version=9.9.9%2Bmade-up":      204,
		"version=1.0":                  400,
	} {
		assert.Equal(t, status, in.do("GET", "/misc/latest_update?"+query, "").status, query)
	}
	sum := sha256.Sum256([]byte(file))
	revision := hex.EncodeToString(sum[:6])
	body := in.do("GET", "/metrics", "").body
	for _, line := range []string{
		`misc_update_decisions_total{offered="1.0.2",platform="other",reason="update"} 1`,
		`misc_update_decisions_total{offered="1.1.0",platform="darwin",reason="update"} 1`,
		`misc_update_decisions_total{offered="none",platform="darwin",reason="rollout"} 1`,
		`misc_update_decisions_total{offered="none",platform="darwin",reason="no-id"} 1`,
		`misc_update_decisions_total{offered="none",platform="win32",reason="current"} 1`,
		`misc_update_clients_total{platform="other",version="other"} 1`,
		`misc_update_clients_total{platform="darwin",version="other"} 1`,
		`misc_update_clients_total{platform="darwin",version="1.0.2"} 3`,
		`misc_update_clients_total{platform="win32",version="1.1.0"} 1`,
		`misc_catalog_info{file="releases.json",revision="` + revision + `"} 1`,
		`misc_catalog_info{file="client_version.json",revision="`,
	} {
		assert.Contains(t, body, line)
	}
	assert.NotContains(t, body, `reason=""`, "an invalid version is no decision")
	assert.NotContains(t, body, "9.9.9", "clients create no labels")
	in.do("GET", "/misc/latest_update?version=1.0.2&id=carol", "", "X-Request-ID", "carol")
	in.stop()
	assert.Regexp(t, `msg=request method=GET path=/misc/latest_update status=204 .* update.runs=1.0.2 update.platform=darwin update.channel=stable update.reason=rollout update.offered=none update.revision=`+revision+` request_id=carol`, in.log.String())
}

func TestARequestIDIsEchoedAndLoggedIfItIsSane(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir()))
	r := in.do("GET", "/misc/client_version", "", "X-Request-ID", "mobile-42_a.b")
	assert.Equal(t, "mobile-42_a.b", r.header.Get("X-Request-ID"))
	seen := ""
	for _, bad := range []string{"", "two words", "quote\"", "é", strings.Repeat("x", 65)} {
		id := in.do("GET", "/misc/client_version", "", "X-Request-ID", bad).header.Get("X-Request-ID")
		assert.Regexp(t, `^[A-Z2-7]{26}$`, id, bad)
		assert.NotContains(t, seen, id, "an id comes once")
		seen += id
	}
	in.stop()
	assert.Regexp(t, `(?m)^\S+ level=INFO msg=request method=GET path=/misc/client_version status=200 bytes=\d+ took=\S+ remote=\S+ request_id=mobile-42_a.b$`, in.log.String())
	assert.Equal(t, 6, strings.Count(in.log.String(), "msg=request "), "one line for each request")
}

func TestEachLineOfTheLogIsJSONIfThatIsAsked(t *testing.T) {
	cloud := httptest.NewServer(http.NotFoundHandler())
	defer cloud.Close()
	in := start(t, testConfig(t, t.TempDir(), "-log", "json", "-rongcloud", cloud.URL, "-app-key", "key", "-app-secret", "secret"))
	in.login(1)
	assert.Equal(t, http.StatusBadGateway, in.do("POST", "/misc/send_sc_msg", toFriend, "X-Request-ID", "refused").status)
	in.stop()
	lines := map[string]map[string]any{} // by message
	for line := range strings.Lines(in.log.String()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		assert.Subset(t, slices.Collect(maps.Keys(record)), []string{"time", "level", "msg"}, line)
		lines[record["msg"].(string)] = record
	}
	for _, message := range []string{"settings", "database", "listening", "request", "misc: request failed", "stopping"} {
		assert.Contains(t, lines, message)
	}
	request := lines["request"]
	assert.Equal(t, []any{"POST", "/misc/send_sc_msg", 502.0, "refused"}, []any{request["method"], request["path"], request["status"], request["request_id"]})
	assert.Equal(t, "refused", lines["misc: request failed"]["request_id"])
}

func TestSpansLeadFromTheRequestToTheStatementAndToRongCloud(t *testing.T) {
	var mu sync.Mutex
	var spans []*tracepb.Span
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v1/traces", r.URL.Path)
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		var sent collectorpb.ExportTraceServiceRequest
		assert.NoError(t, proto.Unmarshal(body, &sent))
		assert.Contains(t, string(body), "misc-server")
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				spans = append(spans, scope.Spans...)
			}
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	cloud := httptest.NewServer(misctest.NewCloud("key", "secret"))
	defer cloud.Close()
	in := start(t, testConfig(t, t.TempDir(), "-rongcloud", cloud.URL, "-app-key", "key", "-app-secret", "secret"))
	in.login(1)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	r := in.do("POST", "/misc/send_sc_msg", toFriend, "Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	require.Equal(t, http.StatusOK, r.status, r.body)
	in.do("GET", "/misc/made-up-by-a-client", "")
	in.stop()

	named := map[string]*tracepb.Span{}
	for _, span := range spans {
		named[span.Name] = span
	}
	require.Contains(t, named, "GET other")
	request := named["POST /misc/send_sc_msg"]
	require.NotNil(t, request, "%v", slices.Collect(maps.Keys(named)))
	for name, attribute := range map[string]string{"sql.stmt.query": "friendships", "HTTP POST": cloud.URL + "/message/private/publish.json"} {
		span := named[name]
		require.NotNil(t, span, "%s: %v", name, slices.Collect(maps.Keys(named)))
		assert.Equal(t, trace, hex.EncodeToString(span.TraceId), name)
		assert.Equal(t, request.SpanId, span.ParentSpanId, name)
		assert.Contains(t, fmt.Sprint(span.Attributes), attribute)
	}
	assert.NotContains(t, fmt.Sprint(spans), "secret")
	assert.Contains(t, in.log.String(), "trace_id="+trace)
}
