package localpg

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is one life of the postmaster.
type child struct {
	cmd  *exec.Cmd
	pid  int
	done chan struct{} // closed when it has been reaped and its output read
	err  error         // how it ended; valid after done
}

// startChild starts the command and a goroutine that waits for it, which ends
// with the process: whoever ends the process waits for done.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{})}
	// Output is read to its end, and backends that outlive their postmaster
	// hold it open; this bounds the wait for them.
	cmd.WaitDelay = 10 * time.Second
	started := make(chan error, 1)
	go func() {
		defer close(c.done)
		// The death signal is sent when the starting *thread* ends, see prctl(2),
		// PR_SET_PDEATHSIG. Locked, this thread cannot end before the server does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		c.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		<-c.done
		return nil, err
	}
	c.pid = cmd.Process.Pid
	return c, nil
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// signal reaches the process and never a successor of its id; after the end of
// the process it does nothing.
func (c *child) signal(sig syscall.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
