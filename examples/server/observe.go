package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/go-logr/logr"
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
			status := strconv.Itoa(sent.Code)
			if sent.Code >= 500 && errors.Is(r.Context().Err(), context.Canceled) {
				status = "left" // the client did not wait for the answer
			}
			m.requests.WithLabelValues(endpointOf(r), methodOf(r), status).Inc()
			m.duration.WithLabelValues(endpointOf(r)).Observe(sent.Duration.Seconds())
			logger.LogAttrs(ctx, slog.LevelInfo, "request",
				slog.String("method", clip(r.Method, 256)), slog.String("path", clip(r.URL.Path, 256)),
				slog.Int("status", sent.Code), slog.Int64("bytes", sent.Written),
				slog.Duration("took", sent.Duration), slog.String("remote", clip(r.RemoteAddr, 256)), decision)
		}()
		sent.CaptureMetrics(w, func(w http.ResponseWriter) { next.ServeHTTP(w, inner) })
	})
}

// clip returns at most so many bytes of a text from outside, in UTF-8.
func clip(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
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

// standardLog returns what the standard logger writes to: the lines become lines of
// logger. Package net/http writes bytes to it that the chat cloud sends behind an
// answer.
func standardLog(logger *slog.Logger, mask func(string) string) io.Writer {
	return writerFunc(func(line []byte) {
		logger.Warn("standard logger", "line", clip(mask(strings.TrimSuffix(string(line), "\n")), 1<<10))
	})
}

type writerFunc func(line []byte)

func (f writerFunc) Write(line []byte) (int, error) {
	f(line)
	return len(line), nil
}

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
// exporter reads its settings, including the endpoint, from the OTEL_ variables. An
// error shows none of their values, some of which are secret.
func openTracing(ctx context.Context, endpoint string, mask func(string) string, logger *slog.Logger) (_ trace.TracerProvider, flush func(), state string, _ error) {
	none := noop.NewTracerProvider()
	if endpoint == "" {
		return none, func() {}, "none, OTEL_EXPORTER_OTLP_ENDPOINT says where to send them", nil
	}
	// What the SDK cannot read, it prints with the value, and goes on without.
	var refused refusals
	otel.SetLogger(logr.New(&refused))
	defer otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {
		refused.add("OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER or OTEL_TRACES_SAMPLER_ARG is invalid")
	}))
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		if value := os.Getenv(name); value != "" && !isCollector(value) {
			refused.add(name + " must be an http or https URL without a user, such as http://127.0.0.1:4318")
		}
	}
	exporter, err := otlptracehttp.New(ctx)
	about, wrong := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "misc-server")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if wrong != nil {
		refused.add("OTEL_RESOURCE_ATTRIBUTES must be pairs such as deployment.environment=test, with commas between them")
	}
	if err != nil {
		refused.add("the OTEL_EXPORTER_OTLP_ variables do not go together")
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	if os.Getenv("OTEL_TRACES_SAMPLER") == "" { // by default, clients would decide whether they are seen
		options = append(options, sdktrace.WithSampler(sdktrace.AlwaysSample()))
	}
	if len(refused.found) == 0 {
		options = append(options, sdktrace.WithBatcher(tidyExporter{exporter, mask}))
	}
	provider := sdktrace.NewTracerProvider(options...)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("traces", "error", clip(err.Error(), 1<<10)) }))
	if err := errors.Join(refused.found...); err != nil {
		return none, func() {}, "", err
	}
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = provider.Shutdown(ctx) // the collector may be gone, but the server ends anyway
	}, "sent to OTEL_EXPORTER_OTLP_ENDPOINT", nil
}

func isCollector(endpoint string) bool {
	u, err := url.Parse(strings.TrimSpace(endpoint))
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

// refusals collects what the SDK says that it cannot read, without the values.
type refusals struct{ found []error }

func (r *refusals) add(problem string) { r.found = append(r.found, errors.New(problem)) }

func (r *refusals) Error(_ error, message string, _ ...any) {
	r.add("an OTEL_EXPORTER_OTLP_ variable is invalid: cannot " + message)
}

func (r *refusals) Init(logr.RuntimeInfo)          {}
func (r *refusals) Enabled(int) bool               { return false }
func (r *refusals) Info(int, string, ...any)       {}
func (r *refusals) WithValues(...any) logr.LogSink { return r }
func (r *refusals) WithName(string) logr.LogSink   { return r }

// A tidyExporter makes the texts in spans short and UTF-8 before it exports them: if
// a client had put any other bytes into its path, nothing of the batch would be
// sent. It masks what the chat cloud may have put into an error.
type tidyExporter struct {
	sdktrace.SpanExporter
	mask func(string) string
}

func (e tidyExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	tidy := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		tidy[i] = tidySpan{span, e.mask}
	}
	return e.SpanExporter.ExportSpans(ctx, tidy)
}

type tidySpan struct {
	sdktrace.ReadOnlySpan
	mask func(string) string
}

func (s tidySpan) Attributes() []attribute.KeyValue {
	return s.tidy(s.ReadOnlySpan.Attributes())
}

func (s tidySpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = clip(s.mask(status.Description), 1<<10)
	return status
}

func (s tidySpan) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Attributes = s.tidy(events[i].Attributes)
	}
	return events
}

func (s tidySpan) tidy(attributes []attribute.KeyValue) []attribute.KeyValue {
	attributes = slices.Clone(attributes)
	for i, a := range attributes {
		if a.Value.Type() == attribute.STRING {
			attributes[i].Value = attribute.StringValue(clip(s.mask(a.Value.AsString()), 1<<10))
		}
	}
	return attributes
}

// traceParent takes from a request the header traceparent alone: a client could make a
// batch of spans too large with tracestate.
type traceParent struct{ propagation.TraceContext }

func (p traceParent) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	ctx = p.TraceContext.Extract(ctx, carrier)
	return trace.ContextWithRemoteSpanContext(ctx, trace.SpanContextFromContext(ctx).WithTraceState(trace.TraceState{}))
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
		otelhttp.WithPropagators(traceParent{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			return methodOf(r) + " " + endpointOf(r)
		}))
}
