package localpg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// errNotRunning is what the methods that need a running server return.
var errNotRunning = errors.New("private PostgreSQL: not running")

// Ready waits until the server answers a query: after a thaw, or after the
// recovery that follows a killed backend. It fails when the server has ended.
func (s *Server) Ready(ctx context.Context) error {
	c, e := s.child.Load(), s.at.Load()
	if c == nil || e == nil {
		return errNotRunning
	}
	return awaitReady(ctx, *e, c)
}

// awaitReady asks until an answer comes, the process ends, or ctx does.
func awaitReady(ctx context.Context, e endpoint, c *child) error {
	var last error
	err := until(ctx, func() bool {
		if c.ended() {
			last = fmt.Errorf("postgres ended: %w", endOf(c))
			return true
		}
		last = ask(ctx, e)
		return last == nil
	})
	if err != nil {
		return fmt.Errorf("postgres does not answer: %w (last: %w)", err, last)
	}
	return last
}

func endOf(c *child) error {
	if c.err != nil {
		return c.err
	}
	return errNotRunning
}

// ask makes one connection and one query: a server that starts or recovers takes
// connections and refuses them (57P03).
func ask(ctx context.Context, e endpoint) error {
	// A frozen server takes a connection and never answers.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, e.socketURL(superuser))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "select 1")
	return errors.Join(err, conn.Close(ctx))
}

// setPassword gives the superuser the password of the address.
func setPassword(ctx context.Context, e endpoint) error {
	conn, err := pgx.Connect(ctx, e.socketURL(superuser))
	if err != nil {
		return fmt.Errorf("set the password: %w", err)
	}
	_, err = conn.Exec(ctx, "alter role "+superuser+" password '"+e.password+"'")
	return errors.Join(err, conn.Close(ctx))
}
