package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sidegate/sidegate/metrics/border"
)

// receiver is a receiver of OTLP over HTTP.
type receiver struct {
	*httptest.Server
	t      *testing.T
	refuse atomic.Bool

	mu      sync.Mutex
	spans   []*tracepb.Span
	service string
	header  http.Header
	path    string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	if r.refuse.Load() {
		w.WriteHeader(http.StatusBadRequest) // which is not tried again
		return
	}
	var body io.Reader = req.Body
	if req.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(req.Body); err != nil {
			r.t.Error(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		r.t.Error(err)
	}
	var got collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &got); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.header, r.path = req.Header, req.URL.Path
	for _, of := range got.GetResourceSpans() {
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				r.service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// running sends spans until stop, which sends what is left.
func running(t *testing.T, opts Options) (tr *Tracing, stop func()) {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	tr = New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tr.Run(ctx) }()
	waitFor(t, func() bool { return tr.tracer.Load() != nil })
	return tr, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("waited for a minute")
		}
	}
}

func attributes(s *tracepb.Span) map[string]any {
	list := map[string]any{}
	for _, a := range s.GetAttributes() {
		switch {
		case a.GetValue().GetStringValue() != "":
			list[a.GetKey()] = a.GetValue().GetStringValue()
		case a.GetValue().GetDoubleValue() != 0:
			list[a.GetKey()] = a.GetValue().GetDoubleValue()
		default:
			list[a.GetKey()] = a.GetValue().GetIntValue()
		}
	}
	return list
}

// TestSpans: a request becomes a span in the trace of its caller, with what it did.
func TestSpans(t *testing.T) {
	r := newReceiver(t)
	tr, stop := running(t, Options{Endpoint: r.URL, Headers: []string{"x-key=a secret=b"}, Sample: 0})
	caller := border.ParseTrace([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	op, end := tr.Begin(border.WithTrace(t.Context(), caller), "PUT")
	own := border.TraceOf(op)
	if own.ID != caller.ID || own.Span == caller.Span || !own.Sampled {
		t.Errorf("the request is %+v, its caller %+v", own, caller)
	}
	Waited(op, 20*time.Millisecond)
	Waited(op, 5*time.Millisecond)
	Waited(t.Context(), time.Hour) // of work without a span
	end("/v1/apps/{app}", 503)
	// Of a trace that nobody has begun, the sample decides; of one that is not
	// recorded, its caller has.
	_, end = tr.Begin(t.Context(), "GET")
	end("/left-out", 200)
	caller.Sampled = false
	_, end = tr.Begin(border.WithTrace(t.Context(), caller), "GET")
	end("/left-out", 200)
	stop()
	if len(r.spans) != 1 {
		t.Fatalf("%d spans", len(r.spans))
	}
	s := r.spans[0]
	a := attributes(s)
	if s.GetName() != "PUT /v1/apps/{app}" || !bytes.Equal(s.GetTraceId(), caller.ID[:]) || !bytes.Equal(s.GetParentSpanId(), caller.Span[:]) ||
		!bytes.Equal(s.GetSpanId(), own.Span[:]) || s.GetKind() != tracepb.Span_SPAN_KIND_SERVER || s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("%v", s)
	}
	if a["http.route"] != "/v1/apps/{app}" || a["http.request.method"] != "PUT" || a["http.response.status_code"] != int64(503) || a["sidegate.database.seconds"] != 0.025 {
		t.Errorf("%v", a)
	}
	if r.service != "sidegate" || r.path != "/v1/traces" || r.header.Get("X-Key") != "a secret=b" {
		t.Errorf("service %q, path %s, %v", r.service, r.path, r.header)
	}
}

// TestSampleOfTracesBegunHere: with a sample of one every trace is sent.
func TestSampleOfTracesBegunHere(t *testing.T) {
	r := newReceiver(t)
	tr, stop := running(t, Options{Endpoint: r.URL + "/own/path", Sample: 1})
	op, end := tr.Begin(t.Context(), "GET")
	if border.TraceOf(op).IsZero() {
		t.Error("the request has no trace")
	}
	end("/r", 200)
	stop()
	if len(r.spans) != 1 || r.path != "/own/path" {
		t.Errorf("%d spans at %s", len(r.spans), r.path)
	}
	if op, end := tr.Begin(t.Context(), "GET"); end != nil || op != t.Context() {
		t.Error("there are spans after the end")
	}
}

// TestVariables: without an endpoint those of OpenTelemetry are followed.
func TestVariables(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=env")
	t.Setenv("OTEL_SERVICE_NAME", "blocks")
	tr, stop := running(t, Options{Sample: 1})
	_, end := tr.Begin(t.Context(), "GET")
	end("/r", 200)
	stop()
	if len(r.spans) != 1 || r.path != "/v1/traces" || r.service != "blocks" || r.header.Get("X-Key") != "env" {
		t.Errorf("%d spans at %s of %s, %v", len(r.spans), r.path, r.service, r.header)
	}
}

// TestReceiverThatRefuses is logged when it begins and when it has ended.
// TestVariableThatCannotBeRead costs what it would have said, and nothing else.
func TestVariableThatCannotBeRead(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=blocks,broken")
	var said bytes.Buffer
	tr, stop := running(t, Options{Endpoint: r.URL, Sample: 1, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	_, end := tr.Begin(t.Context(), "GET")
	end("/", 200)
	stop()
	if len(r.spans) != 1 || strings.Count(said.String(), "OTEL_RESOURCE_ATTRIBUTES") != 1 {
		t.Errorf("%d spans; %s", len(r.spans), said.String())
	}
}

func TestReceiverThatRefuses(t *testing.T) {
	r := newReceiver(t)
	r.refuse.Store(true)
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	tr, stop := running(t, Options{Endpoint: r.URL, Sample: 1, Logger: logger})
	_, end := tr.Begin(t.Context(), "GET")
	end("/r", 200)
	stop()
	if got := log.String(); strings.Count(got, "spans cannot be sent") != 1 || strings.Contains(got, "again") {
		t.Errorf("%s", got)
	}
	log.Reset()
	to := &flaky{err: errors.New("away")}
	e := &exporter{SpanExporter: to, log: logger}
	for _, to.err = range []error{to.err, to.err, nil, nil} {
		if err := e.ExportSpans(t.Context(), nil); err != nil {
			t.Errorf("%v reaches the handler of the process", err)
		}
	}
	if got := log.String(); strings.Count(got, "cannot be sent") != 1 || strings.Count(got, "sent again") != 1 {
		t.Errorf("%s", got)
	}
}

// flaky fails as it is told.
type flaky struct {
	sdktrace.SpanExporter
	err error
}

func (f *flaky) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return f.err }
