package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// A body without a limit is read while it arrives. fasthttp can do that, but only
// for all requests of a server alike, and then the limits and refusals that hold
// for bodies of known length would have to be made anew. So a route that streams
// is told to fasthttp as one without a body; what follows the header is read here,
// after fasthttp has handed over the connection, which such a request ends.

// paceBytes is how much of a body must arrive within Options.StreamTimeout.
const paceBytes = 64 << 10

// withoutBody makes fasthttp leave the body of a streamed request where it is.
// The header as it was sent still says how long it is.
func withoutBody(h *fasthttp.RequestHeader) { h.SetContentLength(0) }

// framing is how a body ends, by the header lines as they were sent.
type framing struct {
	length  int64
	chunked bool
}

var contentLength = []byte("content-length:")

// framingOf reads lines that fasthttp has taken: each of the two names is there
// once at most, and a length is a number.
func framingOf(raw []byte) (f framing, err error) {
	var measured bool
	for line := range bytes.Lines(raw) {
		if len(line) == 0 || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		if value, ok := cutName(line, contentLength); ok {
			measured = true
			if f.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || f.length < 0 {
				return framing{}, border.Problemf(border.CodeBadRequest, "the Content-Length is no length")
			}
		}
		if value, ok := cutName(line, transferEncoding); ok {
			if !bytes.EqualFold(value, []byte("chunked")) {
				return framing{}, errChunked()
			}
			f.chunked = true
		}
	}
	if f.chunked && measured {
		return framing{}, border.Problemf(border.CodeBadRequest, "send a Content-Length or a Transfer-Encoding, not both")
	}
	return f, nil
}

func cutName(line, name []byte) (value []byte, ok bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], name) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// pacedConn reads from a client that must keep a pace. Only the time spent on
// waiting for it counts: while its lines are being stored it cannot send.
type pacedConn struct {
	nc   net.Conn
	from io.Reader // what has been read ahead, then nc
	pace time.Duration
	// hurrying ends the reading; whoever sets it ends the read that is under way.
	hurrying *atomic.Bool

	left  time.Duration // for the rest of the present paceBytes
	bytes int           // of them that have arrived
}

// errHurried: what was left of a body is not read, because the listener ends.
var errHurried = errors.New("the listener ends")

func (p *pacedConn) Read(b []byte) (int, error) {
	if p.left == 0 {
		p.left = p.pace
	}
	begun := time.Now()
	if err := p.nc.SetReadDeadline(begun.Add(p.left)); err != nil {
		return 0, err
	}
	// After the deadline, not before: one that was set to end a read would be
	// moved by ours, and this read would wait for its client.
	if p.hurrying.Load() {
		return 0, errHurried
	}
	n, err := p.from.Read(b)
	if n == 0 && err != nil && p.hurrying.Load() {
		return 0, errHurried
	}
	p.left = max(p.left-time.Since(begun), 1)
	if p.bytes += n; p.bytes >= paceBytes {
		p.bytes, p.left = 0, 0
	}
	return n, err
}

// measured reads a body of a known length, of which an early end is no end.
type measured struct {
	from io.Reader
	left int64
}

func (m *measured) Read(b []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	n, err := m.from.Read(b[:min(int64(len(b)), m.left)])
	if m.left -= int64(n); err == io.EOF && m.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// body is the reader of a body as its framing says.
func (f framing) body(from io.Reader) *marked {
	if f.chunked {
		return &marked{from: httputil.NewChunkedReader(from)}
	}
	return &marked{from: &measured{from: from, left: f.length}}
}

// bodyError is a failure to read a body, which is never a failure of ours.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

// marked marks the errors of a body.
type marked struct {
	from  io.Reader
	ended bool // there is no more of it, or what there is cannot be read
}

func (m *marked) Read(b []byte) (int, error) {
	n, err := m.from.Read(b)
	m.ended = m.ended || err != nil
	if err != nil && err != io.EOF {
		err = bodyError{err}
	}
	return n, err
}

// brokenBody says why a body could not be read to its end; ok is false if err is
// about something else.
func brokenBody(err error) (p border.Problem, ok bool) {
	var broken bodyError
	switch {
	case !errors.As(err, &broken):
		return border.Problem{}, false
	case errors.Is(err, errHurried):
		return border.Problemf(border.CodeNotReady, "the process is being stopped"), true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return border.Problemf(border.CodeRequestTimeout, "the body did not arrive in time"), true
	}
	return border.Problemf(border.CodeBadRequest, "the body ended too early, or its chunks are malformed"), true
}

// streamed answers a request whose body it reads while it arrives. It returns
// what a handler would.
type streamed func(resp *fasthttp.Response, body io.Reader) error

// takeOver has a request answered by a function that reads its body. The handler
// that calls it has read all of the request that it needs: nothing of ctx is left
// then. The connection is closed afterwards.
func (d *door) takeOver(ctx *fasthttp.RequestCtx, in input, f framing, answer streamed) {
	c, ok := ctx.Conn().(*conn)
	if !ok {
		return // not served by a Listener
	}
	begun, w, r := ctx.Time(), in.work, in.route // the rest of the input ends with the handler
	c.released = make(chan struct{})
	c.streaming.Store(true)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(nc net.Conn) {
		defer close(c.released)
		var resp fasthttp.Response
		body := f.body(&pacedConn{nc: c, from: nc, pace: d.streamTimeout, hurrying: &d.hurrying})
		if err := d.guarded(answer, &resp, body); err != nil {
			d.fail(w.base, &resp, r, err)
		}
		c.streaming.Store(false)
		resp.SetConnectionClose()
		d.conclude(c, &resp, body.ended)
		w.ended(r.label(), resp.StatusCode())
		if d.metrics != nil {
			d.metrics.observe(r.label(), methodPost, resp.StatusCode(), time.Since(begun))
		}
	})
}

// conclude writes the answer and closes the connection.
//
// An answer that comes before the body has ended meets a client who is still
// sending. What it sends is read and dropped, for as long as a piece of a body may
// take: one who reads only when all is sent would never come to the answer, and to
// one who reads meanwhile, bytes that nobody took would make the kernel send a
// reset, which destroys the answer.
func (d *door) conclude(c *conn, resp *fasthttp.Response, ended bool) {
	var dropping sync.WaitGroup
	if c.linger = ended; !ended {
		dropping.Go(func() { c.drop(time.Now().Add(d.streamTimeout)) })
	}
	if c.SetWriteDeadline(time.Now().Add(d.streamTimeout)) == nil {
		out := bufio.NewWriter(c)
		if resp.Write(out) == nil {
			_ = out.Flush() // a client that has gone misses its answer
		}
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && !ended {
		_ = half.CloseWrite() // the connection ends in a moment
	}
	dropping.Wait()
	// Closed here, for whoever waits for released may close the rest.
	_ = c.Close()
}

// drop reads what a client still sends, until it ends or the time is over. A read
// that somebody has ended before, because the body was still wanted then, is begun
// anew.
func (c *conn) drop(until time.Time) {
	for time.Now().Before(until) && c.SetReadDeadline(until) == nil {
		if _, err := io.Copy(io.Discard, c.Conn); !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// guarded turns a panic into an error, as call does for handlers.
func (d *door) guarded(answer streamed, resp *fasthttp.Response, body io.Reader) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return answer(resp, body)
}
