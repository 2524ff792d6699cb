package localpg

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// One cluster for what a start promises: starting takes a second.
func TestAStartedServer(t *testing.T) {
	dir := filepath.Join(reachable(t), "some", "new dir")
	s := started(t, Options{Dir: dir})

	t.Run("is UTF8 and sorts by bytes", func(t *testing.T) {
		got := value[string](t, s.DSN("postgres"),
			"select pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || datctype from pg_database where datname = 'template0'")
		if got != "UTF8 C C" {
			t.Errorf("encoding, collation and ctype are %q, want UTF8 C C", got)
		}
	})
	t.Run("answers at both addresses", func(t *testing.T) {
		for _, dsn := range []string{s.DSN("postgres"), s.TCPDSN("postgres")} {
			if got := value[int](t, dsn, "select 42"); got != 42 {
				t.Errorf("%s answers %d", dsn, got)
			}
		}
	})
	t.Run("is found by psql at both addresses", func(t *testing.T) {
		in, err := systemFinder().choose(patience(t), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, dsn := range []string{s.DSN("postgres"), s.TCPDSN("postgres")} {
			out, err := exec.Command(in.tool("psql"), "-XAtc", "select 42", dsn).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "42" {
				t.Errorf("psql %s: %v: %s", dsn, err, out)
			}
		}
	})
	t.Run("refuses TCP without the password", func(t *testing.T) {
		u, err := url.Parse(s.TCPDSN("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("postgres", "guess")
		_, err = pgx.Connect(patience(t), u.String())
		if pg := new(pgconn.PgError); !errors.As(err, &pg) || pg.Code != "28P01" {
			t.Errorf("a wrong password ends in %v, want invalid_password", err)
		}
	})
	t.Run("lets nobody else at its files", func(t *testing.T) {
		for name, want := range map[string]os.FileMode{"data": 0o700, "run": 0o700, "password": 0o600} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
			}
		}
	})
	t.Run("gets nothing of our environment", func(t *testing.T) {
		// What a server inherits can be read by whoever may read /proc.
		cmd := (cluster{account: account{}}).command(context.Background(), "postgres")
		for _, v := range cmd.Env {
			if name, _, _ := strings.Cut(v, "="); name != "LC_ALL" && name != "TZ" && name != "PATH" {
				t.Errorf("the server inherits %s", name)
			}
		}
	})
	t.Run("is started only once", func(t *testing.T) {
		pid := s.PID()
		if err := s.Start(patience(t)); err != nil {
			t.Fatal(err)
		}
		if s.PID() != pid {
			t.Error("Start of a running server started another")
		}
	})
}

func TestStopIsSafeAtAnyTime(t *testing.T) {
	s := New(Options{Dir: made(t)})
	for range 2 {
		if err := s.Stop(patience(t)); err != nil {
			t.Fatalf("before the start: %v", err)
		}
	}
	if s.PID() != 0 || s.Done() != nil || s.DSN("x") != "" || s.TCPDSN("x") != "" {
		t.Error("a server that was not started has a process or an address")
	}
	if err := s.Start(patience(t)); err != nil {
		t.Fatal(err)
	}
	procs, done := tree(t, s.PID()), s.Done()
	for range 2 {
		if err := s.Stop(patience(t)); err != nil {
			t.Fatalf("after the start: %v", err)
		}
	}
	<-done
	gone(t, procs)
	if s.PID() != 0 {
		t.Error("a stopped server has a process")
	}
	if err := s.Ready(patience(t)); err == nil {
		t.Error("a stopped server is ready")
	}
}

func TestTheSecondStartFindsTheData(t *testing.T) {
	dir := reachable(t)
	first := started(t, Options{Dir: dir, Durable: true})
	if got := value[string](t, first.DSN("postgres"), "show fsync"); got != "on" {
		t.Errorf("a durable server has fsync %s", got)
	}
	run(t, first.DSN("postgres"), "create table kept as select 7 as n")
	dsn, tcp := first.DSN("postgres"), first.TCPDSN("postgres")
	if err := first.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	// A new Server stands for a new process.
	second := started(t, Options{Dir: dir, Settings: map[string]string{"work_mem": "5MB"}})
	if second.DSN("postgres") != dsn || second.TCPDSN("postgres") != tcp {
		t.Errorf("the address was %s and is %s", dsn, second.DSN("postgres"))
	}
	if got := value[int](t, tcp, "select n from kept"); got != 7 {
		t.Errorf("kept %d, want 7", got)
	}
	if got := value[string](t, dsn, "select current_setting('fsync') || current_setting('work_mem')"); got != "off5MB" {
		t.Errorf("fsync and work_mem are %s, want off and 5MB", got)
	}

	// A third finds the password gone, and makes one that works.
	if err := second.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "password")); err != nil {
		t.Fatal(err)
	}
	third := started(t, Options{Dir: dir})
	if third.TCPDSN("postgres") == tcp {
		t.Error("the password that was removed is still in use")
	}
	if got := value[int](t, third.TCPDSN("postgres"), "select n from kept"); got != 7 {
		t.Errorf("kept %d, want 7", got)
	}
}

