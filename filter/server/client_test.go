package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/metrics/border"
)

// patience is how long a test waits for what must come. It bounds a failure, no
// test passes by it.
const patience = 10 * time.Second

// running is a listener that serves on a loopback port until the test ends.
type running struct {
	t    testing.TB
	addr net.Addr
	log  *lockedLog
	stop func() // ends it, and waits
}

// lockedLog takes the log of a listener that runs beside the test.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func loopback() []border.Address {
	return []border.Address{{Network: "tcp", Address: "127.0.0.1:0"}}
}

// run starts what makes, bound to loopback unless the options say otherwise.
func run(t testing.TB, opts Options, makes func(Options) (*Listener, error)) *running {
	t.Helper()
	r := &running{t: t, log: new(lockedLog)}
	if opts.Listen == nil {
		opts.Listen = loopback()
	}
	opts.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	l, err := makes(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	r.addr = l.Addrs()[0]
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func runCheck(t testing.TB, w *world, opts Options) *running {
	t.Helper()
	return run(t, opts, func(o Options) (*Listener, error) { return NewCheck(w.filter, o) })
}

// runAPI opens the listener unless it is given a credential.
func runAPI(t testing.TB, lists BlockLists, opts Options) *running {
	t.Helper()
	opts.Open = opts.Auth == nil
	return run(t, opts, func(o Options) (*Listener, error) { return NewAPI(lists, o) })
}

// answer is one response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	closes bool // the server closes the connection after it
}

// code returns the code of a problem document, and complains if it is none.
func (a answer) code(t testing.TB) string {
	t.Helper()
	var doc struct {
		Type, Title, Detail, Code string
		Status                    int
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Status != a.status || doc.Type == "" ||
		doc.Title == "" || doc.Detail == "" || a.header.Get("Content-Type") != border.ContentType {
		t.Errorf("not a problem document: %d %v %q", a.status, a.header, a.body)
	}
	return doc.Code
}

// send writes bytes to the listener and returns all answers until the server
// closes the connection, or as many as are wanted if that is more than none.
func (r *running) send(raw string, want int) []answer {
	r.t.Helper()
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, raw); err != nil {
		r.t.Fatal(err)
	}
	var all []answer
	in := bufio.NewReader(nc)
	for want == 0 || len(all) < want {
		a, err := readAnswer(in, strings.HasPrefix(raw, "HEAD "))
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			r.t.Fatalf("after %d answers to %.200q: %v", len(all), raw, err)
		}
		all = append(all, a)
	}
	return all
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	nc, err := net.Dial(r.addr.Network(), r.addr.String())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	return nc
}

func readAnswer(in *bufio.Reader, head bool) (answer, error) {
	req := &http.Request{Method: "GET"}
	if head {
		req.Method = "HEAD"
	}
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), resp.Close}, err
}

// request writes one request as it goes over the wire. Headers are pairs; a body
// gets its length, and a content type unless one is given.
func request(method, target, body string, header ...string) string {
	var raw strings.Builder
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: sidegate\r\n", method, target)
	typed := false
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&raw, "%s: %s\r\n", header[i], header[i+1])
		typed = typed || header[i] == "Content-Type"
	}
	if body != "" {
		if !typed {
			raw.WriteString("Content-Type: application/json\r\n")
		}
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(body))
	}
	return raw.String() + "\r\n" + body
}

// ask sends one request on a connection of its own.
func (r *running) ask(method, target, body string, header ...string) answer {
	r.t.Helper()
	all := r.send(request(method, target, body, header...), 1)
	if len(all) != 1 {
		r.t.Fatalf("%s %s: no answer", method, target)
	}
	documented(r.t, method, target, all[0])
	return all[0]
}

func (r *running) get(target string, header ...string) answer {
	r.t.Helper()
	return r.ask("GET", target, "", header...)
}
