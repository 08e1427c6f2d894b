package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// observe gives each request an id and a deadline, and to its end a line in
// the log and a place in the metrics.
func observe(next http.Handler, m *metrics, logger *slog.Logger, deadline time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		id := r.Header.Get("X-Request-ID")
		if !saneRequestID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-ID", id)
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), requestIDKey{}, id), deadline)
		defer cancel()

		rec := &recorder{ResponseWriter: w}
		defer func() { // after a panic as well
			status, took := rec.statusSent(), time.Since(begin)
			m.count(r, status, took)
			logger.LogAttrs(ctx, slog.LevelInfo, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", status), slog.Int64("bytes", rec.bytes),
				slog.Duration("took", took), slog.String("remote", r.RemoteAddr))
		}()
		next.ServeHTTP(rec, r.WithContext(ctx))
	})
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is sent
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) statusSent() int {
	if r.status == 0 {
		return http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	return r.status
}

type requestIDKey struct{}

// saneRequestID keeps anything that could harm a log out of it.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// newLogger returns a logger whose lines carry the ids of the request that
// they are about, and what writes out the lines that still wait.
func newLogger(w io.Writer) (_ *slog.Logger, flush func()) {
	b := &batch{to: w}
	b.timer = time.AfterFunc(batchWait, b.flush)
	return slog.New(contextHandler{slog.NewTextHandler(b, nil), b}), b.flush
}

// contextHandler writes a warning, or worse, out at once.
type contextHandler struct {
	slog.Handler
	batch *batch
}

func (h contextHandler) Handle(ctx context.Context, record slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	err := h.Handler.Handle(ctx, record)
	if record.Level >= slog.LevelWarn {
		h.batch.flush()
	}
	return err
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs), h.batch}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name), h.batch}
}

// A batch is lines that are written together: a system call for each line
// takes longer than all else that the server does for most requests.
type batch struct {
	to    io.Writer
	timer *time.Timer // to flush; runs while lines wait

	mu    sync.Mutex
	lines []byte
}

const (
	batchWait = 100 * time.Millisecond // what a line waits for others
	batchSize = 32 << 10               // bytes
)

func (b *batch) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == 0 {
		b.timer.Reset(batchWait)
	}
	b.lines = append(b.lines, line...)
	if len(b.lines) >= batchSize {
		b.write()
	}
	return len(line), nil
}

func (b *batch) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.write()
}

func (b *batch) write() {
	if len(b.lines) == 0 {
		return
	}
	_, _ = b.to.Write(b.lines) // nobody can be told that the log is gone
	b.lines = b.lines[:0]
}

// metrics are those of this server, of its process and of its database.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(db *sql.DB) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "misc_http_requests_total",
			Help: "Requests answered.",
		}, []string{"endpoint", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "misc_http_request_duration_seconds",
			Help: "Time from the header of a request to its answer.",
		}, []string{"endpoint"}),
	}
	m.registry.MustRegister(m.requests, m.duration,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(db, "misc"))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) count(r *http.Request, status int, took time.Duration) {
	endpoint := endpointOf(r)
	m.requests.WithLabelValues(endpoint, methodOf(r), strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(endpoint).Observe(took.Seconds())
}

// endpointOf returns the path if there is such an endpoint, and "other" if
// not, so that no client can make up labels without end.
func endpointOf(r *http.Request) string {
	switch r.URL.Path {
	case "/misc/latest_update", "/misc/client_version", "/misc/mobile_version",
		"/misc/send_message", "/misc/set_screen_capture", "/misc/get_screen_capture", "/misc/send_sc_msg",
		"/demo/login", "/healthz", "/readyz", "/metrics":
		return r.URL.Path
	}
	return "other"
}

func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return r.Method
	}
	return "other"
}

// healthy answers as long as the process lives.
func healthy(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 if the database answers within a second, and 503 if not.
func ready(db *sql.DB, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := db.PingContext(ctx); err != nil {
			logger.WarnContext(ctx, "not ready", "error", err)
			answer(w, http.StatusServiceUnavailable, map[string]string{"status": "the database does not answer"})
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	}
}

// tracing returns what puts a span around each request, and what sends the
// last spans off at the end. Without an endpoint there are no spans. The
// exporter reads its other settings from the OTEL_ variables.
func tracing(ctx context.Context, endpoint string) (wrap func(http.Handler) http.Handler, flush func(), err error) {
	if endpoint == "" {
		return func(h http.Handler) http.Handler { return h }, func() {}, nil
	}
	collector, err := url.JoinPath(endpoint, "v1/traces")
	if err != nil {
		return nil, nil, usageErrorf("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL")
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(collector))
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "misc-server")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	wrap = func(h http.Handler) http.Handler {
		return otelhttp.NewHandler(h, "misc",
			otelhttp.WithTracerProvider(provider),
			otelhttp.WithPropagators(propagation.TraceContext{}),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
				return methodOf(r) + " " + endpointOf(r)
			}))
	}
	flush = func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = provider.Shutdown(ctx) // the collector may be gone, and the server ends all the same
	}
	return wrap, flush, nil
}
