package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if value, ok := strings.CutPrefix(p, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// TestNoSockets: nobody has passed any, or they are somebody else's.
func TestNoSockets(t *testing.T) {
	for _, env := range [][]string{
		nil, {"LISTEN_FDS=1"}, {"LISTEN_PID=1", "LISTEN_FDS=1"}, {"LISTEN_PID=x", "LISTEN_FDS=1"},
	} {
		if got, err := Sockets(environ(env...)); got != nil || err != nil {
			t.Errorf("%v: %v, %v", env, got, err)
		}
	}
	me := fmt.Sprint("LISTEN_PID=", os.Getpid())
	for _, fds := range []string{"", "x", "-1", "257", "99999999999999999999", "1 "} {
		if _, err := Sockets(environ(me, "LISTEN_FDS="+fds)); err == nil {
			t.Errorf("%q sockets were taken", fds)
		}
	}
}

// FuzzPassed: whatever stands in the variables, there are as many names as sockets,
// each has one, and their number is bounded.
func FuzzPassed(f *testing.F) {
	f.Add("1", "check")
	f.Add("3", "check::ops")
	f.Add("-1", "")
	f.Add("1000000000", ":")
	f.Fuzz(func(t *testing.T, fds, given string) {
		names, err := passed(environ(fmt.Sprint("LISTEN_PID=", os.Getpid()), "LISTEN_FDS="+fds, "LISTEN_FDNAMES="+given))
		if err != nil {
			if names != nil {
				t.Fatalf("%q and an error: %v", names, err)
			}
			return
		}
		if n, err := strconv.Atoi(fds); err != nil || n != len(names) || n > maxSockets {
			t.Fatalf("%q sockets have the names %q", fds, names)
		}
		want := strings.Split(given, ":")
		for i, name := range names {
			if name == "" || i < len(want) && want[i] != "" && name != want[i] {
				t.Fatalf("socket %d of %q is called %q", i, given, name)
			}
		}
	})
}

// copied returns a descriptor that nobody else closes.
func copied(t *testing.T, f *os.File) int {
	t.Helper()
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	bound, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	file, err := bound.File()
	if err != nil {
		t.Fatal(err)
	}
	l, err := listener(copied(t, file), "check")
	if err != nil || l.Addr().String() != path {
		t.Fatalf("%v, %v", l, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the socket is gone with the process that it was passed to: %v", err)
	}
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listener(copied(t, plain), "check"); err == nil || !strings.Contains(err.Error(), "no listening") {
		t.Errorf("a device was taken for a socket: %v", err)
	}
}

func TestTell(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	for _, name := range []string{path, fmt.Sprintf("@sidegate-test-%d", os.Getpid())} {
		manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		n := NewNotifier(environ("NOTIFY_SOCKET=" + name))
		if err := n.Tell(Ready, Status("two\nlines"), ExtendStart(time.Second)); err != nil || !n.Listened() {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		k, err := manager.Read(buf)
		if got := string(buf[:k]); err != nil || got != "READY=1\nSTATUS=two lines\nEXTEND_TIMEOUT_USEC=1000000" {
			t.Errorf("%q, %v", got, err)
		}
		if err := manager.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := NewNotifier(environ("NOTIFY_SOCKET=" + path)).Tell(Ready); err == nil {
		t.Error("a manager who is not there was told")
	}
	for _, nobody := range []string{"", "vsock:1:2"} {
		n := NewNotifier(environ("NOTIFY_SOCKET=" + nobody))
		if err := n.Tell(Ready); err != nil || n.Listened() {
			t.Errorf("%q: %v", nobody, err)
		}
	}
}
