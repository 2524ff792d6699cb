package server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// manyBodies are a fan-out to n recipients and a batch of n checks, one in ten of
// them blocked.
func manyBodies(n int) (fanout, batch string) {
	var recipients, checks []string
	for i := range n {
		id := fmt.Sprintf("user-%08d-of-many", i)
		if i%10 == 0 {
			id = "bob"
		}
		recipients = append(recipients, fmt.Sprintf("%q", id))
		checks = append(checks, fmt.Sprintf(`{"sender":"alice","recipient":%q,"room_type":"direct"}`, id))
	}
	fanout = `{"sender":"alice","room_type":"direct","recipients":[` + strings.Join(recipients, ",") + `]}`
	return fanout, `{"checks":[` + strings.Join(checks, ",") + `]}`
}

// turnConn is a connection in memory that hands the server one request at a time
// and takes answers of any length: one is complete when the server reads again.
type turnConn struct {
	net.Conn
	sent   chan []byte
	unread []byte
	turns  chan struct{}
	answer []byte // valid until the next turn
}

func (c *turnConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		c.turns <- struct{}{}
		more, ok := <-c.sent
		if !ok {
			return 0, io.EOF
		}
		c.unread, c.answer = more, c.answer[:0]
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *turnConn) Write(p []byte) (int, error) {
	c.answer = append(c.answer, p...)
	return len(p), nil
}

// turn sends one request and returns its answer.
func (c *turnConn) turn(raw []byte) []byte {
	c.sent <- raw
	<-c.turns
	return c.answer
}

func (c *turnConn) Close() error                       { return nil }
func (c *turnConn) SetReadDeadline(_ time.Time) error  { return nil }
func (c *turnConn) SetWriteDeadline(_ time.Time) error { return nil }

// serveTurns serves one connection in memory until the test ends.
func serveTurns(t testing.TB, server *fasthttp.Server) *turnConn {
	c := &turnConn{sent: make(chan []byte), turns: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- server.ServeConn(&conn{Conn: c}) }()
	<-c.turns
	t.Cleanup(func() {
		close(c.sent)
		if err := <-done; err != nil {
			t.Errorf("ServeConn = %v", err)
		}
	})
	return c
}

// TestManyHitsAllocateNothing measures from the bytes of the request to the bytes
// of the answer: no part of a fan-out or batch costs an allocation.
func TestManyHitsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	// Buffers live in pools, which a collection of garbage empties.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	fanout, batch := manyBodies(1000)
	for name, text := range map[string]string{
		"fan-out": request("POST", fanoutPath, fanout), "batch": request("POST", pairsPath, batch),
	} {
		c, raw := serveTurns(t, newCheckServer(t, blockedWorld(t), Options{})), []byte(text)
		for range 20 { // the buffers reach their sizes
			if got := c.turn(raw); bytes.Count(got, []byte("recipient_blocked_sender")) != 100 {
				t.Fatalf("%s: %.300s", name, got)
			}
		}
		if n := testing.AllocsPerRun(100, func() { c.turn(raw) }); n > 0 {
			t.Errorf("%s: %v allocations for 1,000 hits", name, n)
		}
	}
}

// BenchmarkMany measures ten thousand recipients, and a thousand checks, from
// bytes to bytes, beside what fasthttp alone takes for the same bytes.
func BenchmarkMany(b *testing.B) {
	fanout, _ := manyBodies(maxFanout)
	_, batch := manyBodies(maxPairs)
	noop := newCheckServer(b, blockedWorld(b), Options{})
	noop.Handler = func(ctx *fasthttp.RequestCtx) { ctx.Response.SetBodyRaw(ctx.Request.Body()[:1]) }
	server := newCheckServer(b, blockedWorld(b), Options{})
	for _, c := range []struct {
		name   string
		server *fasthttp.Server
		raw    string
		n      int
	}{
		{"noop-fanout", noop, request("POST", fanoutPath, fanout), maxFanout},
		{"fanout", server, request("POST", fanoutPath, fanout), maxFanout},
		{"noop-batch", noop, request("POST", pairsPath, batch), maxPairs},
		{"batch", server, request("POST", pairsPath, batch), maxPairs},
	} {
		b.Run(c.name, func(b *testing.B) {
			conn, raw := serveTurns(b, c.server), []byte(c.raw)
			conn.turn(raw)
			b.ReportAllocs()
			for b.Loop() {
				conn.turn(raw)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.n), "ns/decision")
		})
	}
}
