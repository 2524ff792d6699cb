package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trickle sends a byte every few milliseconds, for ever, so that no pause is long
// enough to be called silence, until the server has answered and hung up.
func trickle(r *running, begin string) (a answer, err error) {
	nc, err := net.Dial(r.addr.Network(), r.addr.String())
	if err != nil {
		return answer{}, err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(nc, begin); err != nil {
		return answer{}, err
	}
	answered := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = nc.Write([]byte("a"))
			case <-answered:
				return
			}
		}
	})
	in := bufio.NewReader(nc)
	a, err = readAnswer(in, false)
	if err == nil {
		_, err = in.ReadByte()
		if err == io.EOF {
			err = nil
		}
	}
	close(answered)
	writing.Wait()
	return a, err
}

var slowBeginnings = []string{
	"G", "GET /v1/can-deliver?sender=", "GET " + goodTarget + " HTTP/1.1\r\nHost: h\r\nX-Slow: ",
	"POST /v1/can-deliver HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 16000\r\n\r\n{",
}

// TestSlowLoris: two hundred connections that never finish their requests, and
// never fall silent, neither keep others from being served nor stay for longer
// than a request may take.
func TestSlowLoris(t *testing.T) {
	// Long enough for a busy machine to have looked at each connection once: one that
	// runs out of time before is closed without a word, like any that said nothing.
	r := runCheck(t, blockedWorld(t), Options{ReadTimeout: 2 * time.Second})
	var attackers sync.WaitGroup
	var left atomic.Int32
	const n = 200
	for i := range n {
		left.Add(1)
		attackers.Go(func() {
			defer left.Add(-1)
			if a, err := trickle(r, slowBeginnings[i%len(slowBeginnings)]); err != nil || a.status != 408 || !a.closes {
				t.Errorf("a request without end: %+v, %v", a, err)
			}
		})
	}
	served := 0
	for left.Load() > 0 {
		if a := r.get(goodTarget); a.status != 200 || a.body != dropped {
			t.Fatalf("beside them: %d %s", a.status, a.body)
		}
		served++
	}
	attackers.Wait()
	if served == 0 {
		t.Error("nobody was served beside them: nothing was shown")
	}
	t.Logf("%d requests were answered beside %d that never ended", served, n)
}

// TestSlowLorisTakesEveryPlace: even when they hold every connection there may be,
// others are told so, and served as soon as the first has run out of time.
func TestSlowLorisTakesEveryPlace(t *testing.T) {
	const n = 20
	r := runCheck(t, blockedWorld(t), Options{ReadTimeout: 300 * time.Millisecond, Concurrency: n})
	var attackers sync.WaitGroup
	for range n {
		attackers.Go(func() {
			_, _ = trickle(r, slowBeginnings[0]) // one may have come a moment too late
		})
	}
	refused := false
	for end := time.Now().Add(patience); ; {
		a := r.get(goodTarget)
		if a.status == 503 && a.code(t) == "overloaded" {
			refused = true
		}
		if refused && a.status == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("refused: %v, and nobody is served any more: %d %s", refused, a.status, a.body)
		}
	}
	attackers.Wait()
}

// TestSlowLorisWithoutGuard shows what the timeout is for: with a long one the
// same client holds its place as long as it likes, and is served in the end.
func TestSlowLorisWithoutGuard(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{ReadTimeout: time.Hour})
	nc := r.dial()
	defer nc.Close()
	tick := time.NewTicker(10 * time.Millisecond) // 0.9 s in all
	defer tick.Stop()
	for _, c := range []byte(request("GET", goodTarget, "")) {
		<-tick.C
		if _, err := nc.Write([]byte{c}); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := readAnswer(bufio.NewReader(nc), false); err != nil || a.status != 200 {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestClientThatDoesNotRead: who sends and never reads its answers loses the
// connection, and holds up nothing.
func TestClientThatDoesNotRead(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{WriteTimeout: 100 * time.Millisecond, DrainTimeout: time.Hour})
	nc := r.dial()
	defer nc.Close()
	if err := nc.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat(request("GET", goodTarget, ""), 1000)
	for sent := 0; ; sent += len(many) {
		_, err := io.WriteString(nc, many)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Fatalf("after %d bytes the connection stands, and is not closed", sent)
		}
		if err != nil {
			break
		}
	}
	if a := r.get(goodTarget); a.status != 200 {
		t.Errorf("beside it: %d %s", a.status, a.body)
	}
	r.stop()
}

