package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a server that was started for a measurement.
type Process struct {
	cmd  *exec.Cmd
	out  lastWords
	done chan struct{}
	err  error // valid when done is closed
}

// StartProcess starts a command that serves until it is told to stop.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// PIDs returns the process id for [Contestant].
func (p *Process) PIDs() []int { return []int{p.PID()} }

// Output returns the last that the process has printed, up to 64 kB.
func (p *Process) Output() string { return p.out.String() }

const lookEvery = 100 * time.Millisecond

// Await returns when ready returns nil, or with an error when the process or ctx
// has ended first.
func (p *Process) Await(ctx context.Context, ready func() error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it served: %w: %s", p.cmd.Path, errors.Join(p.err, err), p.Output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w: %s", p.cmd.Path, errors.Join(ctx.Err(), err), p.Output())
		case <-tick.C:
		}
	}
}

// Answers returns a condition for Await: something accepts connections.
func Answers(ctx context.Context, network, address string) func() error {
	return func() error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// patience is how long a process may take to end by itself.
const patience = 10 * time.Second

// Stop tells the process to end, kills it if that takes too long, and waits. It
// may be called more than once; how the process has ended is not an error.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// lastWords keeps the end of what is printed. It is safe for concurrent use.
type lastWords struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const kept = 64 << 10

// Write implements [io.Writer].
func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	w.buf.Next(w.buf.Len() - min(w.buf.Len(), kept))
	return len(p), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
