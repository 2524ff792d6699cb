package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// origin is how a cluster that does not exist yet comes to be.
type origin struct {
	fill     func(ctx context.Context, c cluster) error
	password string // that its superuser will have; empty: make one
}

// start is Start for a cluster of any origin.
func (s *Server) start(ctx context.Context, from origin) (err error) {
	s.life.Lock()
	defer s.life.Unlock()
	if c := s.child.Load(); c != nil && !c.ended() {
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("private PostgreSQL: %w", err), s.release())
		}
	}()
	// A server that ended by itself has left us holding the directory.
	if err := s.release(); err != nil {
		return err
	}
	l, err := s.take(ctx)
	if err != nil {
		return err
	}
	c, err := openCluster(ctx, l, s.finder, s.opts)
	if err != nil {
		return err
	}
	return s.launch(ctx, c, from)
}

// take makes the directory and takes its lock. Nothing else runs on it when it
// returns.
func (s *Server) take(ctx context.Context) (layout, error) {
	if s.opts.Dir == "" {
		return layout{}, errors.New("no data directory given")
	}
	root, err := filepath.Abs(s.opts.Dir)
	if err != nil {
		return layout{}, err
	}
	// Searchable by all: as root, the server runs as another user and has to pass.
	if err := os.MkdirAll(root, 0o755); err != nil {
		return layout{}, err
	}
	l := layout{root: root}
	s.lock, err = lockDir(l)
	if errors.Is(err, fs.ErrPermission) {
		return layout{}, fmt.Errorf("the directory %s belongs to another user: run as that user, or use another directory: %w", root, err)
	}
	if err != nil {
		return layout{}, err
	}
	return l, awaitOrphans(ctx, l)
}

// launch fills the cluster if it is new, starts the postmaster and waits until it
// answers.
func (s *Server) launch(ctx context.Context, c cluster, from origin) error {
	existed := c.exists()
	if !existed && from.password != "" {
		if err := c.savePassword(c.account, from.password); err != nil {
			return err
		}
	}
	pw, made, err := c.loadPassword(c.account)
	if err != nil {
		return err
	}
	if !existed {
		if err := from.fill(ctx, c); err != nil {
			return err
		}
	}
	if err := s.listen(ctx, c, pw); err != nil {
		return err
	}
	if existed && made {
		// Somebody removed the file; the socket needs no password to set one.
		if err := setPassword(ctx, *s.at.Load()); err != nil {
			return errors.Join(err, kill(context.WithoutCancel(ctx), s.child.Load()))
		}
	}
	return nil
}

// listen starts the postmaster at the address of its last start in this process,
// or else at a new one.
func (s *Server) listen(ctx context.Context, c cluster, pw string) error {
	if e := s.at.Load(); e != nil {
		// Stop removed a temporary directory; its name stays part of the address.
		if err := c.account.mkdir(e.socketDir); err != nil {
			return err
		}
		return s.spawn(ctx, c, *e)
	}
	dir, temporary, err := socketDir(c.layout, c.account)
	if err != nil {
		return err
	}
	preferred := c.lastPort()
	for tries := 0; ; tries++ {
		port, err := freePort(preferred)
		if err != nil {
			return err
		}
		e := endpoint{socketDir: dir, temporary: temporary, port: port, password: pw}
		s.at.Store(&e)
		err = s.spawn(ctx, c, e)
		// Between our look and the server's bind, somebody else may take the port.
		if !errors.Is(err, errPortTaken) || tries == 3 {
			return err
		}
		preferred = 0
	}
}

var errPortTaken = errors.New("the port was taken by another process")

// spawn runs the postmaster and waits until it answers; if it does not, nothing
// is left of it.
func (s *Server) spawn(ctx context.Context, c cluster, e endpoint) error {
	if err := errors.Join(clearSocketDir(e.socketDir), c.savePort(e.port)); err != nil {
		return err
	}
	cmd := c.postmaster(e)
	if !s.orphan {
		dieWithParent(cmd.SysProcAttr)
	}
	out := &tail{next: s.opts.Log}
	cmd.Stdout, cmd.Stderr = out, out
	child, err := startChild(cmd)
	if err != nil {
		return c.explain(err, c.data())
	}
	s.child.Store(child)
	err = awaitReady(ctx, e, child)
	if err == nil {
		return nil
	}
	byItself := child.ended()
	// ctx may be over: killing needs patience of its own.
	err = errors.Join(err, kill(context.WithoutCancel(ctx), child))
	switch {
	case byItself && strings.Contains(out.String(), "could not create any TCP/IP sockets"):
		return errPortTaken
	case byItself:
		return c.explain(fmt.Errorf("%w: %s", err, out), c.data())
	}
	return err
}
