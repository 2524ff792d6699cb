package border

import (
	"bytes"
	"context"
	"encoding/hex"
)

// Trace is where a request stands in the trace of whoever sent it, as the header
// traceparent of W3C Trace Context says. The zero Trace is none.
type Trace struct {
	ID      [16]byte
	Span    [8]byte // of the caller
	Sampled bool    // the caller records it
}

// TraceHeader is the name of the header, as servers spell it.
const TraceHeader = "Traceparent"

// Lengths of a traceparent: 00-<32 hex>-<16 hex>-<2 hex>.
const (
	traceIDEnd     = 3 + 32
	traceSpanEnd   = traceIDEnd + 1 + 16
	traceparentEnd = traceSpanEnd + 3
)

// ParseTrace reads a traceparent. Whatever is malformed is no trace: a header that
// is there for observers must never be a reason to refuse a request. Of versions
// that are yet to come, what they share with ours is read, as the standard wants.
func ParseTrace(header []byte) Trace {
	var t Trace
	var version, flags [1]byte
	switch {
	case len(header) < traceparentEnd,
		header[2] != '-' || header[traceIDEnd] != '-' || header[traceSpanEnd] != '-',
		!lowerHex(version[:], header[:2]) || version[0] == 0xff,
		len(header) > traceparentEnd && (version[0] == 0 || header[traceparentEnd] != '-'),
		!lowerHex(t.ID[:], header[3:traceIDEnd]) || t.ID == [16]byte{},
		!lowerHex(t.Span[:], header[traceIDEnd+1:traceSpanEnd]) || t.Span == [8]byte{},
		!lowerHex(flags[:], header[traceSpanEnd+1:traceparentEnd]):
		return Trace{}
	}
	t.Sampled = flags[0]&1 != 0
	return t
}

// lowerHex decodes hexadecimal digits; capitals are malformed in a traceparent.
func lowerHex(to, digits []byte) bool {
	if bytes.ContainsAny(digits, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(to, digits)
	return err == nil
}

// IsZero reports whether there is no trace.
func (t Trace) IsZero() bool { return t.ID == [16]byte{} }

type traceKey struct{}

// WithTrace returns a context that carries a trace, for logs and spans.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if t.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace that a context carries, the zero Trace if it carries
// none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}
