package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// acquireTimeout is how long a write waits for a connection; the native API
	// promises it.
	acquireTimeout = 2 * time.Second
	// writeTimeout bounds one statement that writes. Waiting for a lock ends
	// sooner, by the lock_timeout of the function.
	writeTimeout = 2 * time.Second
	// writeRetries is how often a write that lost a race is repeated.
	writeRetries = 3
	// retryPause is the longest first pause; each further one is twice as long.
	retryPause = 20 * time.Millisecond
)

// unsentError says that the statement never left: nothing can have happened.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// write runs a function that writes and answers with one JSON value. A statement
// that the server undid because of others, or that never left, is repeated; one
// whose outcome is unknown is not, for that is the caller's to know.
func (s *Store) write(ctx context.Context, into any, query string, args ...any) error {
	return s.writeWithin(ctx, writeTimeout, into, query, args...)
}

// writeWithin is write for a statement that may take longer than others.
func (s *Store) writeWithin(ctx context.Context, limit time.Duration, into any, query string, args ...any) error {
	for try := 0; ; try++ {
		err := s.tryWrite(ctx, limit, into, query, args...)
		if err == nil || try == writeRetries || ctx.Err() != nil {
			return err
		}
		if !retryable(err) && !(pgconn.SafeToRetry(err) && state(err) == "") {
			return err
		}
		if !pause(ctx, rand.N(retryPause<<try)) {
			return err
		}
	}
}

func (s *Store) tryWrite(ctx context.Context, limit time.Duration, into any, query string, args ...any) error {
	conn, err := acquire(ctx, s.writes)
	if err != nil {
		return err
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return scanJSON(conn.QueryRow(ctx, query, args...), into)
}

func acquire(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, &unsentError{err}
	}
	return conn, nil
}

// pause waits, and reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
