package metrics

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// crowd opens connections of which none sends a whole request. They are accepted in
// their order, and before any that is opened later.
func crowd(t *testing.T, base string, n int) []net.Conn {
	t.Helper()
	all := make([]net.Conn, n)
	for i := range all {
		all[i] = dialOps(t, base)
		if _, err := io.WriteString(all[i], []string{"", "G", "GET /livez HTTP/1.1\r\nHost: h\r\nX-"}[i%3]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestACrowdKeepsNobodyOut: connections that say nothing make room for one that
// asks, the oldest first, and are never more than the limit.
func TestACrowdKeepsNobodyOut(t *testing.T) {
	const most = 4
	o := newTestOps(t, OpsOptions{})
	limit := newConnections(most)
	o.server.ConnState = limit.track
	base := serveOps(t, o)
	silent := crowd(t, base, 3*most)
	if a := ask(t, "GET", base+"/livez"); a.status != 200 {
		t.Errorf("a probe beside a crowd: %d %s", a.status, a.body)
	}
	// Those before the last four have been closed to make room, and one more for
	// the probe. Reading ends with that; the others would be read for long.
	for i, nc := range silent[:2*most+1] {
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Errorf("connection %d of %d was answered", i, len(silent))
		} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Errorf("connection %d of %d is open", i, len(silent))
		}
	}
	limit.mu.Lock()
	defer limit.mu.Unlock()
	if len(limit.open) > most {
		t.Errorf("%d connections are open, more than %d", len(limit.open), most)
	}
}

// TestACrowdWithoutLimit shows what the limit is for: without it all of them are held.
func TestACrowdWithoutLimit(t *testing.T) {
	o := newTestOps(t, OpsOptions{})
	limit := newConnections(1 << 20)
	o.server.ConnState = limit.track
	base := serveOps(t, o)
	crowd(t, base, 100)
	if a := ask(t, "GET", base+"/livez"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	limit.mu.Lock()
	defer limit.mu.Unlock()
	if len(limit.open) < 100 {
		t.Errorf("of 100 connections %d are held", len(limit.open))
	}
	if newTestOps(t, OpsOptions{}).server.ConnState == nil {
		t.Error("an ops listener has no limit")
	}
}

// TestRequestsUnderWayStay: nothing that is being answered is cut off for a new
// connection, which is refused then.
func TestRequestsUnderWayStay(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	o := newTestOps(t, OpsOptions{})
	o.server.ConnState = newConnections(2).track
	o.Handle("GET /slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-leave
		writeText(w, http.StatusOK, "done")
	}))
	base := serveOps(t, o)
	answers := make(chan answer, 2)
	for range 2 {
		go func() { answers <- ask(t, "GET", base+"/slow") }()
		<-entered
	}
	late := dialOps(t, base)
	if n, err := late.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a third connection is served")
	}
	close(leave)
	for range 2 {
		if a := <-answers; a.status != 200 || a.body != "done" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}
