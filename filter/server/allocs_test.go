package server

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// stepConn is a connection in memory that hands the server one write of the
// client at a time and waits for the answer.
type stepConn struct {
	net.Conn
	sent     chan []byte
	unread   []byte
	answered chan struct{}
	answer   []byte // valid until the next step
}

func newStepConn() *stepConn {
	return &stepConn{sent: make(chan []byte), answered: make(chan struct{}), answer: make([]byte, 0, 64<<10)}
}

func (c *stepConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		more, ok := <-c.sent
		if !ok {
			return 0, io.EOF
		}
		c.unread = more
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *stepConn) Write(p []byte) (int, error) {
	c.answer = append(c.answer[:0], p...)
	c.answered <- struct{}{}
	return len(p), nil
}

// step sends one write and returns what is written back.
func (c *stepConn) step(raw []byte) []byte {
	c.sent <- raw
	<-c.answered
	return c.answer
}

func (c *stepConn) Close() error                       { return nil }
func (c *stepConn) SetReadDeadline(_ time.Time) error  { return nil }
func (c *stepConn) SetWriteDeadline(_ time.Time) error { return nil }

// serveSteps serves one connection in memory as a listener serves sockets, until
// the test ends.
func serveSteps(t testing.TB, l *Listener) *stepConn {
	c := newStepConn()
	done := make(chan error, 1)
	go func() { done <- l.server.ServeConn(l.newConn(c)) }()
	t.Cleanup(func() {
		close(c.sent)
		if err := <-done; err != nil {
			t.Errorf("ServeConn = %v", err)
		}
	})
	return c
}

func newCheckListener(t testing.TB, w *world, opts Options) *Listener {
	t.Helper()
	l, err := NewCheck(w.filter, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newCheckServer is the part of fasthttp, beneath which there is nothing quick.
func newCheckServer(t testing.TB, w *world, opts Options) *fasthttp.Server {
	t.Helper()
	return newCheckListener(t, w, opts).server
}

// slow takes quick away from a listener, so that fasthttp answers everything.
func slow(l *Listener) *Listener {
	l.quick = nil
	return l
}

// TestHitAllocatesNothing measures from the bytes of the request to the bytes of
// the answer: reading and parsing, routing, arguments, decision, answer.
func TestHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	stale := func(o *filter.Options) { o.SoftBound = time.Nanosecond }
	for _, c := range []struct {
		name, raw, want string
		opts            Options
		change          []func(*filter.Options)
	}{
		{"blocked", request("GET", goodTarget, ""), dropped, Options{}, nil},
		{"allowed", request("GET", "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct", ""), delivered, Options{}, nil},
		{
			"every argument, escaped",
			request("GET", "/v1/can-deliver?%73ender=a%2Fb+c%2B%C3%BC%3F%23%26%3D%25&recipient=bob&room_type=gr%6Fup&room=r1&app=default&notify_blocked=0&verify=1&origin=server", ""),
			`{"deliver":true,"notify":false,"action":"deliver","reason":"recipient_blocked_sender"}`, Options{}, nil,
		},
		{"two-way, blocked", request("GET", "/v1/can-deliver?app=acme&sender=bob&recipient=alice&room_type=direct", ""), `"reason":"sender_blocked_recipient"`, Options{}, nil},
		{"two-way", request("GET", "/v1/can-deliver?app=acme&sender=x&recipient=y&room_type=direct", ""), delivered, Options{}, nil},
		{"status only", request("GET", goodTarget+"&status=1", ""), "HTTP/1.1 403 Forbidden", Options{}, nil},
		{"with a token", request("GET", goodTarget, "", "Authorization", "Bearer all"), dropped, Options{Auth: tokens()}, nil},
		{"stale", request("GET", goodTarget, ""), `,"stale_ms":`, Options{}, []func(*filter.Options){stale}},
		{"as JSON", request("POST", "/v1/can-deliver", `{"sender":"al\u0069ce","recipient":"bob","room_type":"direct","verify":true}`), dropped, Options{}, nil},
	} {
		// Metrics are on, as they are in the program, and both ways of reading a
		// request are measured.
		c.change = append(c.change, func(o *filter.Options) { o.Metrics = filter.NewMetrics(prometheus.NewRegistry()) })
		for by, l := range map[string]*Listener{
			"quick":    newCheckListener(t, blockedWorld(t, c.change...), c.opts),
			"fasthttp": slow(newCheckListener(t, blockedWorld(t, c.change...), c.opts)),
		} {
			steps := serveSteps(t, l)
			raw := []byte(c.raw)
			if got := steps.step(raw); !bytes.Contains(got, []byte(c.want)) {
				t.Errorf("%s, by %s: %s", c.name, by, got)
				continue
			}
			if n := testing.AllocsPerRun(2000, func() { steps.step(raw) }); n != 0 {
				t.Errorf("%s, by %s: %v allocations for one request, want none", c.name, by, n)
			}
		}
	}
}

// TestNobodyWaitsForALock: a connection that has been accepted is answered while
// somebody holds the lock of the listener for as long as they like.
func TestNobodyWaitsForALock(t *testing.T) {
	l := newCheckListener(t, blockedWorld(t), Options{})
	steps := serveSteps(t, l)
	steps.step([]byte(request("GET", goodTarget, "")))
	l.mu.Lock()
	defer l.mu.Unlock()
	for range 100 {
		if got := steps.step([]byte(request("GET", goodTarget, ""))); !bytes.Contains(got, []byte(dropped)) {
			t.Fatalf("%s", got)
		}
	}
}

// TestPipelinedHitsAllocateNothing is the same with sixteen requests in one
// write, as a chat server under load sends them.
func TestPipelinedHitsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	steps := serveSteps(t, newCheckListener(t, blockedWorld(t), Options{}))
	raw := []byte(strings.Repeat(request("GET", goodTarget, ""), 16))
	if got := steps.step(raw); bytes.Count(got, []byte(dropped)) != 16 {
		t.Fatalf("%s", got)
	}
	if n := testing.AllocsPerRun(1000, func() { steps.step(raw) }); n != 0 {
		t.Errorf("%v allocations for sixteen requests, want none", n)
	}
}

// TestAllocationsAreSeen: the measurement above notices what allocates.
func TestAllocationsAreSeen(t *testing.T) {
	steps := serveSteps(t, newCheckListener(t, blockedWorld(t), Options{}))
	raw := []byte(request("GET", "/v1/can-deliver?sendr=x", ""))
	if n := testing.AllocsPerRun(100, func() { steps.step(raw) }); n < 1 {
		t.Errorf("an error is rendered with %v allocations: the measurement is blind", n)
	}
}
