package server

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// pieces is a connection whose client sends certain pieces, each read by itself,
// and has then said all it will say.
type pieces struct {
	net.Conn
	left   [][]byte
	out    bytes.Buffer
	writes int
}

func (c *pieces) Read(p []byte) (int, error) {
	for len(c.left) > 0 && len(c.left[0]) == 0 {
		c.left = c.left[1:]
	}
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left[0])
	c.left[0] = c.left[0][n:]
	return n, nil
}

func (c *pieces) Write(p []byte) (int, error) {
	c.writes++
	return c.out.Write(p)
}

func (c *pieces) Close() error                       { return nil }
func (c *pieces) SetReadDeadline(_ time.Time) error  { return nil }
func (c *pieces) SetWriteDeadline(_ time.Time) error { return nil }

var dateLine = regexp.MustCompile(`\r\nDate: [^\r]*GMT\r\n`)

// converse returns what a listener answers to pieces, without the date, and how
// many bytes of the first came to fasthttp.
func converse(l *Listener, said ...string) (answer string, opened int) {
	nc := new(pieces)
	for _, s := range said {
		nc.left = append(nc.left, []byte(s))
	}
	c := l.newConn(nc)
	_ = l.server.ServeConn(c)
	return dateLine.ReplaceAllString(nc.out.String(), "\r\nDate: D\r\n"), c.opened
}

// bothListeners are the same twice; one answers plain requests itself.
func bothListeners(t testing.TB, change ...func(*filter.Options)) (with, without *Listener) {
	w := blockedWorld(t, change...)
	return newCheckListener(t, w, Options{Logger: slog.New(slog.DiscardHandler)}), slow(newCheckListener(t, w, Options{Logger: slog.New(slog.DiscardHandler)}))
}

