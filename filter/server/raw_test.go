package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const goodTarget = "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct"

// smuggled is a second request behind the one under test. Where the answer to
// the first closes the connection it must never be answered.
const smuggled = "GET /v1/can-deliver?sender=bob&recipient=alice&room_type=direct HTTP/1.1\r\nHost: h\r\n\r\n"

// TestAccepted is the other side of TestFraming: odd, but of one meaning.
func TestAccepted(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	const get = "GET " + goodTarget + " HTTP/1.1\r\nHost: h\r\n"
	for name, raw := range map[string]string{
		"plain":                   get + "\r\n",
		"absolute form":           "GET http://other" + goodTarget + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"a header of 7 kB":        get + "X-One: " + strings.Repeat("a", 7<<10) + "\r\n\r\n",
		"a header beginning in t": get + "Te: trailers\r\nTransfer: x\r\n\r\n",
		"an empty line before":    "\r\n" + get + "\r\n",
		"a blank in the value":    get + "X-One:   a   b  \r\n\r\n",
		"a body":                  request("POST", "/v1/can-deliver", `{"sender":"alice","recipient":"bob","room_type":"direct"}`),
	} {
		if all := r.send(raw, 1); len(all) != 1 || all[0].status != 200 || all[0].body != dropped {
			t.Errorf("%s: %+v", name, all)
		}
	}
	old := "GET " + goodTarget + " HTTP/1.0\r\n\r\n"
	if all := r.send(old+old, 0); len(all) != 1 || all[0].status != 200 {
		t.Errorf("HTTP/1.0: %+v, want one answer and the end of the connection", all)
	}
	for target, code := range map[string]string{
		"http://other": "not_found", "http://other?x=1": "not_found", "http://other/metrics": "wrong_listener",
	} {
		if a := r.get(target); a.status != 404 || a.code(t) != code {
			t.Errorf("%s = %d %s", target, a.status, a.body)
		}
	}
}

// TestExpectContinue: whoever asks "may I send it?" is told to.
func TestExpectContinue(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	const post = "POST /v1/can-deliver HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
	body := `{"sender":"alice","recipient":"bob","room_type":"direct"}`
	all := r.send(post+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), 2)
	if len(all) != 2 || all[0].status != 100 || all[1].body != dropped {
		t.Errorf("%+v", all)
	}
}

// TestPipelining: a chat server may send its next checks without waiting; they
// are answered in their order.
func TestPipelining(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	const n = 200
	var raw strings.Builder
	for i := range n {
		sender := "alice"
		if i%3 == 0 {
			sender = fmt.Sprintf("user-%d", i)
		}
		raw.WriteString(request("GET", "/v1/can-deliver?sender="+sender+"&recipient=bob&room_type=direct", ""))
	}
	all := r.send(raw.String(), n)
	if len(all) != n {
		t.Fatalf("%d answers to %d requests", len(all), n)
	}
	for i, a := range all {
		want := dropped
		if i%3 == 0 {
			want = delivered
		}
		if a.status != 200 || a.body != want {
			t.Fatalf("answer %d is %d %s, want %s", i, a.status, a.body, want)
		}
	}
}

// TestPipeliningMixed: whatever stands behind a plain request in the same bytes is
// answered at once, although nothing more is sent.
func TestPipeliningMixed(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	plain := request("GET", goodTarget, "")
	for name, raw := range map[string]string{
		"a POST":            request("POST", "/v1/can-deliver", `{"sender":"alice","recipient":"bob","room_type":"direct"}`),
		"an unknown header": request("GET", goodTarget, "", "X-Anything", "1"),
		"an argument":       request("GET", goodTarget+"&status=0", ""),
	} {
		nc := r.dial()
		if err := nc.SetDeadline(time.Now().Add(patience / 5)); err != nil { // less than ReadTimeout
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, plain+raw); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(nc)
		for i := range 2 {
			if a, err := readAnswer(in, false); err != nil || a.body != dropped {
				t.Errorf("%s, answer %d: %+v, %v", name, i, a, err)
			}
		}
		nc.Close()
	}
}

// TestBuffersDoNotLeak sends long and short ids through one connection, so that
// each request lies over the remains of the one before (Invariant 10).
func TestBuffersDoNotLeak(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("a", 200)
	w.block(long, "x")
	w.block("b", long)
	r := runCheck(t, w, Options{})
	ask := func(sender, recipient string) string {
		return request("GET", "/v1/can-deliver?sender="+sender+"&recipient="+recipient+"&room_type=direct", "")
	}
	want := []string{dropped, delivered, dropped, delivered, dropped}
	all := r.send(ask("x", long)+ask("x", "b")+ask(long, "b")+ask("b", long)+ask("x", long), len(want))
	for i, a := range all {
		if a.body != want[i] {
			t.Errorf("answer %d is %s, want %s", i, a.body, want[i])
		}
	}
}

// TestPartialHeader: silence in the middle of a request ends the connection,
// with an answer; silence before one ends it without.
func TestPartialHeader(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{ReadTimeout: 50 * time.Millisecond})
	all := r.send("GET /v1/can-del", 0)
	if len(all) != 1 || all[0].status != 408 || all[0].code(t) != "request_timeout" {
		t.Errorf("half a request: %+v", all)
	}
	body := "POST /v1/can-deliver HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	if all := r.send(body, 0); len(all) != 1 || all[0].status != 408 {
		t.Errorf("half a body: %+v", all)
	}
	nc := r.dial()
	defer nc.Close()
	if got, err := io.ReadAll(nc); err != nil || len(got) > 0 {
		t.Errorf("an unused connection ended with %q, %v", got, err)
	}
}

// TestClientThatLeaves: a connection cut in the middle harms nobody.
func TestClientThatLeaves(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	for _, part := range []string{"", "G", "GET /", request("GET", goodTarget, "")} {
		nc := r.dial()
		_, _ = io.WriteString(nc, part)
		if tcp, ok := nc.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset instead of an orderly end
		}
		nc.Close()
	}
	if a := r.get(goodTarget); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.stop()
	if log := r.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		t.Errorf("the log speaks of what clients do: %s", log)
	}
}

// FuzzConnection feeds bytes to the whole listener: it must answer or close, and
// go on serving others.
func FuzzConnection(f *testing.F) {
	f.Add([]byte(request("GET", goodTarget, "")))
	f.Add([]byte(request("POST", "/v1/can-deliver", `{"sender":"a"}`)))
	f.Add([]byte("GET /v1/can-deliver?%zz HTTP/1.1\r\nHost: h\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	w := blockedWorld(f)
	l, err := NewCheck(w.filter, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &memoryConn{in: bytes.NewReader(raw)}
		_ = l.server.ServeConn(l.newConn(c))
		if out := c.out.Bytes(); len(out) > 0 && !bytes.HasPrefix(out, []byte("HTTP/1.")) {
			t.Fatalf("%q is answered %.100q", raw, out)
		}
	})
}

// memoryConn is a connection whose client has said all it will say.
type memoryConn struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *memoryConn) Read(p []byte) (int, error)         { return c.in.Read(p) }
func (c *memoryConn) Write(p []byte) (int, error)        { return c.out.Write(p) }
func (c *memoryConn) Close() error                       { return nil }
func (c *memoryConn) SetReadDeadline(_ time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(_ time.Time) error { return nil }
