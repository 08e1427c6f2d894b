package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	assert.Regexp(t, `msg=request method=GET path=/misc/latest_update status=204 .* update.runs=1.0.2 update.platform=darwin update.arch="" update.os_version="" update.channel=stable update.has_id=true update.reason=rollout update.about=1.1.0 update.offered=none update.revision=`+revision+` request_id=carol`, in.log.String())
}

// The operator is not woken because a phone has lost the network.
func TestARequestWhoseClientHasLeftIsNoServerError(t *testing.T) {
	url, reached, _ := hangingCloud(t)
	in := start(t, testConfig(t, t.TempDir(), "-rongcloud", url, "-app-key", "key", "-app-secret", "secret"))
	in.login(1)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", in.base+"/misc/send_sc_msg", strings.NewReader(toFriend))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(in.user[0], in.user[1])
	go func() {
		<-reached
		leave()
	}()
	_, err = in.client.Do(req)
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool {
		return strings.Contains(in.do("GET", "/metrics", "").body, `misc_http_requests_total{endpoint="/misc/send_sc_msg",method="POST",status="left"} 1`)
	}, 30*time.Second, 10*time.Millisecond)
	in.stop()
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

// collect starts a collector of spans, and sets OTEL_EXPORTER_OTLP_ENDPOINT to it.
func collect(t *testing.T) (spans func() []*tracepb.Span) {
	var mu sync.Mutex
	var collected []*tracepb.Span
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
				collected = append(collected, scope.Spans...)
			}
		}
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	return func() []*tracepb.Span {
		mu.Lock()
		defer mu.Unlock()
		return collected
	}
}

func TestSpansLeadFromTheRequestToTheStatementAndToRongCloud(t *testing.T) {
	spans := collect(t)
	cloud := httptest.NewServer(misctest.NewCloud("key", "secret"))
	defer cloud.Close()
	in := start(t, testConfig(t, t.TempDir(), "-rongcloud", cloud.URL, "-app-key", "key", "-app-secret", "secret"))
	in.login(1)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	r := in.do("POST", "/misc/send_sc_msg", toFriend, "Traceparent", "00-"+trace+"-b7ad6b7169203331-01", "Tracestate", "a="+strings.Repeat("x", 200))
	require.Equal(t, http.StatusOK, r.status, r.body)
	in.do("GET", "/misc/made-up-by-a-client", "")
	in.stop()

	named := map[string]*tracepb.Span{}
	for _, span := range spans() {
		named[span.Name] = span
	}
	require.Contains(t, named, "GET other")
	request := named["POST /misc/send_sc_msg"]
	require.NotNil(t, request, "%v", slices.Collect(maps.Keys(named)))
	assert.Empty(t, request.TraceState, "a client cannot make a batch large")
	for name, attribute := range map[string]string{"sql.stmt.query": "friendships", "HTTP POST": cloud.URL + "/message/private/publish.json"} {
		span := named[name]
		require.NotNil(t, span, "%s: %v", name, slices.Collect(maps.Keys(named)))
		assert.Equal(t, trace, hex.EncodeToString(span.TraceId), name)
		assert.Equal(t, request.SpanId, span.ParentSpanId, name)
		assert.Contains(t, fmt.Sprint(span.Attributes), attribute)
	}
	assert.NotContains(t, fmt.Sprint(spans()), "secret")
	assert.Contains(t, in.log.String(), "trace_id="+trace)
}

