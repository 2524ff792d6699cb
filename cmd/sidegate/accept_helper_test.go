package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// The tests in the files accept_*_test.go use the program as its users do: they
// build it, run it as a process against a real Postgres, and know of it only
// what it prints, listens on and writes. SQL goes through psql.

// patience bounds every wait. What is waited for takes milliseconds; a machine
// that is busy with something else may take long.
const patience = time.Minute

// waitFor waits until a condition holds. It is the one place of these tests that
// sleeps.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %v in vain: %s", patience, what)
		}
	}
}

// built are the programs by their build tags, each built by the first test that
// runs it.
var built struct {
	mu  sync.Mutex
	dir string
	err map[string]error
}

// builtProgram returns the path of the program.
func builtProgram(t *testing.T) string {
	t.Helper()
	return builtWith(t, "")
}

// builtWith returns the path of the program that is built with a tag.
func builtWith(t *testing.T, tag string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.dir == "" {
		var err error
		if built.dir, err = os.MkdirTemp("", "sidegate-accept-"); err != nil {
			t.Fatal(err)
		}
		built.err = map[string]error{}
	}
	path := filepath.Join(built.dir, "sidegate"+tag)
	err, done := built.err[tag]
	if !done {
		args := []string{"build", "-buildvcs=false", "-tags", tag, "-o", path}
		if raceEnabled {
			args = append(args, "-race")
		}
		if out, failed := exec.Command("go", append(args, ".")...).CombinedOutput(); failed != nil {
			err = errors.New("go build: " + string(out))
		}
		built.err[tag] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// removeBuilt ends what builtProgram began, after the last test.
func removeBuilt() {
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}

// output is what a process has printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a run of the program.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{} // closed when it has ended and all its output is here
}

// anyPort lets every listener take a free port and opens the api listener to one
// token. How long a check with a revision may wait for its read is not what these
// tests are about: on a busy machine the default is soon over. What comes later
// in an environment wins, and a flag over both.
var anyPort = []string{
	"SIDEGATE_CHECK_LISTEN=127.0.0.1:0", "SIDEGATE_API_LISTEN=127.0.0.1:0", "SIDEGATE_OPS_LISTEN=127.0.0.1:0",
	"SIDEGATE_API_TOKENS=" + apiToken, "SIDEGATE_CHECK_AT_LEAST_TIMEOUT=10s", "SIDEGATE_LOG_FORMAT=json",
}

const apiToken = "token-of-the-acceptance-tests"

// disaster is what Go itself prints when a program is wrong.
var disaster = regexp.MustCompile(`(?m)^(WARNING: DATA RACE|panic: .*|fatal error: .*)$`)

// start runs the program in a directory, with nothing of our own environment
// that configures it. The process is gone when the test ends.
func start(t *testing.T, dir string, environ []string, args ...string) *process {
	t.Helper()
	return startCommand(t, dir, environ, exec.Command(builtProgram(t), args...))
}

// startCommand is start for a command that becomes the program.
func startCommand(t *testing.T, dir string, environ []string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, ended: make(chan struct{})}
	p.cmd.Dir = dir
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SIDEGATE_") {
			p.cmd.Env = append(p.cmd.Env, entry)
		}
	}
	p.cmd.Env = append(p.cmd.Env, environ...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// A group of its own, as a shell gives to a command: interrupt can then
	// reach the whole group, as Ctrl-C does.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is what counts
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // most have ended
		<-p.ended
		if bad := disaster.FindString(p.stderr.String()); bad != "" {
			t.Errorf("the program had a %s", bad)
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s%s", strings.Join(cmd.Args, " "), &p.stdout, &p.stderr)
		}
	})
	return p
}

// wait returns the exit code of the process.
func (p *process) wait() int {
	p.t.Helper()
	waitFor(p.t, "the process ends", p.hasEnded)
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal sends a signal to the process.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// interrupt does what Ctrl-C does: it signals the whole process group.
func (p *process) interrupt() {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
}

// printed waits until the process has printed something.
func (p *process) printed(o *output, what *regexp.Regexp) []string {
	p.t.Helper()
	var found []string
	waitFor(p.t, "the process prints "+what.String(), func() bool {
		done := p.hasEnded() // before the look: afterwards nothing more is printed
		found = what.FindStringSubmatch(o.String())
		if found == nil && done {
			p.t.Fatalf("the process ended with code %d and had not printed %s", p.cmd.ProcessState.ExitCode(), what)
		}
		return found != nil
	})
	return found
}

// runProgram runs a command to its end.
func runProgram(t *testing.T, environ []string, args ...string) outcome {
	t.Helper()
	p := start(t, t.TempDir(), environ, args...)
	code := p.wait()
	return outcome{code, p.stdout.String(), p.stderr.String()}
}

// database returns the address of a database of the shared cluster, with a
// schema that the program itself has made.
func database(t *testing.T) string {
	t.Helper()
	dsn := pgtest.Empty(t)
	migrateUp(t, dsn)
	return dsn
}

func migrateUp(t *testing.T, dsn string) {
	t.Helper()
	if got := runProgram(t, nil, "migrate", "up", "--postgres-url", dsn); got.code != exitOK {
		t.Fatalf("migrate up: %+v", got)
	}
}

// psql runs statements, each in a transaction of its own, and returns what they
// print. Statements that must be refused are for refused.
func psql(t *testing.T, dsn string, statements ...string) string {
	t.Helper()
	out, refusal := tryPsql(t, dsn, statements...)
	if refusal != "" {
		t.Fatalf("psql: %s", refusal)
	}
	return out
}

func tryPsql(t *testing.T, dsn string, statements ...string) (out, refusal string) {
	t.Helper()
	args := []string{"-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	cmd := exec.Command("psql", append(args, dsn)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("psql: %v", err)
	} else if err != nil {
		return stdout.String(), stderr.String()
	}
	return strings.TrimSuffix(stdout.String(), "\n"), ""
}

// serving finds the line of the log that says what is bound.
var serving = regexp.MustCompile(`(?m)^\{.*"msg":"sidegate serves".*\}$`)

// startSidecar runs "sidegate serve" on a database until the test ends and
// returns when it is bound; ready waits for more. The configuration is YAML;
// variables win over it, those given here over anyPort.
func startSidecar(t *testing.T, dsn, configuration string, environ ...string) *sidecar {
	t.Helper()
	return startSidecarOf(t, builtProgram(t), dsn, configuration, environ...)
}

// startSidecarOf is startSidecar for a program that was built another way.
func startSidecarOf(t *testing.T, path, dsn, configuration string, environ ...string) *sidecar {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "sidegate.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	return bound(startCommand(t, dir, append(slices.Clone(anyPort), environ...),
		exec.Command(path, "serve", "--config", file, "--postgres-url", dsn)))
}

// bound waits until a process that serves has bound its listeners.
func bound(p *process) *sidecar {
	p.t.Helper()
	var line struct{ Listeners map[string][]string }
	if err := json.Unmarshal([]byte(p.printed(&p.stderr, serving)[0]), &line); err != nil {
		p.t.Fatal(err)
	}
	urls := map[string]string{}
	for door, addresses := range line.Listeners {
		urls[door] = "http://" + addresses[0]
	}
	return newSidecar(p, urls)
}