// plainOnes are requests that quick takes.
var plainOnes = []string{
	request("GET", goodTarget, ""),
	request("GET", "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct", ""),
	request("GET", "/v1/can-deliver?room_type=group&recipient=bob&&sender=alice&", ""),
	request("GET", "/v1/can-deliver?sender=alice&recipient=bob&room_type=open&notify_blocked=1&verify=0&origin=server&room=r1", ""),
	request("GET", "/v1/can-deliver?app=acme&sender=x&recipient=y&room_type=direct", ""),
	request("GET", "/v1/can-deliver?%73ender=al%69ce&recipient=b%6Fb&room_type=direct&room=a+b%2B%C3%BC", ""),
	request("GET", "/v1/can-deliver?sender=al=ice&recipient=b?/b&room_type=direct", ""),
	request("GET", goodTarget, "", "User-Agent", "chat/1.0 (x; y)", "Accept", "*/*", "ACCEPT-encoding", "gzip, br", "X-Request-Id", "7"),
	request("GET", goodTarget, "", "Connection", "Keep-Alive", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
	"GET " + goodTarget + " HTTP/1.1\r\nhost:chat.example.org:8080\r\nAccept:\r\n\r\n",
	"GET " + goodTarget + " HTTP/1.1\r\nHost: 127.0.0.1:65535\r\n\r\n",
}

// otherOnes are requests that are not plain, some of which nobody should take.
var otherOnes = []string{
	request("GET", goodTarget+"&status=1", ""), request("GET", goodTarget+"&at_least=x", ""), request("GET", goodTarget+"&sendr=x", ""),
	request("GET", goodTarget+"&sender=x", ""), request("GET", goodTarget+"&app=none", ""), request("GET", goodTarget+"&verify=yes", ""),
	request("GET", goodTarget+"&room=%zz", ""), request("GET", goodTarget+"&room=%00", ""), request("GET", goodTarget+"#x", ""),
	request("GET", goodTarget+"&room=\xc3\xbc", ""), request("GET", goodTarget+"&room=\x01", ""), request("GET", goodTarget+"&room=\x7f", ""),
	request("GET", "/v1/can-deliver", ""), request("GET", "/v1/can-deliver?", ""), request("HEAD", goodTarget, ""), request("BREW", goodTarget, ""),
	request("GET", goodTarget, "", "Sidegate-At-Least", "x"), request("GET", goodTarget, "", "Host", "h"), request("GET", goodTarget, "", "Connection", "close"),
	request("GET", goodTarget, "", "Connection", "upgrade", "Upgrade", "h2c"), request("GET", goodTarget, "", "Expect", "100-continue"),
	request("GET", goodTarget, "", "Content-Length", "4") + "abcd", request("GET", goodTarget, "", "Transfer-Encoding", "chunked") + "0\r\n\r\n",
	request("GET", goodTarget, "", "Accept ", "x"), request("GET", goodTarget, "", "Accept", "a\r\n b"), request("GET", goodTarget, "", "Accept", "a\x00b"),
	request("GET", goodTarget, "", "Accept", "a\x80b"), request("GET", goodTarget, "", "Accept", "a\tb"), request("GET", goodTarget, "", "X-Anything", "1"),
	"GET " + goodTarget + " HTTP/1.1\r\nAccept: x\r\n\r\n", "GET " + goodTarget + " HTTP/1.0\r\nHost: h\r\n\r\n", "GET " + goodTarget + " HTTP/1.1\nHost: h\n\n",
	"GET  " + goodTarget + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET " + goodTarget + "  HTTP/1.1\r\nHost: h\r\n\r\n", "get " + goodTarget + " HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET http://h" + goodTarget + " HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n" + request("GET", goodTarget, ""), "GET " + goodTarget + "\r\n\r\n",
	"GET " + goodTarget + " HTTP/1.1\r\nHost: a b\r\n\r\n", "GET " + goodTarget + " HTTP/1.1\r\nHost:\r\n\r\n", "GET " + goodTarget + " HTTP/1.1\r\nHost: h:\r\n\r\n",
	"GET " + goodTarget + " HTTP/1.1\r\nHost: h:65536\r\n\r\n", "GET " + goodTarget + " HTTP/1.1\r\nHost: h:080808\r\n\r\n", "GET " + goodTarget + " HTTP/1.1\r\nHost: [::1]\r\n\r\n", "GET " + goodTarget + " HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
	request("POST", "/v1/can-deliver", `{"sender":"alice","recipient":"bob","room_type":"direct"}`),
	request("POST", "/v1/can-deliver/fanout", `{"sender":"alice","recipients":["bob"],"room_type":"direct"}`),
	request("GET", "/nowhere", ""),
}

// TestQuickAnswersLikeFasthttp: whatever is sent, in whatever company, and wherever
// the network cuts it, the answers are those that fasthttp gives alone.
func TestQuickAnswersLikeFasthttp(t *testing.T) {
	with, without := bothListeners(t)
	compare := func(said ...string) {
		t.Helper()
		got, _ := converse(with, said...)
		if want, _ := converse(without, said...); got != want {
			t.Errorf("%q:\n%q, and by fasthttp alone\n%q", said, got, want)
		}
	}
	for _, raw := range append(plainOnes, otherOnes...) {
		compare(raw)
		compare(plainOnes[0] + raw + plainOnes[1])
		compare(plainOnes[0], raw, raw, plainOnes[1])
		compare(plainOnes[1] + plainOnes[0][:7])
		for cut := range raw {
			if !strings.Contains(raw[:cut], " HTTP/") && cut%5 != 0 {
				continue
			}
			compare(raw[:cut])
			compare(raw[:cut], raw[cut:]+plainOnes[1])
			compare(plainOnes[0]+raw[:cut], raw[cut:], plainOnes[1])
		}
	}
	compare(strings.Repeat(plainOnes[0], 300))
	compare(strings.Repeat(strings.Join(plainOnes, ""), 30) + otherOnes[0] + plainOnes[0])
}

// TestQuickTakesPlainRequests: they do not come to fasthttp, and the others do, so
// that the test above compares something.
func TestQuickTakesPlainRequests(t *testing.T) {
	with, _ := bothListeners(t)
	for _, raw := range plainOnes {
		if answer, opened := converse(with, raw); opened != 0 || !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%q came to fasthttp: %q", raw, answer)
		}
	}
	for _, raw := range otherOnes {
		if _, opened := converse(with, plainOnes[0]+raw); opened == 0 {
			t.Errorf("%q did not come to fasthttp", raw)
		}
	}
	guarded := newCheckListener(t, blockedWorld(t), Options{Auth: tokens()})
	if answer, _ := converse(guarded, plainOnes[0]); !strings.Contains(answer, " 401 ") {
		t.Errorf("without a token: %q", answer)
	}
}

