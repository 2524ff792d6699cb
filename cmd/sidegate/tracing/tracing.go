// Package tracing sends spans of requests to a receiver of OpenTelemetry (OTLP over
// HTTP). It is the only package that knows the library; the listener tells it of
// requests by an interface of its own, the store how long it has waited.
//
// A span has the pattern of a route, a method, a status and times; no path, no id.
// Nothing is started before [Tracing.Run], and a receiver that is slow or away costs
// spans, never time: they wait in a queue of bounded length, and what does not fit
// is dropped.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sidegate/sidegate/metrics/border"
)

// flushTime is how long the last spans may take to be sent when the process ends.
const flushTime = 2 * time.Second

// Options configure a [Tracing].
type Options struct {
	// Endpoint is the URL of the receiver; one without a path means /v1/traces.
	// Empty = what the variables OTEL_EXPORTER_OTLP_… say. Those also set what
	// is not here: certificates, compression, timeout.
	Endpoint string
	// Headers are sent along, name=value each.
	Headers []string
	// Sample is the share of traces begun here that is sent, 0 to 1. Of a trace
	// that a client began the client has decided.
	Sample float64
	// Version is that of the program.
	Version string
	// Logger hears when sending begins to fail and when it works again.
	Logger *slog.Logger
}

// Tracing makes spans. It is safe for concurrent use.
type Tracing struct {
	opts   Options
	tracer atomic.Pointer[trace.Tracer] // nil unless Run runs
}

// New makes a Tracing. It starts nothing and connects to nobody.
func New(opts Options) *Tracing { return &Tracing{opts: opts} }

// Run sends spans until ctx ends, then what is left of them.
func (t *Tracing) Run(ctx context.Context) error {
	ctx, work := context.WithoutCancel(ctx), ctx
	to, err := otlptracehttp.New(ctx, t.options()...)
	if err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "sidegate"), attribute.String("service.version", t.opts.Version),
	), resource.WithFromEnv())
	if err != nil {
		// The variable may come from whoever runs the cluster, for all containers of
		// it: what observers got wrong is no reason to end.
		t.opts.Logger.Warn("spans go without a part of OTEL_RESOURCE_ATTRIBUTES, which cannot be read", "error", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&exporter{SpanExporter: to, log: t.opts.Logger}),
		sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(t.opts.Sample))),
	)
	tracer := provider.Tracer("github.com/sidegate/sidegate")
	t.tracer.Store(&tracer)
	<-work.Done()
	t.tracer.Store(nil)
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	// What could not be sent was logged by the exporter.
	_ = provider.Shutdown(ctx)
	return nil
}

func (t *Tracing) options() (list []otlptracehttp.Option) {
	if t.opts.Endpoint != "" {
		list = append(list, otlptracehttp.WithEndpointURL(tracesURL(t.opts.Endpoint)))
	}
	if len(t.opts.Headers) > 0 {
		headers := make(map[string]string, len(t.opts.Headers))
		for _, h := range t.opts.Headers {
			name, value, _ := strings.Cut(h, "=")
			headers[name] = value
		}
		list = append(list, otlptracehttp.WithHeaders(headers))
	}
	return list
}

// tracesURL adds the path that receivers have, unless one is given.
func tracesURL(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return endpoint
	}
	u.Path = "/v1/traces"
	return u.String()
}

type waitedKey struct{}

// Begin implements server.Tracer: it begins the span of a request. The context
// carries the span's place in its trace, for logs, and what [Waited] counts.
func (t *Tracing) Begin(ctx context.Context, method string) (context.Context, func(route string, status int)) {
	tracer := t.tracer.Load()
	if tracer == nil {
		return ctx, nil
	}
	if caller := border.TraceOf(ctx); !caller.IsZero() {
		var flags trace.TraceFlags
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: caller.ID, SpanID: caller.Span, TraceFlags: flags.WithSampled(caller.Sampled), Remote: true,
		}))
	}
	waited := new(atomic.Int64)
	ctx, span := (*tracer).Start(context.WithValue(ctx, waitedKey{}, waited), method,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", method)))
	own := span.SpanContext()
	ctx = border.WithTrace(ctx, border.Trace{ID: own.TraceID(), Span: own.SpanID(), Sampled: own.IsSampled()})
	return ctx, func(route string, status int) {
		span.SetName(method + " " + route)
		span.SetAttributes(
			attribute.String("http.route", route), attribute.Int("http.response.status_code", status),
			attribute.Float64("sidegate.database.seconds", time.Duration(waited.Load()).Seconds()),
		)
		if status >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Waited adds to the time that a request has waited for the database.
func Waited(ctx context.Context, took time.Duration) {
	if waited, ok := ctx.Value(waitedKey{}).(*atomic.Int64); ok {
		waited.Add(int64(took))
	}
}

// exporter logs when sending begins to fail and when it works again; the library
// would complain about every batch, to a handler that all of the process shares.
// Batches are sent one after the other.
type exporter struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	failing bool
}

// ExportSpans implements [sdktrace.SpanExporter].
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing:
		e.log.Warn("spans cannot be sent; they are lost", "error", err)
	case err == nil && e.failing:
		e.log.Info("spans are sent again")
	}
	e.failing = err != nil
	return nil
}
