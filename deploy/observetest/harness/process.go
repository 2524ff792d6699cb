package harness

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// build makes the program from the sources that this module stands in.
func build(dir string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "sidegate")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./cmd/sidegate")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.New("go build ./cmd/sidegate: " + string(out))
	}
	return program, nil
}

// Root is the folder of the repository. The tests run in a folder of it, wherever
// that is.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "sidegate")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no folder above the tests holds cmd/sidegate")
		}
		dir = parent
	}
}

// output is what a process has printed so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is a run of a program.
type process struct {
	cmd   *exec.Cmd
	log   output        // both of its streams
	ended chan struct{} // closed when it has ended and all its output is here
}

// run starts a program with nothing of our own environment that configures it.
func run(dir string, environ []string, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Dir = dir
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SIDEGATE_") {
			p.cmd.Env = append(p.cmd.Env, entry)
		}
	}
	p.cmd.Env = append(p.cmd.Env, environ...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// Ctrl-C at the terminal is for the tests, which then stop the program.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is what counts
	}()
	return p, nil
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal reaches the process and never a successor of its id.
func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// stop ends the process as an orchestrator does and waits for it.
func (p *process) stop() error {
	err := p.signal(syscall.SIGTERM)
	<-p.ended
	return err
}

// disaster is what Go itself prints when a program is wrong.
var disaster = regexp.MustCompile(`(?m)^(WARNING: DATA RACE|panic: .*|fatal error: .*)$`)

// tail returns the end of a text.
func tail(text string) string {
	const size = 8 << 10
	return text[max(0, len(text)-size):]
}
