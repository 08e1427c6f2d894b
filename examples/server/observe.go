package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sealtalk-go/misc/catalog"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// observe gives each request an id and a deadline. When the request ends, observe
// logs it and counts it in the metrics. It copies the pattern that next has set to
// the request of its caller, with /misc/ for prefix, so that metrics and traces have
// the same labels everywhere.
func observe(next http.Handler, prefix string, m *metrics, logger *slog.Logger, deadline time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-ID")
		if !saneRequestID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-ID", id)
		var decision slog.Attr
		ctx := context.WithValue(context.WithValue(r.Context(), requestIDKey{}, id), decisionKey{}, &decision)
		ctx, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()

		inner := r.WithContext(ctx)
		sent := httpsnoop.Metrics{Code: http.StatusOK}
		defer func() { // even after a panic
			r.Pattern = strings.Replace(inner.Pattern, prefix, "/misc/", 1)
			m.requests.WithLabelValues(endpointOf(r), methodOf(r), strconv.Itoa(sent.Code)).Inc()
			m.duration.WithLabelValues(endpointOf(r)).Observe(sent.Duration.Seconds())
			logger.LogAttrs(ctx, slog.LevelInfo, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", sent.Code), slog.Int64("bytes", sent.Written),
				slog.Duration("took", sent.Duration), slog.String("remote", r.RemoteAddr), decision)
		}()
		sent.CaptureMetrics(w, func(w http.ResponseWriter) { next.ServeHTTP(w, inner) })
	})
}

type requestIDKey struct{}

// saneRequestID matches ids that cannot do harm in a log.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// logFaults logs a line for each of the errors that err joins.
func logFaults(logger *slog.Logger, part string, err error) {
	for fault := range strings.SplitSeq(continued.ReplaceAllString(err.Error(), ": "), "\n") {
		logger.Error(part, "error", fault)
	}
}

// continued matches where an error continues on the next line.
var continued = regexp.MustCompile(`:?\s*\n\s+`)

// contextHandler adds to each line the ids of the request that it is about.
type contextHandler struct{ slog.Handler }

// newLogger returns a logger whose form is text or json.
func newLogger(w io.Writer, form string) *slog.Logger {
	if form == "json" {
		return slog.New(contextHandler{slog.NewJSONHandler(w, nil)})
	}
	return slog.New(contextHandler{slog.NewTextHandler(w, nil)})
}

func (h contextHandler) Handle(ctx context.Context, record slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}

// metrics are those of this server, its process and its parts.
type metrics struct {
	http.Handler // serves them
	requests     *prometheus.CounterVec
	duration     *prometheus.HistogramVec
}

func newMetrics(db *sql.DB, state *health, redis *shared, versions *catalog.Catalog, updates *updates) *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(db, "misc"),
		updates.decisions, updates.clients, revisions{versions})
	register := promauto.With(registry)
	up := func(name, help string, err func() error) {
		register.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if err() != nil {
				return 0
			}
			return 1
		})
	}
	up("misc_catalog_up", "1 while every file of versions is good, otherwise 0.", versions.Err)
	up("misc_database_up", "1 while the database answers statements and takes writes, otherwise 0.", state.database)
	if redis != nil {
		up("misc_redis_up", "1 while Redis counts for all instances, 0 while this one counts its share.", redis.away)
	}
	return &metrics{
		Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		requests: register.NewCounterVec(prometheus.CounterOpts{
			Name: "misc_http_requests_total",
			Help: "Requests answered.",
		}, []string{"endpoint", "method", "status"}),
		duration: register.NewHistogramVec(prometheus.HistogramOpts{
			Name: "misc_http_request_duration_seconds",
			Help: "Time from the header of a request to its answer.",
		}, []string{"endpoint"}),
	}
}

// endpointOf returns the path of the endpoint that answered r. It returns "other"
// if there is no such endpoint, which a pattern with a slash at its end shows, so
// that clients cannot create labels without limit.
func endpointOf(r *http.Request) string {
	_, path, _ := strings.Cut(r.Pattern, "/") // without the method in front of it
	if path == "" || strings.HasSuffix(path, "/") {
		return "other"
	}
	return "/" + path
}

func methodOf(r *http.Request) string {
	if slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, r.Method) {
		return r.Method
	}
	return "other"
}

// openTracing returns a provider of spans, and a function that sends the last
// spans at the end. Without an endpoint, or after an error, there are no spans. The
// exporter reads its settings, including the endpoint, from the OTEL_ variables.
func openTracing(ctx context.Context, endpoint string, logger *slog.Logger) (_ trace.TracerProvider, flush func(), state string, _ error) {
	none := noop.NewTracerProvider()
	if endpoint == "" {
		return none, func() {}, "none, OTEL_EXPORTER_OTLP_ENDPOINT says where to send them", nil
	}
	exporter, err := otlptracehttp.New(ctx)
	about, wrong := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "misc-server")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err := errors.Join(err, wrong); err != nil {
		return none, func() {}, "", err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("traces", "error", err) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = provider.Shutdown(ctx) // the collector may be gone, but the server ends anyway
	}, "sent to OTEL_EXPORTER_OTLP_ENDPOINT", nil
}

// isOff reports whether there are no traces. Spans that are sent nowhere would
// still cost a third of a request.
func isOff(tracing trace.TracerProvider) bool {
	_, off := tracing.(noop.TracerProvider)
	return off
}

// traced puts a span around each request.
func traced(next http.Handler, tracing trace.TracerProvider) http.Handler {
	if isOff(tracing) {
		return next
	}
	return otelhttp.NewHandler(next, "misc",
		otelhttp.WithTracerProvider(tracing),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			return methodOf(r) + " " + endpointOf(r)
		}))
}
