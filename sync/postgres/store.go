package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	blocksync "github.com/sidegate/sidegate/sync"
)

// Sizes of the pools. Each kind of work has its own, so that none waits for the
// connections of another: a feed behind slow page reads would make every answer
// stale, and page reads behind somebody who turns the pages of a history would make
// decisions unknown. A connection is opened when it is needed first.
const (
	writeConns = 4 // few and short
	pollConns  = 1 // a poll never overlaps another
	// What people and servers read beside decisions: lists, histories, evidence.
	readConns = 4
	// An export holds its connection for as long as its client reads.
	exportConns = 2
)

// LoadConns is how many pages a store reads at a time; [cache.Options.MaxLoads]
// should be as many.
const LoadConns = 4

// maxChanges is the most changes that one poll carries. Beyond it reading the
// lists anew costs less than the changes.
const maxChanges = 50_000

// Options configures a [Store].
type Options struct {
	// URL is the connection string of the primary, a URL or key=value pairs, as
	// pgx reads it. Required. A pool size in it is ignored.
	URL string
	// Metrics counts the connections; nil = not counted. One store only.
	Metrics *Metrics
	// Logger gets what an operator should know about a write that changes
	// settings; nil = nothing is logged.
	Logger *slog.Logger
	// Waited is told how long the work for a context has waited for the
	// database; nil = nobody is. It is called from many goroutines.
	Waited func(ctx context.Context, took time.Duration)
}

// Store reads and writes lists in PostgreSQL. It is safe for concurrent use.
type Store struct {
	writes, loads, reads, polls, exports *pgxpool.Pool

	config *pgxpool.Config // as the URL has it
	wrote  chan struct{}   // holds one element while a hint is due

	lineage  lineage
	turns    turns
	together together
	metrics  *Metrics
	logger   *slog.Logger
	waited   func(ctx context.Context, took time.Duration) // nil: nobody is told

	maxChanges int
}

var (
	_ filter.BlockStore    = (*Store)(nil)
	_ filter.EvidenceStore = (*Store)(nil)
	_ filter.RoomStore     = (*Store)(nil)
	_ filter.UserStore     = (*Store)(nil)
	_ filter.TransferStore = (*Store)(nil)
	_ cache.Loader         = (*Store)(nil)
	_ blocksync.Source     = (*Store)(nil)
)

// Open makes a store. It checks the connection string but does not connect: a
// server that is down is no error here, see [Store.Check]. Call [Store.Close]
// when done.
func Open(ctx context.Context, o Options) (*Store, error) {
	config, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Waited != nil {
		config.ConnConfig.Tracer = &spent{o.Waited}
	}
	s := &Store{
		config: config, wrote: make(chan struct{}, 1),
		metrics: o.Metrics, logger: o.Logger, waited: o.Waited, maxChanges: maxChanges,
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	newest := s.lineage.current
	for _, pool := range []struct {
		into  **pgxpool.Pool
		size  int32
		adapt []func(*pgxpool.Config)
	}{
		{&s.polls, pollConns, nil}, // a poll tells who the server is by itself
		{&s.loads, LoadConns, []func(*pgxpool.Config){newest}},
		{&s.reads, readConns, []func(*pgxpool.Config){newest}},
		{&s.exports, exportConns, []func(*pgxpool.Config){newest, proving}},
		{&s.writes, writeConns, []func(*pgxpool.Config){newest, cancelling}},
	} {
		if *pool.into, err = newPool(ctx, config, pool.size, pool.adapt...); err != nil {
			s.Close()
			return nil, fmt.Errorf("postgres: open: %w", err)
		}
	}
	s.metrics.attach(map[string]*pgxpool.Pool{
		"writes": s.writes, "loads": s.loads, "reads": s.reads, "sync": s.polls, "exports": s.exports,
	})
	return s, nil
}

// Close waits for the calls under way and ends every connection. It is
// idempotent. Calls after it fail.
func (s *Store) Close() {
	s.metrics.detach()
	for _, pool := range []*pgxpool.Pool{s.writes, s.loads, s.reads, s.polls, s.exports} {
		if pool != nil {
			pool.Close()
		}
	}
}

func newPool(ctx context.Context, config *pgxpool.Config, size int32, adapt ...func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	c := config.Copy()
	c.MaxConns, c.MinConns, c.MinIdleConns = size, 0, 0
	impatient(c)
	for _, change := range adapt {
		change(c)
	}
	return pgxpool.NewWithConfig(ctx, c)
}

// cancelling prepares the pool of the writes. When a write runs out of time the
// server is asked to stop it, and the answer is awaited for a moment: it tells
// whether the write happened, which closing the connection would not. Loads and
// polls change nothing, so they just leave.
//
// A connection that has been idle is tried before it is used, since a write that
// is sent into a dead one has an unknown outcome.
func cancelling(c *pgxpool.Config) {
	c.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 500 * time.Millisecond}
	}
	c.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > 50*time.Millisecond
	}
}

// proving prepares the pool of the exports: they are rare and cannot begin anew, so
// each first tries its connection.
func proving(c *pgxpool.Config) {
	c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
}

func scanJSON(row pgx.Row, into any) error {
	var text []byte
	if err := row.Scan(&text); err != nil {
		return err
	}
	return decode(text, into)
}
