package server

import (
	"context"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// Tracer is told of the requests to the api listener. Its methods, and the functions
// that it returns, are called from many goroutines.
type Tracer interface {
	// Begin is called when a request has been read. Ctx carries the trace of the
	// caller, if there is one ([border.TraceOf]); the context that is returned is
	// that of everything done for the request, and carries the trace that logs
	// name. End is called once, when the answer is known; route is a pattern, one
	// of a closed set, never a path.
	Begin(ctx context.Context, method string) (op context.Context, end func(route string, status int))
}

// work is what is done for one request.
type work struct {
	base context.Context // of everything done; it carries the trace
	end  func(route string, status int)
}

// begin begins the work for a request. The check listener has no spans, and looks
// for a trace only when there is a line to write: most of its requests cost less
// than a context.
func (d *door) begin(ctx *fasthttp.RequestCtx) work {
	if d.name != border.DoorAPI {
		return work{base: d.base}
	}
	w := work{base: border.WithTrace(d.base, traceOf(&ctx.Request.Header))}
	if d.tracer != nil {
		w.base, w.end = d.tracer.Begin(w.base, methodNames[methodOf(&ctx.Request.Header)])
	}
	return w
}

// ended tells the tracer how it went.
func (w *work) ended(route string, status int) {
	if w.end != nil {
		w.end(route, status)
	}
}

// traced is the context of a line of the log.
func (w *work) traced(ctx *fasthttp.RequestCtx) context.Context {
	if border.TraceOf(w.base).IsZero() {
		return border.WithTrace(w.base, traceOf(&ctx.Request.Header))
	}
	return w.base
}
