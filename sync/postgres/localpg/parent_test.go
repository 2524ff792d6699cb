package localpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The environment that makes the test binary the helper, see TestMain.
const (
	helperDir  = "LOCALPG_HELPER_DIR"
	helperMode = "LOCALPG_HELPER_MODE" // orphan: without the death signal; frozen
)

// helper is a program that runs a server: it prints the postmaster's id, and at an
// interrupt whether the server still answers, which it then stops.
func helper() int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	s := New(Options{Dir: os.Getenv(helperDir), Log: os.Stderr})
	s.orphan = os.Getenv(helperMode) == "orphan"
	if err := s.Start(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	if os.Getenv(helperMode) == "frozen" {
		if err := s.Freeze(ctx); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	fmt.Println(s.PID())
	select {
	case <-interrupts:
	case <-ctx.Done():
	}
	fmt.Println("ready:", s.Ready(ctx))
	fmt.Println("stop:", s.Stop(ctx))
	return 0
}

// program is a running helper.
type program struct {
	cmd   *exec.Cmd
	lines *bufio.Reader
	pid   int // of its postmaster
}

func runHelper(t *testing.T, cmd *exec.Cmd, dir, mode string) program {
	t.Helper()
	cmd.Env = append(os.Environ(), helperDir+"="+dir, helperMode+"="+mode)
	// A group of its own, as a shell gives every job.
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := program{cmd: cmd, lines: bufio.NewReader(out)}
	line, err := p.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the helper printed %q: %v", line, err)
	}
	if _, err := fmt.Sscan(line, &p.pid); err != nil {
		t.Fatalf("the helper printed %q", line)
	}
	return p
}

// kill ends the helper as the kernel's out-of-memory killer would.
func (p program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // "signal: killed", what we wanted
}

func TestTheServerDiesWithItsProgram(t *testing.T) {
	if !deathSignal() {
		t.Skip("this system has no signal for the death of a parent; the package document says so")
	}
	for _, mode := range []string{"", "frozen"} {
		t.Run("mode "+mode, func(t *testing.T) {
			dir := made(t)
			p := runHelper(t, exec.Command(os.Args[0]), dir, mode)
			procs := tree(t, p.pid)
			p.kill(t)
			// At once, without waiting for the end of the old server: a new start
			// has to do that.
			s := started(t, Options{Dir: dir})
			gone(t, procs)
			if got := value[int](t, s.DSN("postgres"), "select 42"); got != 42 {
				t.Errorf("the next server answers %d", got)
			}
		})
	}
}

// The guard off: without the death signal the server stays, and the next start
// names it.
func TestWithoutTheSignalTheServerStays(t *testing.T) {
	dir := made(t)
	p := runHelper(t, exec.Command(os.Args[0]), dir, "orphan")
	procs := tree(t, p.pid)
	p.kill(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := New(Options{Dir: dir}).Start(ctx)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("kill -INT %d", p.pid)) {
		t.Errorf("a start over a server that stayed: %v, want ErrInUse with process %d", err, p.pid)
	}
	if err := syscall.Kill(p.pid, syscall.SIGINT); err != nil {
		t.Fatalf("the server did not stay: %v", err)
	}
	gone(t, procs)
	started(t, Options{Dir: dir})
}

func TestCtrlCReachesTheProgramOnly(t *testing.T) {
	p := runHelper(t, exec.Command(os.Args[0]), made(t), "")
	procs := tree(t, p.pid)
	// A terminal signals the whole group of the job.
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(p.lines)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(rest), "ready: <nil>\nstop: <nil>\n"; got != want {
		t.Errorf("after Ctrl-C the program says %q, want %q", got, want)
	}
	gone(t, procs)
}

// The tests mostly run as root; a developer's machine does not.
func TestWithoutRoot(t *testing.T) {
	needRoot(t) // without it, all the other tests show this
	nobody := accountOf(65534)
	dir := reachable(t)
	program := helperBinary(t)
	home := filepath.Join(dir, "home")
	if err := nobody.mkdir(home); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Dir = home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(nobody.uid), Gid: uint32(nobody.gid)}}
	p := runHelper(t, cmd, filepath.Join(home, ".sidegate"), "")
	procs := tree(t, p.pid)
	p.kill(t)
	gone(t, procs)

	// Root takes over what an ordinary user has made, as that user.
	s := started(t, Options{Dir: filepath.Join(home, ".sidegate")})
	if uid, _, err := ownerOf(fmt.Sprintf("/proc/%d", s.PID())); err != nil || uid != nobody.uid {
		t.Errorf("the server runs as user %d (%v), want %d", uid, err, nobody.uid)
	}
}

func deathSignal() bool {
	var attr syscall.SysProcAttr
	dieWithParent(&attr)
	return !reflect.ValueOf(attr).IsZero()
}
