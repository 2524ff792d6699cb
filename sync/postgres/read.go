package postgres

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// readJSON runs a query that answers with one JSON value.
func readJSON(ctx context.Context, pool *pgxpool.Pool, into any, query string, args ...any) error {
	return reading(ctx, pool, func(conn *pgxpool.Conn) error {
		return scanJSON(conn.QueryRow(ctx, query, args...), into)
	})
}

// reading calls read, which changes nothing in the database, with a connection. If
// that turns out to have ended, as all do when the server is started again, it is
// called with another one: nobody is told of an outage that is over. It must be fit
// to begin anew, or return a [halfwayError].
func reading(ctx context.Context, pool *pgxpool.Pool, read func(*pgxpool.Conn) error) error {
	// As many may lie in the pool as it holds, each one ended.
	for tries := pool.Stat().MaxConns(); ; tries-- {
		err := pool.AcquireFunc(ctx, read)
		if err == nil || tries <= 0 || ctx.Err() != nil || !ended(err) {
			return err
		}
	}
}

// SQLSTATEs of a session that the server has ended.
const (
	stateAdminShutdown = "57P01"
	stateCrashShutdown = "57P02"
	stateIdleTimeout   = "57P05"
)

// ended reports whether err says that an open connection has ended. One that
// could not be opened is not meant: the next one could not be either.
func ended(err error) bool {
	_, unopened := errors.AsType[*pgconn.ConnectError](err)
	_, halfway := errors.AsType[*halfwayError](err)
	if unopened || halfway {
		return false
	}
	switch state(err) {
	case "":
	case stateAdminShutdown, stateCrashShutdown, stateIdleTimeout:
		return true
	default:
		return false
	}
	for _, sign := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return pgconn.SafeToRetry(err) // it was known to be closed
}