// TestQuickSaysWhatFasthttpSays: unknown decisions and those with an age or without
// a list have the same form from both.
func TestQuickSaysWhatFasthttpSays(t *testing.T) {
	for name, change := range map[string]func(*filter.Options){
		"unknown": func(*filter.Options) {},
		"degraded": func(o *filter.Options) {
			policy := filter.Default()
			policy.OnUnknown = filter.OnUnknownDeliver
			o.Apps = map[string]filter.Policy{"default": policy}
		},
	} {
		w := newWorld(t, change)
		w.dark.Store(true)
		with := newCheckListener(t, w, Options{Logger: slog.New(slog.DiscardHandler)})
		got, opened := converse(with, plainOnes[0])
		want, _ := converse(slow(newCheckListener(t, w, Options{Logger: slog.New(slog.DiscardHandler)})), plainOnes[0])
		if got != want || opened != 0 {
			t.Errorf("%s: %q, and by fasthttp alone %q", name, got, want)
		}
	}
	old := newCheckListener(t, blockedWorld(t, func(o *filter.Options) { o.SoftBound = time.Nanosecond }), Options{})
	got, opened := converse(old, plainOnes[0])
	if opened != 0 || !regexp.MustCompile(`\r\nContent-Length: \d+\r\n\r\n\{.*,"stale_ms":\d+\}$`).MatchString(got) {
		t.Errorf("%q", got)
	}
}

// TestQuickWritesOnce: the answers to requests that came together go out together.
func TestQuickWritesOnce(t *testing.T) {
	with, _ := bothListeners(t)
	nc := &pieces{left: [][]byte{[]byte(strings.Repeat(plainOnes[0], pipelined)), []byte(plainOnes[0])}}
	if err := with.server.ServeConn(with.newConn(nc)); err != nil || nc.writes != 2 {
		t.Errorf("%d writes, %v", nc.writes, err)
	}
}

// TestQuickKeepsLittle: what a long pipeline took is not kept.
func TestQuickKeepsLittle(t *testing.T) {
	with, _ := bothListeners(t)
	c := with.newConn(&pieces{left: [][]byte{[]byte(strings.Repeat(plainOnes[0], 70))}})
	if err := with.server.ServeConn(c); err != nil || cap(c.out) > keptOut {
		t.Errorf("%d bytes are kept, %v", cap(c.out), err)
	}
}

// TestQuickWhileDraining: who is answered while the listener drains is told that
// the connection ends, and it does.
func TestQuickWhileDraining(t *testing.T) {
	with, without := bothListeners(t)
	with.door.draining.Store(true)
	without.door.draining.Store(true)
	got, opened := converse(with, plainOnes[0]+plainOnes[1], plainOnes[1])
	want, _ := converse(without, plainOnes[0]+plainOnes[1], plainOnes[1])
	if got != want || opened != 0 || strings.Count(got, "Connection: close") != 1 {
		t.Errorf("%q, and by fasthttp alone %q", got, want)
	}
}

// TestQuickOutlivesPanics: a decision that panics is one 500, the end of its
// connection and a line of the log.
func TestQuickOutlivesPanics(t *testing.T) {
	var log bytes.Buffer
	l := newCheckListener(t, blockedWorld(t), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	l.door.rules.Store(&rules{open: true}) // no filter
	got, opened := converse(l, plainOnes[0], plainOnes[0])
	if opened != 0 || strings.Count(got, "HTTP/1.1 500 ") != 1 || !strings.Contains(got, "Connection: close") {
		t.Errorf("%q", got)
	}
	if !strings.Contains(log.String(), "panic") {
		t.Errorf("the log says %q", log.String())
	}
}

// FuzzQuick: see TestQuickAnswersLikeFasthttp.
func FuzzQuick(f *testing.F) {
	for _, raw := range append(plainOnes, otherOnes...) {
		f.Add([]byte(raw), len(raw)/2)
	}
	with, without := bothListeners(f)
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		at := min(max(cut, 0), len(raw))
		said := []string{plainOnes[0] + string(raw[:at]), string(raw[at:]), plainOnes[1]}
		got, _ := converse(with, said...)
		if want, _ := converse(without, said...); got != want {
			t.Errorf("%q:\n%q, and by fasthttp alone\n%q", said, got, want)
		}
	})
}