func TestRestartKeepsTheAddress(t *testing.T) {
	s := started(t, Options{})
	dsn, pid := s.DSN("postgres"), s.PID()
	run(t, dsn, "create table kept as select 7 as n")
	if err := s.Restart(patience(t)); err != nil {
		t.Fatal(err)
	}
	if s.PID() == pid || s.DSN("postgres") != dsn {
		t.Errorf("process %d → %d, address %s → %s", pid, s.PID(), dsn, s.DSN("postgres"))
	}
	if got := value[int](t, dsn, "select n from kept"); got != 7 {
		t.Errorf("kept %d, want 7", got)
	}
}

func TestStopDoesNotWaitForClients(t *testing.T) {
	s := started(t, Options{})
	idle := connect(t, s.DSN("postgres"))
	if _, err := idle.Exec(patience(t), "begin; create table lost ()"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	if err := idle.Ping(patience(t)); err == nil {
		t.Error("the client's session outlived the server")
	}
}

func TestStopOutOfPatienceKills(t *testing.T) {
	s := started(t, Options{})
	procs := tree(t, s.PID())
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	// Either the shutdown was quicker than we looked, or it was cut short.
	if err := s.Stop(ctx); err != nil && !errors.Is(err, enough) {
		t.Errorf("Stop with an ended context: %v, want its cause", err)
	}
	gone(t, procs)
	if err := s.Start(patience(t)); err != nil {
		t.Errorf("after a stop that became a kill: %v", err)
	}
}

func TestALongPathFallsBackToAShortSocket(t *testing.T) {
	dir := filepath.Join(reachable(t), strings.Repeat("d", 100))
	s := started(t, Options{Dir: dir})
	u, err := url.Parse(s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	socket := u.Query().Get("host")
	if strings.HasPrefix(socket, dir) || !socketFits(socket) {
		t.Errorf("the socket is in %s", socket)
	}
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's directory: mode %v, %v, want 0700", info.Mode(), err)
	}
	if err := s.Restart(patience(t)); err != nil {
		t.Fatal(err)
	}
	if got := value[int](t, u.String(), "select 42"); got != 42 {
		t.Errorf("after a restart the address answers %d", got)
	}
	if err := s.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's directory is left: %v", err)
	}
}

func TestTheLogIsPassedOn(t *testing.T) {
	var out bytes.Buffer
	s := started(t, Options{Log: &out})
	if err := s.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	// Stop has waited for the end of the output: nobody writes any more.
	if !strings.Contains(out.String(), "ready to accept connections") {
		t.Errorf("the log has no line of the start:\n%s", out.String())
	}
}