// raw sends a request as it is and returns all that comes back.
func (in *instance) raw(request string) string {
	conn, err := net.Dial("tcp", strings.TrimPrefix(in.base, "http://"))
	require.NoError(in.t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(in.t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(in.t, err)
	return string(answer)
}

// The exporter sends nothing of a batch in which a text is not UTF-8, and the sampler of the SDK obeys a client.
func TestNoRequestHidesItselfOrOthersFromTheTraces(t *testing.T) {
	spans := collect(t)
	in := start(t, testConfig(t, t.TempDir()))
	requests := []string{
		"GET /misc/%ff HTTP/1.1\r\n",
		"GET /misc/\xff HTTP/1.1\r\n",
		"GET /misc/latest_update?version=\xff HTTP/1.1\r\n",
		"GET /misc/client_version HTTP/1.1\r\nUser-Agent: \xff\r\n",
		"GET /misc/client_version HTTP/1.1\r\nX-Forwarded-For: \xff\r\n",
		"GET /" + strings.Repeat("%ff", 5_000) + " HTTP/1.1\r\n",
		strings.Repeat("M", 15_000) + " / HTTP/1.1\r\n",
		"GET /misc/client_version HTTP/1.1\r\nUser-Agent: " + strings.Repeat("\xff", 15_000) + "\r\n",
		"GET /misc/client_version HTTP/1.1\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n",
		"GET /misc/client_version HTTP/1.1\r\nTraceparent: \xff\r\nTracestate: \xff=\xff\r\n",
		"GET /misc/client_version HTTP/1.1\r\n",
	}
	for _, request := range requests {
		assert.Regexp(t, "^HTTP/1.1 [24]", in.raw(request+"Host: misc\r\nConnection: close\r\n\r\n"), "%.60q", request)
	}
	in.stop()
	assert.Len(t, spans(), len(requests))
	for _, span := range spans() {
		for _, attribute := range span.Attributes {
			assert.LessOrEqual(t, len(attribute.Value.GetStringValue()), 2<<10, attribute.Key)
		}
	}
	for line := range strings.Lines(in.log.String()) {
		assert.LessOrEqual(t, len(line), 2<<10)
	}
}

func TestABadVariableOfTheExporterIsAnErrorWithoutItsValue(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, c := range []struct{ name, value, message string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://scott:" + secret + "@host:port", "OTEL_EXPORTER_OTLP_ENDPOINT must be"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://scott:" + secret + "@host", "OTEL_EXPORTER_OTLP_ENDPOINT must be"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", secret, "OTEL_EXPORTER_OTLP_ENDPOINT must be"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", "OTEL_EXPORTER_OTLP_ENDPOINT must be"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://" + secret + "%zz", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must be"},
		{"OTEL_EXPORTER_OTLP_HEADERS", secret, "cannot parse headers"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer=" + secret, "cannot parse headers"},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=%zz" + secret, "cannot escape header value"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", secret, "cannot parse duration"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/none/" + secret, "cannot read tls ca cert file"},
		{"OTEL_RESOURCE_ATTRIBUTES", secret, "OTEL_RESOURCE_ATTRIBUTES must be"},
		{"OTEL_RESOURCE_ATTRIBUTES", "a=%zz" + secret, "OTEL_RESOURCE_ATTRIBUTES"},
		{"OTEL_TRACES_SAMPLER", secret, "OTEL_TRACES_SAMPLER"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(c.name, c.value)
			for _, args := range [][]string{nil, {"-check"}} {
				var out, log output
				assert.Equal(t, 1, run(t.Context(), append(testArgs(t, t.TempDir()), args...), &out, &log))
				assert.Regexp(t, `(?m)^\S+ level=ERROR msg=traces error=".*`+c.message, log.String())
				assert.NotContains(t, out.String()+log.String(), secret)
			}
		})
	}
}

// Package net/http writes to the standard logger what a host sends behind an answer, and quotes what it cannot read.
func TestWhatAHostEchoesIsMaskedInLogAndTraces(t *testing.T) {
	spans := collect(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	const secret = "Y1W2MeFwwwRxa0"
	signatures := make(chan string, 2)
	go func() {
		for _, answer := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"code\":200}", "HTTP/1.1 200 OK\r\n"} {
			conn, err := listener.Accept()
			if !assert.NoError(t, err) {
				return
			}
			defer conn.Close()
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if !assert.NoError(t, err) {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			signatures <- r.Header.Get("Signature")
			fmt.Fprintf(conn, "%s%s %s echoed%s\r\n\r\n", answer, secret, r.Header.Get("Signature"), strings.Repeat("\x00", 3000))
		}
	}()
	in := start(t, testConfig(t, t.TempDir(), "-log", "json", "-rongcloud", "http://"+listener.Addr().String(), "-app-key", "key", "-app-secret", secret))
	in.login(1)
	require.Equal(t, http.StatusOK, in.do("POST", "/misc/send_sc_msg", toFriend).status)
	require.Eventually(t, func() bool { return strings.Contains(in.log.String(), "echoed") }, 30*time.Second, time.Millisecond)
	require.Equal(t, http.StatusBadGateway, in.do("POST", "/misc/send_sc_msg", toFriend).status)
	in.stop()
	assert.Regexp(t, `"level":"WARN","msg":"standard logger","line":"Unsolicited response .*\[secret\] \[signature\] echoed.*…"}`, in.log.String())
	traces := fmt.Sprint(spans())
	assert.Contains(t, traces, "[secret] [signature] echoed")
	for _, hidden := range []string{secret, <-signatures, <-signatures} {
		require.NotEmpty(t, hidden)
		assert.NotContains(t, in.log.String(), hidden)
		assert.NotContains(t, traces, hidden)
	}
}
