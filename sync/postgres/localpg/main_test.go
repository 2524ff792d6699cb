package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// TestMain also is the program that the tests of a dying parent kill: the same
// binary, told by the environment to be it.
func TestMain(m *testing.M) {
	if os.Getenv(helperDir) != "" {
		os.Exit(helper())
	}
	goleak.VerifyTestMain(suite{m})
}

// suite removes what the tests shared.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	code := s.m.Run()
	if ready.dir != "" {
		if err := os.RemoveAll(ready.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// ready is a stopped cluster to copy: making one takes a second of processor time.
var ready struct {
	once sync.Once
	dir  string
	err  error
}

// made returns a directory with a cluster that has been stopped.
func made(t *testing.T) string {
	t.Helper()
	ready.once.Do(func() {
		if ready.dir, ready.err = os.MkdirTemp("", "localpg-ready-"); ready.err != nil {
			return
		}
		if ready.err = os.Chmod(ready.dir, 0o711); ready.err != nil {
			return
		}
		s := New(Options{Dir: ready.dir})
		ready.err = errors.Join(s.Start(patience(t)), s.Stop(patience(t)))
	})
	if ready.err != nil {
		t.Fatal(ready.err)
	}
	dir := reachable(t)
	if out, err := exec.Command("cp", "-a", ready.dir+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// patience bounds what a test waits for; only a failing test takes that long.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// reachable returns a directory that the server's account may pass, which
// t.TempDir is not when the tests run as root.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localpg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// server returns a server in a directory of its own, or in the given one, that is
// stopped when the test ends.
func server(t *testing.T, opts Options) *Server {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = reachable(t)
	}
	s := New(opts)
	t.Cleanup(func() {
		if err := s.Stop(patience(t)); err != nil {
			t.Error(err)
		}
	})
	return s
}

// started is server and Start, on a cluster that is there already unless a
// directory is given.
func started(t *testing.T, opts Options) *Server {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = made(t)
	}
	s := server(t, opts)
	if err := s.Start(patience(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(patience(t), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(patience(t)) }) // the server may be gone by then
	return conn
}

// value runs a query on a connection of its own and returns its one value.
func value[T any](t *testing.T, dsn, sql string) (v T) {
	t.Helper()
	conn := connect(t, dsn)
	if err := conn.QueryRow(patience(t), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// run runs a statement on a connection of its own.
func run(t *testing.T, dsn, sql string) {
	t.Helper()
	if _, err := connect(t, dsn).Exec(patience(t), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// gone waits until none of the processes is left.
func gone(t *testing.T, procs []process) {
	t.Helper()
	if err := awaitAll(patience(t), procs, never); err != nil {
		t.Fatalf("processes are left: %v", err)
	}
}

// tree returns the postmaster and its children as they are now.
func tree(t *testing.T, pid int) []process {
	t.Helper()
	children, err := descendants(pid)
	if err != nil {
		t.Fatal(err)
	}
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.pid == pid {
			children = append(children, p)
		}
	}
	if len(children) < 3 {
		t.Fatalf("process %d has the processes %v, want a postmaster with children", pid, children)
	}
	return children
}
