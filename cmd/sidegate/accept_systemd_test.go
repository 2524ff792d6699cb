package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// manager does for the program what systemd does: it binds its sockets and hears
// how it is doing.
type manager struct {
	t     *testing.T
	dir   string
	names []string
	files []*os.File
	urls  map[string]string
	ears  *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{t: t, dir: t.TempDir(), urls: map[string]string{}}
	var err error
	m.ears, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.ears.Close() })
	return m
}

// bind binds a socket and keeps it, under the name of a listener.
func (m *manager) bind(name, network, address string) {
	m.t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		m.t.Fatal(err)
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		m.t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	m.urls[name] = "http://" + l.Addr().String()
	if err := l.Close(); err != nil { // the copy stays
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = file.Close() })
	m.names, m.files = append(m.names, name), append(m.files, file)
}

// start starts the program with the sockets. LISTEN_PID must be that of the program,
// which a shell knows that becomes it.
func (m *manager) start(environ []string, args ...string) *process {
	m.t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, builtProgram(m.t)}, args...)...)
	cmd.ExtraFiles = m.files
	return startCommand(m.t, m.dir, append(environ, fmt.Sprint("LISTEN_FDS=", len(m.files)),
		"LISTEN_FDNAMES="+strings.Join(m.names, ":"), "NOTIFY_SOCKET="+m.ears.LocalAddr().String()), cmd)
}

// heard waits until the manager has been told something.
func (m *manager) heard(what string) string {
	m.t.Helper()
	buf := make([]byte, 4096)
	if err := m.ears.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	for {
		n, err := m.ears.Read(buf)
		if err != nil {
			m.t.Fatalf("the manager was not told %q: %v", what, err)
		}
		if said := string(buf[:n]); strings.Contains(said, what) {
			return said
		}
	}
}

// TestAcceptSocketActivation: the program serves what was bound for it, has started
// when the database is there and not before, and leaves the sockets behind: whoever
// connects while one process follows another waits, and is not refused.
func TestAcceptSocketActivation(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Server(t, nil)
	dsn := postgres.DSN("postgres")
	migrateUp(t, dsn)
	if err := postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := newManager(t)
	socket := filepath.Join(m.dir, "check.sock")
	m.bind("check", "unix", socket)
	m.bind("api", "tcp", "127.0.0.1:0")
	m.bind("ops", "tcp", "127.0.0.1:0")
	// The addresses of the configuration are not bound: one of them cannot be.
	environ := append([]string{}, anyPort...)
	environ = append(environ, "SIDEGATE_CHECK_LISTEN=203.0.113.1:1")
	p := m.start(environ, "serve", "--postgres-url", dsn)
	if said := m.heard("EXTEND_TIMEOUT_USEC="); !strings.Contains(said, "STATUS=waiting for the database") || strings.Contains(said, "READY") {
		t.Errorf("while there is no database the manager is told %q", said)
	}
	s := newSidecar(p, m.urls)
	s.probes(http.StatusServiceUnavailable)
	if err := postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.heard("READY=1")
	if a := s.get("ops", "/startupz"); a.status != http.StatusOK {
		t.Errorf("/startupz of a program that has said it is ready: %v", a)
	}
	s.block("default", "bob", "alice")
	if got := runProgram(t, nil, "check", "alice", "bob", "--check-url", "unix://"+socket); !strings.Contains(got.stdout, "Withheld") {
		t.Errorf("%+v", got)
	}
	if got := runProgram(t, nil, "healthcheck", "--socket", socket); got.code != exitUnreachable || !strings.Contains(got.stderr, "wrong_listener") {
		t.Errorf("a probe of the wrong socket: %+v", got)
	}

	p.signal(syscall.SIGTERM)
	m.heard("STOPPING=1")
	if code := p.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	between, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatalf("between two processes nobody can connect: %v", err)
	}
	defer between.Close()
	if _, err := fmt.Fprintf(between, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", question{sender: "b", recipient: "a"}.path()); err != nil {
		t.Fatal(err)
	}
	again := m.start(environ, "serve", "--postgres-url", dsn)
	if text, err := io.ReadAll(between); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 ") {
		t.Errorf("who connected between two processes heard %q, %v", text, err)
	}
	m.heard("READY=1")
	again.signal(syscall.SIGTERM)
	if code := again.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestAcceptSocketsThatCannotBeServed: a name that is none of ours, and an address
// that others reach without a credential.
func TestAcceptSocketsThatCannotBeServed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ socket, address, says string }{
		"a name of nobody": {"sidegate.socket", "127.0.0.1:0", "FileDescriptorName="},
		"an open door":     {"check", "0.0.0.0:0", "can be reached from other machines"},
	} {
		m := newManager(t)
		m.bind(c.socket, "tcp", c.address)
		p := m.start(anyPort, "serve", "--postgres-url", "postgres://127.0.0.1:1/none")
		if code := p.wait(); code != exitUsage || !strings.Contains(p.stderr.String(), c.says) || !strings.Contains(p.stderr.String(), c.socket) {
			t.Errorf("%s: code %d, %s", name, code, &p.stderr)
		}
	}
}
