package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/metrics/border"
)

// secrets returns what a server and its client need.
func secrets(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler()) // it has a certificate for 127.0.0.1
	defer s.Close()
	client = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	return &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"http/1.1"}}, client
}

// dialTLS is dial with the handshake behind it.
func (r *running) dialTLS(config *tls.Config) *tls.Conn {
	r.t.Helper()
	nc := tls.Client(r.dial(), r.named(config))
	if err := nc.Handshake(); err != nil {
		r.t.Fatal(err)
	}
	return nc
}

// named is a client's configuration with the name that the certificate is for.
func (r *running) named(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ServerName = "127.0.0.1"
	return config
}

// TestTLS: over TLS a listener says what it says without, byte for byte but for the
// date, to requests that quick takes and to others, that come alone or together. A
// Unix socket stays as it is.
func TestTLS(t *testing.T) {
	server, client := secrets(t)
	socket := filepath.Join(t.TempDir(), "s.sock")
	w := blockedWorld(t)
	plain := runCheck(t, w, Options{})
	r := runCheck(t, w, Options{TLS: server, Listen: append(loopback(), border.Address{Network: "unix", Address: socket, Mode: 0o600})})
	said := strings.Repeat(request("GET", goodTarget, ""), 3) +
		request("POST", "/v1/can-deliver", `{"sender":"alice","recipient":"bob","room_type":"direct"}`) +
		request("GET", goodTarget+"&x=1", "") + request("GET", goodTarget, "", "Connection", "close")
	hear := func(nc net.Conn) (all []answer) {
		t.Helper()
		defer nc.Close()
		if _, err := io.WriteString(nc, said); err != nil {
			t.Fatal(err)
		}
		for in := bufio.NewReader(nc); len(all) < 6; {
			a, err := readAnswer(in, false)
			if err != nil {
				t.Fatalf("after %d answers: %v", len(all), err)
			}
			a.header.Del("Date")
			all = append(all, a)
		}
		return all
	}
	local, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(hear(plain.dial()))
	if got := fmt.Sprint(hear(r.dialTLS(client))); got != want {
		t.Errorf("over TLS\n%s\nwithout\n%s", got, want)
	}
	if got := fmt.Sprint(hear(local)); got != want {
		t.Errorf("on the socket\n%s\nwant\n%s", got, want)
	}

	// An answer that comes before its request has ended arrives.
	nc := r.dialTLS(client)
	defer nc.Close()
	if _, err := io.WriteString(nc, request("POST", "/v1/can-deliver", strings.Repeat(" ", 200<<10))); err != nil {
		t.Fatal(err)
	}
	if a, err := readAnswer(bufio.NewReader(nc), false); err != nil || a.status != 413 {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestPlainHTTPWhereTLSIsSpoken: who has left out the s is told so.
func TestPlainHTTPWhereTLSIsSpoken(t *testing.T) {
	server, _ := secrets(t)
	r := runCheck(t, blockedWorld(t), Options{TLS: server})
	for _, raw := range []string{
		request("GET", goodTarget, ""), request("DELETE", "/x", ""), request("POST", "/v1/can-deliver", strings.Repeat(" ", 300<<10)),
	} {
		nc := r.dial()
		if _, err := io.WriteString(nc, raw); err != nil {
			t.Fatal(err)
		}
		a, err := readAnswer(bufio.NewReader(nc), false)
		if err != nil || a.status != 400 || a.code(t) != "bad_request" || !a.closes || !strings.Contains(a.body, "https") {
			t.Errorf("%.20q: %+v, %v", raw, a, err)
		}
		nc.Close()
	}
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, "SSH-2.0-x\r\n"); err != nil {
		t.Fatal(err)
	}
	// A TLS alert, or nothing; but no HTTP for who does not speak it.
	if rest, _ := io.ReadAll(nc); strings.Contains(string(rest), "HTTP") {
		t.Errorf("%q", rest)
	}
}

// TestHandshakeIsBounded: who says nothing, and who says it byte by byte, is hung
// up on in the time of a request, and holds nobody up.
func TestHandshakeIsBounded(t *testing.T) {
	server, client := secrets(t)
	r := runCheck(t, blockedWorld(t), Options{TLS: server, ReadTimeout: 100 * time.Millisecond, Concurrency: 3})
	silent, slow := r.dial(), r.dial()
	defer silent.Close()
	defer slow.Close()
	hello := append([]byte{22, 3, 1, 0x3f, 0xff}, make([]byte, 0x3fff)...) // a record of 16 kB
	for i := range hello {
		if i == len(hello)-1 {
			t.Fatal("a client that speaks one byte at a time was heard to the end")
		}
		if _, err := slow.Write(hello[i : i+1]); err != nil {
			break
		}
		if err := slow.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := slow.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	if _, err := io.ReadAll(silent); err != nil {
		t.Errorf("the silent one: %v", err)
	}
	// Their places are free again, as soon as the listener has noticed; an honest
	// client may be too slow for this bound as well, on a busy machine.
	for range 3 {
		waitFor(t, func() bool {
			nc := tls.Client(r.dial(), r.named(client))
			t.Cleanup(func() { _ = nc.Close() }) // it may have been hung up on
			if _, err := io.WriteString(nc, request("GET", goodTarget, "")); err != nil {
				return false
			}
			a, err := readAnswer(bufio.NewReader(nc), false)
			return err == nil && a.status == 200
		})
	}
}

// TestTooManyTLSConnections: one more is closed, and the others stay.
func TestTooManyTLSConnections(t *testing.T) {
	server, client := secrets(t)
	r := runCheck(t, blockedWorld(t), Options{TLS: server, Concurrency: 1})
	first := r.dialTLS(client)
	defer first.Close()
	extra := r.dial()
	defer extra.Close()
	if rest, err := io.ReadAll(extra); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if _, err := io.WriteString(first, request("GET", goodTarget, "")); err != nil {
		t.Fatal(err)
	}
	if a, err := readAnswer(bufio.NewReader(first), false); err != nil || a.status != 200 {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestStopOverTLS: a connection without a request, and one in the middle of its
// handshake, do not hold up the end; a request under way is answered.
func TestStopOverTLS(t *testing.T) {
	server, client := secrets(t)
	g := newGate()
	r := runAPI(t, &fakeLists{block: g.block}, Options{TLS: server, DrainTimeout: time.Hour, IdleTimeout: time.Hour, ReadTimeout: time.Hour})
	idle, half, busy := r.dialTLS(client), r.dial(), r.dialTLS(client)
	for _, nc := range []net.Conn{idle, half, busy} {
		defer nc.Close()
	}
	if _, err := half.Write([]byte{22, 3, 1}); err != nil {
		t.Fatal(err)
	}
	// Not before an answer has the listener seen the end of the handshake.
	if _, err := io.WriteString(idle, request("GET", "/openapi.json", "")); err != nil {
		t.Fatal(err)
	}
	if a, err := readAnswer(bufio.NewReader(idle), false); err != nil || a.status != 200 {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := io.WriteString(busy, request("PUT", "/v1/apps/default/users/a/blocks/b", "")); err != nil {
		t.Fatal(err)
	}
	<-g.entered
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	if rest, err := io.ReadAll(idle); err != nil || len(rest) > 0 {
		t.Errorf("the idle one: %q, %v", rest, err)
	}
	if _, err := io.ReadAll(half); err != nil {
		t.Errorf("half a handshake: %v", err)
	}
	close(g.leave)
	if a, err := readAnswer(bufio.NewReader(busy), false); err != nil || a.status != 201 || !a.closes {
		t.Errorf("%+v, %v", a, err)
	}
	<-stopped
}

// TestStopOverTLSGivesUp: a client that does not read does not hold up the end,
// although TLS would like to say goodbye.
func TestStopOverTLSGivesUp(t *testing.T) {
	server, client := secrets(t)
	g := newGate()
	r := runAPI(t, &fakeLists{block: g.block}, Options{TLS: server, DrainTimeout: time.Millisecond})
	nc := r.dialTLS(client)
	defer nc.Close()
	if _, err := io.WriteString(nc, request("PUT", "/v1/apps/default/users/a/blocks/b", "")); err != nil {
		t.Fatal(err)
	}
	<-g.entered
	r.stop()
}

// TestImportIsToldThatTheListenerEnds: it is answered how far it came, with TLS and
// without, whether its client goes on to send or waits.
func TestImportIsToldThatTheListenerEnds(t *testing.T) {
	server, client := secrets(t)
	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": server} {
		f := &fakeTransfers{read: make(chan int, 10)}
		r := runTransfers(t, f, Options{DrainTimeout: 2 * time.Second, TLS: config})
		nc := r.dial()
		if config != nil {
			nc = r.dialTLS(client)
		}
		if _, err := io.WriteString(nc, "POST "+importPath+" HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"+twoLines+`{"owner":`); err != nil {
			t.Fatal(err)
		}
		<-f.read
		<-f.read
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			r.stop()
		}()
		a, err := readAnswer(bufio.NewReader(nc), false)
		if err != nil || a.status != 503 || a.code(t) != "not_ready" || !a.closes || a.header.Get("Retry-After") != "1" ||
			!strings.Contains(a.body, "every line up to 2 is stored or reported") || !strings.Contains(a.body, `"stopped_at":2`) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		documented(t, "POST", importPath, a)
		nc.Close()
		<-stopped
	}
}

// TestOnWhatOthersHaveBound: it stands in place of the addresses.
func TestOnWhatOthersHaveBound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := runCheck(t, blockedWorld(t), Options{Bound: []net.Listener{l}})
	if a := r.get(goodTarget); r.addr.String() != l.Addr().String() || a.status != 200 {
		t.Errorf("%v at %v", a, r.addr)
	}
}
