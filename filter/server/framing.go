package server

import (
	"bytes"
	"errors"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// Where two readers of a connection can disagree about where a request ends,
// one request can be smuggled inside another. fasthttp 1.74.0 refuses most such
// requests by itself (two lengths, unknown or repeated transfer encodings, space
// before a colon, no Host or two); what it accepts and we do not is refused here,
// and the connection is closed because what follows on it may be anything.

var transferEncoding = []byte("transfer-encoding:")

// checkFraming looks at the header lines as they were sent, since parsing has
// joined folded ones and, of an empty chunked body, left no trace. Only a body
// that is streamed may be chunked.
func checkFraming(raw []byte, streamed bool) error {
	for len(raw) > 0 {
		switch raw[0] {
		case ' ', '\t':
			return border.Problemf(border.CodeBadRequest, "a header line is folded over two; send it as one")
		case 't', 'T':
			if !streamed && len(raw) > len(transferEncoding) && bytes.EqualFold(raw[:len(transferEncoding)], transferEncoding) {
				return errChunked()
			}
		}
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			return nil
		}
		raw = raw[i+1:]
	}
	return nil
}

func errChunked() border.Problem {
	return border.Problemf(border.CodeLengthRequired, "send the body with a Content-Length, without Transfer-Encoding")
}

// checkBody looks at a body that has arrived.
func checkBody(m method, req *fasthttp.Request) error {
	if len(req.Body()) == 0 {
		return nil
	}
	if !m.takesBody() {
		return border.Problemf(border.CodeUnexpectedBody, "a %s takes no body", req.Header.Method())
	}
	if !isJSON(req.Header.ContentType()) {
		return border.Problemf(border.CodeUnsupportedMediaType,
			"Content-Type is %s; it must be application/json, in UTF-8", border.Quote(req.Header.ContentType()))
	}
	if encoding := req.Header.ContentEncoding(); len(encoding) > 0 {
		return border.Problemf(border.CodeUnsupportedMediaType,
			"Content-Encoding is %s; send the body as it is", border.Quote(encoding))
	}
	return nil
}

// isJSON takes application/json, with charset=utf-8 or without parameters: RFC
// 8259 defines none, and another charset would be read wrongly.
func isJSON(contentType []byte) bool {
	media, parameter, _ := bytes.Cut(contentType, []byte(";"))
	if !bytes.EqualFold(bytes.TrimSpace(media), jsonType) {
		return false
	}
	name, value, _ := bytes.Cut(bytes.TrimSpace(parameter), []byte("="))
	return len(name) == 0 ||
		bytes.EqualFold(name, []byte("charset")) && bytes.EqualFold(bytes.Trim(value, `"`), []byte("utf-8"))
}

// limits sets how much of a body is read, before any of it is.
func (d *door) limits(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	path, _ := splitTarget(h.RequestURI())
	by := d.rules.Load()
	r := by.match(path, new(ids))
	switch n := h.ContentLength(); {
	case r.streamsBody(h):
		withoutBody(h)
		return fasthttp.RequestConfig{}
	case n == -1:
		// Chunked, to be refused whatever it holds: read as little as
		// fasthttp allows, where 0 would mean its default of 4 MB.
		return fasthttp.RequestConfig{MaxRequestBodySize: 1}
	case n <= 0:
		return fasthttp.RequestConfig{}
	}
	if by.surfaceOf(path) != nil {
		return fasthttp.RequestConfig{MaxRequestBodySize: listLimit}
	}
	if r != nil {
		return fasthttp.RequestConfig{MaxRequestBodySize: r.limit}
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: strayLimit}
}

// strayLimit is how much of a body is read that no route wants, so that the
// connection can go on.
const strayLimit = 16 << 10

// unread answers a request that fasthttp could not read to its end; it then
// closes the connection.
func (d *door) unread(ctx *fasthttp.RequestCtx, err error) {
	if c, ok := ctx.Conn().(*conn); ok {
		if !c.spoke {
			// A connection that was opened ahead and never used ends silently:
			// clients take an answer without a question for a fault of ours.
			c.mute = true
			return
		}
		// An error is a connection that has ended: nobody will read anyway.
		_ = c.allowWrite()
	}
	hangUp(ctx)
	problem, label := unreadProblem(&ctx.Request.Header, err), (*route)(nil).label()
	if s := d.surfaceOfUnread(ctx); s != nil {
		s.Fail(ctx, problem)
		label = s.Name() + " none"
	} else {
		writeProblem(&ctx.Response, problem)
	}
	d.metrics.count(label, methodOther, ctx.Response.StatusCode())
}

// surfaceOfUnread finds who owns the path of a request that could not be read to
// its end. Its header was read, or not, or read and cleared.
func (d *door) surfaceOfUnread(ctx *fasthttp.RequestCtx) Surface {
	by := d.rules.Load()
	path, _ := splitTarget(ctx.Request.Header.RequestURI())
	if s := by.surfaceOf(path); s != nil {
		return s
	}
	if c, ok := ctx.Conn().(*conn); ok {
		path, _ = splitTarget(c.target())
	}
	return by.surfaceOf(path)
}

func unreadProblem(h *fasthttp.RequestHeader, err error) border.Problem {
	var (
		small   *fasthttp.ErrSmallBuffer
		timeout net.Error
	)
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		// fasthttp clears the header when a chunked body fails, and only then.
		if h.ContentLength() <= 0 {
			return errChunked()
		}
		return border.Problemf(border.CodeTooLarge, "the body has %d bytes, more than this path takes", h.ContentLength())
	case errors.As(err, &small):
		return border.Problemf(border.CodeHeaderTooLarge, "request line and header together may have %d bytes", readBufferSize)
	case errors.As(err, &timeout) && timeout.Timeout():
		return border.Problemf(border.CodeRequestTimeout, "the request did not arrive in time")
	}
	// err quotes the request, credentials included: it goes nowhere.
	return border.Problemf(border.CodeBadRequest, "the request is not well-formed HTTP/1.1")
}
