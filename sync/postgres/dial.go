package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// closing is how long a connection that has once been too late may still take to
// be closed in good order.
const closing = 250 * time.Millisecond

// impatient makes connections that are given up soon after a call on them has
// run out of time. By itself pgx spends up to 15 s on closing such a connection
// politely (pgconn.asyncClose), and pgxpool keeps its place in the pool for as
// long: a connection that has died without a sign, as behind a firewall that
// forgot it, would keep the one poller from making a new one.
func impatient(c *pgxpool.Config) {
	dialer := &net.Dialer{Timeout: c.ConnConfig.ConnectTimeout}
	c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatientConn{Conn: conn}, nil
	}
}

// impatientConn remembers that a read or a write has timed out. The deadlines of
// pgx come from contexts that have ended, and from closing; after the first
// timeout there is only closing.
type impatientConn struct {
	net.Conn
	late atomic.Bool
}

func (c *impatientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.notice(err)
	return n, err
}

func (c *impatientConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.notice(err)
	return n, err
}

func (c *impatientConn) notice(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.late.Store(true)
	}
}

// SetDeadline grants no more than closing once something has been late.
func (c *impatientConn) SetDeadline(t time.Time) error {
	if limit := time.Now().Add(closing); c.late.Load() && (t.IsZero() || t.After(limit)) {
		t = limit
	}
	return c.Conn.SetDeadline(t)
}
