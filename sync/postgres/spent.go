package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// spent tells how long the work for a context has waited for the database: for a
// connection, and for the answers to its statements.
type spent struct {
	tell func(ctx context.Context, took time.Duration)
}

type begunKey struct{}

func (s *spent) begin(ctx context.Context) context.Context {
	return context.WithValue(ctx, begunKey{}, time.Now())
}

func (s *spent) end(ctx context.Context) {
	if begun, ok := ctx.Value(begunKey{}).(time.Time); ok {
		s.tell(ctx, time.Since(begun))
	}
}

// TraceQueryStart implements [pgx.QueryTracer].
func (s *spent) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return s.begin(ctx)
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (s *spent) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) { s.end(ctx) }

// TraceBatchStart implements [pgx.BatchTracer].
func (s *spent) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return s.begin(ctx)
}

// TraceBatchQuery implements [pgx.BatchTracer].
func (s *spent) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements [pgx.BatchTracer].
func (s *spent) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) { s.end(ctx) }

// TraceAcquireStart implements [pgxpool.AcquireTracer].
func (s *spent) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return s.begin(ctx)
}

// TraceAcquireEnd implements [pgxpool.AcquireTracer].
func (s *spent) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	s.end(ctx)
}
