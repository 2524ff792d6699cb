package localpg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// Kill ends the postmaster and all its children by SIGKILL, as a crash would, and
// returns when none is left: their shared memory is free then and Start works at
// once. Killing a server that does not run does nothing.
func (s *Server) Kill(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	c := s.child.Load()
	if c == nil {
		return nil
	}
	return errors.Join(kill(ctx, c), s.release())
}

// kill works in an order that leaves no survivor: a stopped postmaster makes no
// new child while the list of them is taken.
func kill(ctx context.Context, c *child) error {
	if c.ended() {
		return nil
	}
	children, err := halt(ctx, c)
	err = errors.Join(err, signalAll(children, syscall.SIGKILL), c.signal(syscall.SIGKILL))
	select {
	case <-c.done:
	case <-ctx.Done():
		return errors.Join(err, context.Cause(ctx))
	}
	// The children are not ours to reap: init does, in its own time.
	return errors.Join(err, awaitAll(ctx, children, never))
}

// halt stops the postmaster and returns its children, whose number is then fixed.
func halt(ctx context.Context, c *child) ([]process, error) {
	if err := c.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	if err := awaitAll(ctx, []process{{pid: c.pid}}, stopped); err != nil {
		return nil, fmt.Errorf("private PostgreSQL: stop the postmaster: %w", err)
	}
	return descendants(c.pid)
}

// KillBackend ends one child of the postmaster by SIGKILL; PostgreSQL then ends
// all its sessions and recovers, under the same postmaster. The process id is what
// pg_backend_pid() returns. It does not wait; see [Server.Ready].
func (s *Server) KillBackend(pid int) error {
	c := s.child.Load()
	if c == nil || c.ended() {
		return errNotRunning
	}
	children, err := descendants(c.pid)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(children, func(p process) bool { return p.pid == pid })
	if i < 0 {
		return fmt.Errorf("private PostgreSQL: process %d is none of its backends", pid)
	}
	return signalAll(children[i:i+1], syscall.SIGKILL)
}

// Freeze stops all processes of the server where they stand: connections stay open
// and nobody answers, as on a machine that hangs. It returns when all have
// stopped.
func (s *Server) Freeze(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	c := s.child.Load()
	if c == nil || c.ended() {
		return errNotRunning
	}
	children, err := halt(ctx, c)
	if err != nil {
		return err
	}
	if err := signalAll(children, syscall.SIGSTOP); err != nil {
		return err
	}
	return awaitAll(ctx, children, stopped)
}

// Thaw lets a frozen server go on. A server that is not frozen does not notice.
func (s *Server) Thaw() error {
	s.life.Lock()
	defer s.life.Unlock()
	c := s.child.Load()
	if c == nil || c.ended() {
		return errNotRunning
	}
	return thaw(c)
}

func thaw(c *child) error {
	children, err := descendants(c.pid)
	return errors.Join(err, signalAll(children, syscall.SIGCONT), c.signal(syscall.SIGCONT))
}
