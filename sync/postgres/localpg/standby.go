package localpg

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
)

// Standby makes a streaming copy of the running server in a directory of its own
// and starts it, read-only until [Server.Promote]. Settings that opts does not
// name are those of the primary: a standby refuses to start with less room than
// its primary has. The caller stops both.
func (s *Server) Standby(ctx context.Context, opts Options) (*Server, error) {
	e := s.at.Load()
	if s.PID() == 0 || e == nil {
		return nil, errNotRunning
	}
	settings := maps.Clone(s.opts.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, opts.Settings)
	opts.Settings = settings
	standby := New(opts)
	standby.finder = s.finder
	// The roles are copied with their passwords.
	err := standby.start(ctx, origin{password: e.password, fill: func(ctx context.Context, c cluster) error {
		return c.copyFrom(ctx, e.socketURL(superuser))
	}})
	if err != nil {
		return nil, fmt.Errorf("standby: %w", err)
	}
	return standby, nil
}

// Promote makes a standby a primary, on a timeline of its own, and returns when it
// takes writes. It does not touch the old primary.
func (s *Server) Promote(ctx context.Context) (err error) {
	e := s.at.Load()
	if s.PID() == 0 || e == nil {
		return errNotRunning
	}
	conn, err := pgx.Connect(ctx, e.socketURL(superuser))
	if err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "select pg_promote(wait => false)"); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	var failed error
	waited := until(ctx, func() bool {
		standby := true
		failed = conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby)
		return failed != nil || !standby
	})
	if err := errors.Join(failed, waited); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	return nil
}
