package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// Options says where a server lives and what may be lost.
type Options struct {
	// Dir holds the data and everything about it. It is made if missing; a cluster
	// that is there already is started again. Required.
	Dir string
	// Durable keeps committed transactions through a power cut. Off, the server is
	// quicker and still loses nothing when it is killed.
	Durable bool
	// Settings are PostgreSQL settings by name; they win over our own.
	Settings map[string]string
	// Log takes what the server prints, one Write at a time; nil drops it. When a
	// Write fails, the rest is dropped.
	Log io.Writer
}

// Server is a private PostgreSQL. Its methods are safe for concurrent use: those
// that start and end it wait for one another, the others do not wait.
type Server struct {
	opts   Options
	finder finder
	// orphan leaves out the death signal, to show in a test what it is for.
	orphan bool

	life  sync.Mutex // held while the server is started or ended, guards lock
	lock  *os.File   // the directory's lock, nil when it is not ours
	child atomic.Pointer[child]
	at    atomic.Pointer[endpoint]
}

// New returns a server that has not been started.
func New(opts Options) *Server {
	return &Server{opts: opts, finder: systemFinder()}
}

// Start makes the cluster if there is none, starts the server and returns when it
// answers queries. Starting a running server does nothing. When it fails or ctx
// ends first, nothing is left running. Errors: [ErrNoServer], [ErrInUse],
// [ErrVersion], or a sentence about the directory.
func (s *Server) Start(ctx context.Context) error {
	return s.start(ctx, origin{fill: func(ctx context.Context, c cluster) error { return c.create(ctx) }})
}

// Stop shuts the server down, open transactions rolled back, and returns when it
// has ended; a frozen one is thawed for it. If ctx ends first the server is killed
// and the cause of that returned. It may be called at any time and any number of
// times.
func (s *Server) Stop(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	c := s.child.Load()
	if c == nil {
		return nil
	}
	if c.ended() {
		return s.release()
	}
	// The signal waits for a frozen postmaster and is the first thing it sees.
	err := errors.Join(c.signal(syscall.SIGINT), thaw(c))
	select {
	case <-c.done:
		if c.err != nil {
			err = errors.Join(err, fmt.Errorf("private PostgreSQL: shutdown: %w", c.err))
		}
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("private PostgreSQL: killed, shutdown took too long: %w", context.Cause(ctx)),
			kill(context.WithoutCancel(ctx), c))
	}
	return errors.Join(err, s.release())
}

// Restart is Stop and Start: same data, same address.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Done returns a channel that is closed when the server that runs now has ended,
// whoever ended it; it is nil before the first start.
func (s *Server) Done() <-chan struct{} {
	if c := s.child.Load(); c != nil {
		return c.done
	}
	return nil
}

// PID returns the process id of the postmaster, 0 when it does not run.
func (s *Server) PID() int {
	if c := s.child.Load(); c != nil && !c.ended() {
		return c.pid
	}
	return 0
}

// DSN returns the address of a database through the socket, a URL for pgx and
// psql without a password in it. It stays the same until the program ends; it is
// empty before the first start.
func (s *Server) DSN(database string) string {
	if e := s.at.Load(); e != nil {
		return e.socketURL(database)
	}
	return ""
}

// TCPDSN is DSN through the loopback port, password included.
func (s *Server) TCPDSN(database string) string {
	if e := s.at.Load(); e != nil {
		return e.tcpURL(database)
	}
	return ""
}

// release gives up the directory. The caller holds life, and no server runs.
func (s *Server) release() error {
	var errs []error
	if e := s.at.Load(); e != nil && e.temporary {
		errs = append(errs, os.RemoveAll(e.socketDir))
	}
	if s.lock != nil {
		errs = append(errs, unlockDir(s.lock))
		s.lock = nil
	}
	return errors.Join(errs...)
}