// TestAnswersAfterAPause: that the time to write the answer before has run out says
// nothing about a request that could not be read, or that asks whether it may send.
func TestAnswersAfterAPause(t *testing.T) {
	const writing = 50 * time.Millisecond
	body := `{"sender":"alice","recipient":"bob","room_type":"direct"}`
	for _, first := range []string{request("GET", goodTarget, ""), request("GET", goodTarget, "", "X-Anything", "1")} {
		for name, c := range map[string]struct {
			raw    string
			status int
		}{
			"malformed":   {"GET " + goodTarget + " HTTP/1.1\r\n\r\n", 400},
			"may I send?": {request("POST", "/v1/can-deliver", body, "Expect", "100-continue"), 100},
		} {
			r := runCheck(t, blockedWorld(t), Options{WriteTimeout: writing})
			nc := r.dial()
			in := bufio.NewReader(nc)
			for i, raw := range []string{first, c.raw} {
				if _, err := io.WriteString(nc, raw); err != nil {
					t.Fatal(err)
				}
				a, err := readAnswer(in, false)
				if want := []int{200, c.status}[i]; err != nil || a.status != want {
					t.Errorf("%s, answer %d: %+v, %v, want %d", name, i, a, err, want)
				}
				<-time.After(2 * writing)
			}
			nc.Close()
		}
	}
}

// TestIdleTimeout: a connection that is kept alive and not used ends, without a
// word.
func TestIdleTimeout(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{IdleTimeout: 50 * time.Millisecond, ReadTimeout: time.Hour})
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, request("GET", goodTarget, "")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(nc)
	if a, err := readAnswer(in, false); err != nil || a.status != 200 {
		t.Fatalf("%+v, %v", a, err)
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("the connection ended with %q, %v", rest, err)
	}
}

// TestOneSpelling: a path is matched as it was sent. What another would decode,
// clean or climb is not there, whatever the credential.
func TestOneSpelling(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	const query = "?sender=alice&recipient=bob&room_type=direct"
	for _, path := range []string{
		"//a/%2e%2e/v1/can-deliver", "//a/%2e%2e/x", "/%2561dmin", "/%61dmin", "/v1/%63an-deliver", "/v1/can-deliver%3fx", "/v1/can-deliver%00",
		"/v1/%2e/can-deliver", "/v1/x/%2e%2e/can-deliver", "/v1/%2e%2e/v1/can-deliver", "/v1\\can-deliver", "/v1/can-deliver;x=1", "/v1/can-deliver/.",
	} {
		if a := r.get(path + query); a.status != 404 || a.code(t) != "not_found" {
			t.Errorf("%s = %d %s", path, a.status, a.body)
		}
	}
	api := runAPI(t, calm(), Options{Auth: crowd()})
	for _, path := range []string{
		"/v1/apps/acme/../umbra/users/bob/blocks", "/v1/apps/acme/users/bob/%2e%2e/alice/blocks", "//v1/apps/acme/users/bob/blocks",
		"/v1/apps/acme/users/bob/blocks%2f", "/v1/apps/acme/users//bob/blocks", "/v1/%61pps/acme/users/bob/blocks",
	} {
		if a := api.get(path, "Authorization", "Bearer everything"); a.status != 404 || a.code(t) == "block_not_found" {
			t.Errorf("%s = %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/v1/apps/acme/users/%2e%2e/blocks", "/v1/apps/%2e/users/bob/blocks", "/v1/apps/acme/users/bob/blocks/.."} {
		if a := api.get(path, "Authorization", "Bearer everything"); a.status != 400 || a.code(t) != "invalid_user_id" {
			t.Errorf("%s = %d %s", path, a.status, a.body)
		}
	}
}

// TestBodySizes holds every route that takes a body to the size that is
// documented for it.
func TestBodySizes(t *testing.T) {
	documented := map[string]int{
		"/v1/can-deliver": 16 << 10, "/v1/can-deliver/fanout": 4 << 20, "/v1/can-deliver/batch": 4 << 20,
		"/v1/visible": 4 << 20, "/v1/invitees": 4 << 20,
		listPattern + "/{target}": 1 << 20, listPattern + ":batch": 1 << 20,
	}
	filled := strings.NewReplacer("{app}", "default", "{owner}", "bob", "{target}", "x")
	check, api := runCheck(t, blockedWorld(t), Options{}), runAPI(t, calm(), Options{})
	routes := map[*running][]*route{check: (&checks{filter: newWorld(t).filter}).routes(), api: (&blocks{}).routes()}
	for r, list := range routes {
		for _, route := range list {
			for _, m := range []method{methodPost, methodPut} {
				if route.handlers[m] == nil {
					continue
				}
				size, known := documented[route.pattern]
				if !known {
					t.Errorf("%s takes a body, and no size is documented for it", route.pattern)
					continue
				}
				head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n", methodNames[m], filled.Replace(route.pattern))
				// Refused by its length alone: not a byte of it is waited for.
				over := r.send(head+fmt.Sprintf("Content-Length: %d\r\n\r\n", size+1), 0)
				if len(over) != 1 || over[0].status != 413 || over[0].code(t) != "too_large" {
					t.Errorf("%s with %d bytes: %+v", route.pattern, size+1, over)
				}
				fits := r.send(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, strings.Repeat(" ", size)), 1)
				if len(fits) != 1 || fits[0].status != 400 || fits[0].code(t) != "invalid_json" {
					t.Errorf("%s with %d bytes: %+v", route.pattern, size, fits)
				}
			}
		}
	}
}
