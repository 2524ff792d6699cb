package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	opts := Options{Listen: []border.Address{
		{Network: "unix", Address: path, Mode: 0o660},
		{Network: "tcp", Address: "127.0.0.1:0"},
	}}
	r := runCheck(t, blockedWorld(t), opts)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if a := r.get(goodTarget); a.status != 200 || a.body != dropped {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A client that sends more than is wanted gets its answer here as well.
	if a := r.ask("POST", "/v1/can-deliver", strings.Repeat(" ", 200<<10)); a.status != 413 {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.stop()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket file is left behind: %v", err)
	}
}

// TestStopClosesIdleConnections: neither a keep-alive connection nor one that
// was never used holds up the end, and nobody is answered unasked.
func TestStopClosesIdleConnections(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{DrainTimeout: time.Hour, IdleTimeout: time.Hour, ReadTimeout: time.Hour})
	unused, idle := r.dial(), r.dial() // accepted in this order: an answer to the second says both are
	defer idle.Close()
	defer unused.Close()
	if _, err := io.WriteString(idle, request("GET", goodTarget, "")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(idle)
	if a, err := readAnswer(in, false); err != nil || a.status != 200 {
		t.Fatalf("%+v, %v", a, err)
	}
	r.stop()
	for name, from := range map[string]io.Reader{"idle": in, "unused": unused} {
		if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
			t.Errorf("the %s connection ended with %q, %v", name, rest, err)
		}
	}
	if _, err := net.Dial("tcp", r.addr.String()); err == nil {
		t.Error("the port still answers")
	}
}

// gate is a write that waits until the test lets it go on.
type gate struct {
	entered chan struct{}
	leave   chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan struct{}), leave: make(chan struct{})} }

func (g *gate) block(ctx context.Context, req filter.BlockRequest) (filter.BlockResult, error) {
	close(g.entered)
	select {
	case <-g.leave:
		return filter.BlockResult{Block: filter.Block{Owner: req.List.Owner, Target: req.Target}, Created: true}, nil
	case <-ctx.Done():
		return filter.BlockResult{}, &filter.Error{Code: filter.CodeOutcomeUnknown, Detail: "the connection was lost", Err: ctx.Err()}
	}
}

// TestStopFinishesRequests: a write under way is answered, and told that the
// connection ends.
func TestStopFinishesRequests(t *testing.T) {
	g := newGate()
	r := runAPI(t, &fakeLists{block: g.block}, Options{DrainTimeout: time.Hour})
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, request("PUT", "/v1/apps/default/users/a/blocks/b", "")); err != nil {
		t.Fatal(err)
	}
	<-g.entered
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	for { // until the listener is closed the stop has not reached it
		extra, err := net.Dial("tcp", r.addr.String())
		if err != nil {
			break
		}
		extra.Close()
	}
	select {
	case <-stopped:
		t.Fatal("the listener stopped over a request under way")
	default:
	}
	close(g.leave)
	a, err := readAnswer(bufio.NewReader(nc), false)
	if err != nil || a.status != 201 || !a.closes {
		t.Fatalf("%+v, %v; want 201 and the end of the connection", a, err)
	}
	<-stopped
}

// TestStopGivesUp: after DrainTimeout what a request waits for is cancelled, so
// that Run ends although the client and the database do not move.
func TestStopGivesUp(t *testing.T) {
	g := newGate()
	r := runAPI(t, &fakeLists{block: g.block}, Options{DrainTimeout: time.Millisecond, ReadTimeout: time.Hour})
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, request("PUT", "/v1/apps/default/users/a/blocks/b", "")); err != nil {
		t.Fatal(err)
	}
	half := r.dial()
	defer half.Close()
	if _, err := io.WriteString(half, "GET /v1/"); err != nil {
		t.Fatal(err)
	}
	<-g.entered
	r.stop()
	if !strings.Contains(r.log.String(), "outcome_unknown") {
		t.Errorf("the log does not say what became of the write: %s", r.log)
	}
}

// TestTooManyConnections: one more than there may be is told so.
func TestTooManyConnections(t *testing.T) {
	g := newGate()
	r := runAPI(t, &fakeLists{block: g.block}, Options{Concurrency: 1})
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, request("PUT", "/v1/apps/default/users/a/blocks/b", "")); err != nil {
		t.Fatal(err)
	}
	<-g.entered
	extra := r.dial()
	defer extra.Close()
	a, err := readAnswer(bufio.NewReader(extra), false)
	if err != nil || a.status != 503 || a.code(t) != "overloaded" || !a.closes || a.header.Get("Retry-After") != "1" {
		t.Errorf("%+v, %v", a, err)
	}
	close(g.leave)
	if a, err := readAnswer(bufio.NewReader(nc), false); err != nil || a.status != 201 {
		t.Errorf("the first one: %+v, %v", a, err)
	}
}

// failingListener fails to accept with each of its errors, then hands out what
// the listener behind it accepts.
type failingListener struct {
	net.Listener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

// TestAcceptPauses: running out of file descriptors is a reason to wait, not to
// stop serving.
func TestAcceptPauses(t *testing.T) {
	l, err := NewCheck(blockedWorld(t).filter, Options{Listen: loopback(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, addr: l.Addrs()[0]}
	l.bound[0] = &failingListener{l.bound[0], []error{
		&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)},
		&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.ECONNABORTED)},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	if a := r.get(goodTarget); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestAcceptFails(t *testing.T) {
	l, err := NewCheck(blockedWorld(t).filter, Options{Listen: loopback(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(); err != nil {
		t.Fatal(err)
	}
	l.bound[0] = &failingListener{l.bound[0], []error{os.NewSyscallError("accept4", syscall.EBADF)}}
	if err := l.Run(t.Context()); !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), "check listener") {
		t.Errorf("Run = %v", err)
	}
}

func TestWrongOrder(t *testing.T) {
	w := newWorld(t)
	l, err := NewCheck(w.filter, Options{Listen: loopback()})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context()); err == nil {
		t.Error("Run before Listen served nothing and said nothing")
	}
	busy := runCheck(t, w, Options{})
	second, err := NewCheck(w.filter, Options{Listen: []border.Address{{Network: "tcp", Address: busy.addr.String()}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("binding a busy port: %v", err)
	}
}

func TestClose(t *testing.T) {
	l, err := NewCheck(newWorld(t).filter, Options{Listen: loopback()})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := net.Dial("tcp", l.Addrs()[0].String()); err == nil {
		t.Error("the port still answers")
	}
}

func TestOffServesNothing(t *testing.T) {
	l, err := NewAPI(&fakeLists{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil || len(l.Addrs()) != 0 {
		t.Errorf("Run = %v on %v", err, l.Addrs())
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for name, opts := range map[string]Options{
		"a negative timeout":     {ReadTimeout: -1},
		"a negative concurrency": {Concurrency: -1},
	} {
		if _, err := NewCheck(w.filter, opts); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := NewCheck(nil, Options{}); err == nil {
		t.Error("a check listener without a filter was made")
	}
	if _, err := NewAPI(nil, Options{}); err == nil {
		t.Error("an api listener without lists was made")
	}
	l, err := NewCheck(w.filter, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		DrainTimeout: 5 * time.Second, Concurrency: 16384,
	}
	got := l.opts
	got.Logger = nil
	if got.ReadTimeout != want.ReadTimeout || got.WriteTimeout != want.WriteTimeout || got.IdleTimeout != want.IdleTimeout ||
		got.DrainTimeout != want.DrainTimeout || got.Concurrency != want.Concurrency {
		t.Errorf("defaults are %+v", got)
	}
}
