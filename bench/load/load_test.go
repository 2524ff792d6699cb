package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers every request on a loopback port with the same bytes until the
// test ends.
func serve(t *testing.T, answer string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					if _, err := conn.Write([]byte(answer)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

const (
	request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
	good    = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
)

func contestant(name, address string, callers int, depth int) Contestant {
	requests := make([][]byte, 64)
	for i := range requests {
		requests[i] = []byte(request)
	}
	return Contestant{
		Name: name,
		Open: func(ctx context.Context) ([]Caller, error) {
			return OpenHTTPs(ctx, callers, HTTPOptions{Network: "tcp", Address: address, Requests: requests, Depth: depth})
		},
		PIDs: func() []int { return []int{os.Getpid()} },
	}
}

// TestTurns: every contestant has its rounds, and figures in each.
func TestTurns(t *testing.T) {
	address := serve(t, good)
	results, err := Turns(t.Context(), Plan{Rounds: 3, Each: 10 * time.Millisecond, Warmup: time.Millisecond},
		contestant("one", address, 4, 1), contestant("deep", address, 2, 16))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "deep"} {
		if len(results[name]) != 3 {
			t.Fatalf("%s had %d rounds", name, len(results[name]))
		}
		for _, r := range results[name] {
			if r.Operations == 0 || r.Rate() <= 0 || r.CPUPerOperation() <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
				t.Errorf("%s: %+v", name, r)
			}
			if name == "deep" && r.Operations%16 != 0 {
				t.Errorf("%d operations are not a number of sixteens", r.Operations)
			}
		}
	}
}

// TestWrongAnswers: what is not the expected answer ends the measurement. A server
// that refuses is quick.
func TestWrongAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		strings.Replace(good, "200 OK", "503 No", 1): "answered with",
		"HTTP/1.1 200 OK\r\n\r\n":                    "answered with",
		good + "x":                                   "more was answered",
		good + good:                                  "more was answered",
	} {
		_, err := Turns(t.Context(), Plan{Rounds: 1, Each: time.Hour}, contestant("wrong", serve(t, answer), 1, 1))
		if err == nil || !strings.Contains(err.Error(), want) {
			// Bytes that come later than the answer are seen with the next.
			t.Errorf("%q: %v, want %q", answer, err, want)
		}
	}
}

// TestSplitAnswers: an answer that comes in pieces is one answer.
func TestSplitAnswers(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := &HTTPCaller{conn: here, depth: 2, requests: [][]byte{[]byte(request + request)}, buf: make([]byte, readSize)}
	defer c.Close()
	go func() {
		in := bufio.NewReader(there)
		for range 2 {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
		}
		for _, b := range []byte(good + good) {
			if _, err := there.Write([]byte{b}); err != nil {
				return
			}
		}
	}()
	if n, err := c.Do(); n != 2 || err != nil {
		t.Errorf("Do = %d, %v", n, err)
	}
}

func TestSpread(t *testing.T) {
	a := []Round{{Operations: 10, Elapsed: 1}, {Operations: 30, Elapsed: 1}, {Operations: 20, Elapsed: 1}}
	b := []Round{{Operations: 10, Elapsed: 1}, {Operations: 10, Elapsed: 1}, {Operations: 10, Elapsed: 1}}
	got := SpreadOf(Ratios(a, b, Round.Rate))
	if math.Abs(got.Median-2) > 1e-9 || math.Abs(got.Low-1) > 1e-9 || math.Abs(got.High-3) > 1e-9 {
		t.Errorf("%+v", got)
	}
	if even := SpreadOf([]float64{4, 1, 2, 3}); math.Abs(even.Median-2.5) > 1e-9 {
		t.Errorf("%+v", even)
	}
	if (SpreadOf(nil) != Spread{}) {
		t.Error("no values have a spread")
	}
}

// TestCPU: work shows in the account of the process that does it, and a process
// that is not there is an error.
func TestCPU(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var spun atomic.Uint64
	for begun := time.Now(); ; {
		for range 1 << 16 {
			spun.Add(1)
		}
		after, err := CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatal("a minute of work does not show")
		}
	}
	if _, err := CPU(math.MaxInt32); err == nil {
		t.Error("a process that is not there has a CPU time")
	}
}

// TestProcess: a process that ends early says what it printed, one that serves is
// stopped.
func TestProcess(t *testing.T) {
	p, err := StartProcess(exec.Command("sh", "-c", "echo no such thing >&2; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	never := func() error { return errors.New("not yet") }
	if err := p.Await(t.Context(), never); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("Await = %v", err)
	}
	p.Stop()
	if p, err = StartProcess(exec.Command("sleep", "1000")); err != nil {
		t.Fatal(err)
	}
	if used, err := CPU(p.PIDs()...); err != nil || used < 0 {
		t.Errorf("CPU = %v, %v", used, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Await(ctx, never); !errors.Is(err, context.Canceled) {
		t.Errorf("Await = %v", err)
	}
	p.Stop()
	p.Stop()
}

func TestBundles(t *testing.T) {
	var requests [][]byte
	for i := range 5 {
		requests = append(requests, fmt.Append(nil, i))
	}
	if got := Bundles(requests, 2); fmt.Sprintf("%s", got) != "[01 23]" {
		t.Errorf("%s", got)
	}
}
