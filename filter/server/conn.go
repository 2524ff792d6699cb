package server

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// conn is a connection, with what the end of it depends on.
type conn struct {
	net.Conn

	// wire is what Conn stands on: the same, or what TLS is spoken over.
	wire net.Conn

	busy atomic.Bool // a request is being read or answered

	// streaming: a body without a limit is being read.
	streaming atomic.Bool

	writeTimeout time.Duration // how long the client may take to read an answer

	// Only the goroutine that serves the connection touches what follows.

	// quick answers plain checks beneath fasthttp; nil: all is fasthttp's.
	quick *quick
	out   []byte // its answers that have not been written yet
	spare []byte // its copy of a query that must be decoded
	// counts counts the decisions that are asked for here; nil: there were none.
	counts *filter.Counts
	// spoke: a byte has come to fasthttp.
	spoke bool

	// mute drops what would be written.
	mute bool
	// linger: the client may still be sending. Closing at once would make the
	// kernel answer those bytes with a reset, and a reset destroys the answer
	// before the client has read it.
	linger bool
	// released is closed when a handler that took the connection over has let
	// go of it; hijacked says that fasthttp has handed it over.
	released chan struct{}
	hijacked bool
	// opening is what the client said first since it was last answered: of a
	// request that fasthttp cannot read to its end, nothing else is left.
	opening  [128]byte
	opened   int
	answered bool
}

const (
	// A client that reads its answer only when all is sent must come to that on
	// a busy machine too: a body that some route would take is heard out.
	lingerTime  = 2 * time.Second
	lingerBytes = maxBody
)

// Read implements [net.Conn]. Between two requests it is quick who reads first,
// and what it leaves is fasthttp's.
func (c *conn) Read(p []byte) (n int, err error) {
	if c.quick == nil || c.busy.Load() || c.quick.rules() == nil {
		n, err = c.Conn.Read(p)
	} else {
		n, err = c.quick.serve(c, p)
	}
	if n > 0 {
		c.note(p[:n])
	}
	return n, err
}

// note notes that the client has begun to speak, and how.
func (c *conn) note(said []byte) {
	c.spoke = true
	if !c.busy.Load() {
		c.busy.Store(true)
	}
	if c.answered {
		c.opened, c.answered = 0, false
	}
	c.opened += copy(c.opening[c.opened:], said)
}

// target is that of the request that the client opened with, as far as it is
// known. Of requests that were sent without waiting for answers it is the first.
func (c *conn) target() []byte {
	_, target, _ := bytes.Cut(c.opening[:c.opened], []byte(" "))
	if end := bytes.IndexAny(target, " \r\n"); end >= 0 {
		target = target[:end]
	}
	return target
}

// goOn asks for the body of a request; it answers nothing.
var goOn = []byte("HTTP/1.1 100 ")

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	if c.mute {
		return len(p), nil
	}
	if !bytes.HasPrefix(p, goOn) {
		c.answered = true
	} else if err := c.allowWrite(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// allowWrite sets the deadline of an answer for which fasthttp sets none: it would
// have to keep that of the answer before, which has run out after a pause.
func (c *conn) allowWrite() error { return c.SetWriteDeadline(time.Now().Add(c.writeTimeout)) }

// Close closes the connection, after hearing out a client that was answered
// before it had finished. It is called by the goroutine that serves it; others
// close the wire.
func (c *conn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger {
		if half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
	}
	return c.Conn.Close()
}

// countsOf returns what counts the decisions of a connection. Whoever serves it
// gives it back.
func countsOf(nc net.Conn, f *filter.Filter) *filter.Counts {
	c, ok := nc.(*conn)
	if !ok {
		return nil
	}
	if c.counts == nil {
		c.counts = f.NewCounts()
	}
	return c.counts
}

// hurry ends the reading of a body without a limit, in the manner of stop and as
// often.
func (c *conn) hurry() {
	if c.streaming.Load() {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// stop ends the connection if no request is under way. It is not closed but made
// to run out of time: a request that arrives in this very moment is answered. As
// fasthttp may just be setting a deadline of its own, stop is to be repeated.
func (c *conn) stop() {
	if !c.busy.Load() {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// hangUp closes the connection of a request behind which nothing can be trusted.
func hangUp(ctx *fasthttp.RequestCtx) {
	ctx.SetConnectionClose()
	if c, ok := ctx.Conn().(*conn); ok {
		c.linger = true
	}
}

// trackState is the ConnState hook of fasthttp. It calls a connection active
// before the first byte of its first request; conn.spoke tells the difference.
func trackState(nc net.Conn, state fasthttp.ConnState) {
	if c, ok := nc.(*conn); ok {
		c.hijacked = state == fasthttp.StateHijacked
		c.busy.Store(state == fasthttp.StateActive && c.spoke || c.hijacked)
	}
}
