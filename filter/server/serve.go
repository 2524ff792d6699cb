package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/sidegate/sidegate/metrics/border"
)

// fasthttp can accept by itself. It is not asked to, because its worker pool has
// goroutines that nobody can wait for, and because it takes "too many open
// files" for the end of the listener instead of a reason to pause.

// The pause after a failed accept doubles from one to the other.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

func (l *Listener) accept(ctx context.Context, from net.Listener) error {
	pause := minAcceptPause
	for {
		nc, err := from.Accept()
		switch {
		case err == nil:
			pause = minAcceptPause
			l.admit(nc)
		case ctx.Err() != nil:
			return nil // closed by Run
		case !passes(err):
			return fmt.Errorf("server: %s listener: accept on %s: %w", l.door.name, from.Addr(), err)
		default:
			l.opts.Logger.Warn("accepting pauses", "listener", string(l.door.name), "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, maxAcceptPause)
		}
	}
}

// passes reports whether an accept may succeed later: the process or the machine
// is out of something, or the client has already gone.
func passes(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (l *Listener) newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, wire: nc, quick: l.quick, writeTimeout: l.opts.WriteTimeout}
	if l.opts.TLS != nil && nc.LocalAddr().Network() != "unix" {
		c.Conn = tls.Server(nc, l.opts.TLS)
	}
	return c
}

// admit gives a connection a goroutine of its own.
func (l *Listener) admit(nc net.Conn) {
	c := l.newConn(nc)
	l.mu.Lock()
	full := len(l.open) >= l.opts.Concurrency
	if !full {
		l.open[c] = struct{}{}
	}
	l.mu.Unlock()
	if full {
		l.refuse(c)
		return
	}
	l.served.Add(1)
	go l.serve(c)
}

func (l *Listener) serve(c *conn) {
	defer l.served.Done()
	defer func() {
		l.mu.Lock()
		delete(l.open, c)
		l.mu.Unlock()
		if c.counts != nil {
			l.filter.CloseCounts(c.counts)
		}
	}()
	defer func() {
		// Handlers are caught by their door. This is for the parser beneath
		// it: no bytes that anybody sends may end the process.
		if v := recover(); v != nil {
			l.opts.Logger.Error("serving a connection panicked", "listener", string(l.door.name),
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			_ = c.Conn.Close()
		}
	}()
	if c.Conn != c.wire && !l.shakeHands(c) {
		return
	}
	// Its error is the client's doing, such as a reset, and was answered where
	// that was possible.
	_ = l.server.ServeConn(c)
	if c.hijacked {
		<-c.released
	}
}

// refuseTime bounds the write of a refusal; it holds up the accept loop.
const refuseTime = 100 * time.Millisecond

// refuse answers a connection that is one too many. Over TLS there is no answer
// that costs less than serving it would.
func (l *Listener) refuse(c *conn) {
	nc := c.wire
	if c.Conn != nc {
		_ = nc.Close()
		return
	}
	p := border.Problemf(border.CodeOverloaded, "the listener has as many connections as it may have")
	doc := p.JSON()
	answer := fmt.Appendf(nil, "HTTP/1.1 %d Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %d\r\n"+
		"Retry-After: 1\r\nConnection: close\r\n\r\n%s", p.Status(), border.ContentType, len(doc), doc)
	if nc.SetWriteDeadline(time.Now().Add(refuseTime)) == nil {
		_, _ = nc.Write(answer)
	}
	_ = nc.Close()
}
