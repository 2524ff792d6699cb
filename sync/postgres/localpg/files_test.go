package localpg

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestTheAddressSurvivesAwkwardPaths(t *testing.T) {
	for _, dir := range []string{"/tmp/plain", "/tmp/with space/and ?&#%", "/tmp/läuft/überall"} {
		e := endpoint{socketDir: dir, port: 23456, password: "p"}
		conf, err := pgx.ParseConfig(e.socketURL("a db/ü?"))
		if err != nil {
			t.Fatal(err)
		}
		if conf.Host != dir || conf.Port != 23456 || conf.Database != "a db/ü?" || conf.User != "postgres" || conf.Password != "" {
			t.Errorf("%s is read as %s:%d/%s by %s", e.socketURL("a db/ü?"), conf.Host, conf.Port, conf.Database, conf.User)
		}
		conf, err = pgx.ParseConfig(e.tcpURL("x"))
		if err != nil {
			t.Fatal(err)
		}
		if conf.Host != loopback || conf.Port != 23456 || conf.Database != "x" || conf.Password != "p" || conf.TLSConfig != nil {
			t.Errorf("%s is read as %s:%d/%s", e.tcpURL("x"), conf.Host, conf.Port, conf.Database)
		}
		if _, err := url.Parse(e.socketURL("x")); err != nil {
			t.Error(err)
		}
	}
}

func TestFreePort(t *testing.T) {
	l, err := net.Listen("tcp4", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().(*net.TCPAddr).Port
	port, err := freePort(taken)
	if err != nil || port == taken || port < 20000 || port >= 32000 {
		t.Errorf("with %d taken: %d, %v", taken, port, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if port, err := freePort(taken); err != nil || port != taken {
		t.Errorf("with %d free and preferred: %d, %v", taken, port, err)
	}
}

func TestLastPort(t *testing.T) {
	l := layout{root: t.TempDir()}
	if got := l.lastPort(); got != 0 {
		t.Errorf("without a file: %d", got)
	}
	for text, want := range map[string]int{"23456\n": 23456, "80": 0, "70000": 0, "": 0, "x": 0, "-1": 0} {
		if err := os.WriteFile(l.port(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := l.lastPort(); got != want {
			t.Errorf("%q is read as %d, want %d", text, got, want)
		}
	}
	if err := l.savePort(24680); err != nil || l.lastPort() != 24680 {
		t.Errorf("saved 24680, read %d, %v", l.lastPort(), err)
	}
}

func TestPassword(t *testing.T) {
	l, us := layout{root: t.TempDir()}, account{}
	first, made, err := l.loadPassword(us)
	if err != nil || !made || len(first) < 20 {
		t.Fatalf("the first password is %q, made %t, %v", first, made, err)
	}
	if again, made, err := l.loadPassword(us); err != nil || made || again != first {
		t.Errorf("the next time it is %q, made %t, %v; want %q", again, made, err, first)
	}
	other, _, err := (layout{root: t.TempDir()}).loadPassword(us)
	if err != nil || other == first {
		t.Errorf("two clusters share the password %q (%v)", other, err)
	}
	if err := os.WriteFile(l.password(), []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, made, err := l.loadPassword(us); err != nil || !made {
		t.Errorf("an empty file: made %t, %v; want a new password", made, err)
	}
	if err := errors.Join(os.Remove(l.password()), os.Mkdir(l.password(), 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.loadPassword(us); err == nil {
		t.Error("a directory was read as a password")
	}
}

func TestALinkIsNoPrivateDirectory(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "run")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := (account{}).mkdir(link); err == nil {
		t.Error("a link, which anybody could have made, was taken for our directory")
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (account{}).mkdir(open); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(open); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("an open directory was left open: %v, %v", info.Mode(), err)
	}
}

func TestSocketDirWithoutRoom(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	_, _, err := socketDir(layout{root: long}, account{})
	if err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("two long paths end in %v", err)
	}
	left, err := os.ReadDir(long)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestParsePIDFile(t *testing.T) {
	for text, want := range map[string]int{
		"4711\n/data\n1700000000\n5432\n": 4711,
		"-4711\n":                         4711,
		" 12 ":                            12,
		"0\n":                             0,
		"":                                0,
		"x\n1\n":                          0,
	} {
		got, ok := parsePIDFile(text)
		if ok != (want != 0) || (ok && got != want) {
			t.Errorf("%q is read as %d, %t; want %d", text, got, ok, want)
		}
	}
}

func FuzzParsePIDFile(f *testing.F) {
	f.Add("4711\n/data\n")
	f.Add(strconv.Itoa(-1 << 63))
	f.Fuzz(func(t *testing.T, text string) {
		if pid, ok := parsePIDFile(text); ok && pid < 1 {
			t.Errorf("%q is read as process %d", text, pid)
		}
	})
}

// A process id is given out again; PostgreSQL would refuse to start next to
// whoever has it now.
func TestAReusedProcessIDIsNoServer(t *testing.T) {
	s := started(t, Options{})
	if err := s.Kill(patience(t)); err != nil {
		t.Fatal(err)
	}
	l := layout{root: s.opts.Dir}
	text, err := os.ReadFile(l.pid())
	if err != nil {
		t.Fatalf("the killed server's pid file: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	// The server checks by a signal, which it may send to those of its own account.
	owner, err := chooseAccount(l.data())
	if err != nil {
		t.Fatal(err)
	}
	sleeper := cluster{install: install{bin: "/bin"}, account: owner}.command(t.Context(), "sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
	stale := strconv.Itoa(sleeper.Process.Pid) + "\n" + rest
	if err := os.WriteFile(l.pid(), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(patience(t)); err != nil {
		t.Errorf("a stranger with the old process id: %v", err)
	}
	if err := sleeper.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was harmed: %v", err)
	}
}

func TestUntilEndsWithItsContext(t *testing.T) {
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	err := until(ctx, func() bool {
		if calls++; calls == 3 {
			cancel(enough)
		}
		return false
	})
	if !errors.Is(err, enough) || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
	if err := until(ctx, func() bool { return true }); err != nil {
		t.Errorf("what holds already needs no time: %v", err)
	}
}
