package postgres_test

import (
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sidegate/sidegate/sync/postgres"
)

// much makes a user who is on 10,000 lists, a list of 10,000 ended intervals and
// a pair of as many.
func much(f *fixture) {
	f.t.Helper()
	f.exec(`insert into sidegate.block (app, owner, target, created_at)
		select 'default', 'o' || i, 'hub', timestamptz '2026-01-01' + i * interval '1 min' from generate_series(1, 10000) i`)
	for _, pair := range []bool{false, true} {
		f.exec(`insert into sidegate.history (app, kind, owner, target, blocked_at, unblocked_at, source, actor, ended_source, ended_actor)
			select 'default', 'block', case when $1 then 'pair' else 'many' end, case when $1 then 'alice' else 't' || i end,
			       timestamptz '2026-01-01' + i * interval '1 min', timestamptz '2026-01-01' + (i + 1) * interval '1 min', 's', '', 'e', ''
			  from generate_series(1, 10000) i`, pair)
	}
}

// TestPiecesCostWhatTheyHold: a piece of ten costs the same at the top, in the
// middle and at the end of ten thousand, whether or not the tables have been
// analyzed and the plan was made for these parameters.
func TestPiecesCostWhatTheyHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	much(f)
	piecesAreCheap(f)
	piecesAreCheap(onDatabase(t, f.dsn+"&options=-cplan_cache_mode%3Dforce_generic_plan"))
	f.exec(`analyze`)
	piecesAreCheap(f)
	piecesAreCheap(onDatabase(t, f.dsn+"&options=-cplan_cache_mode%3Dforce_generic_plan"))
}

func piecesAreCheap(f *fixture) {
	f.t.Helper()
	const limit = 11
	low, high := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	for _, minute := range []int{0, 2, 5000, 9990, math.MaxInt} {
		from := high
		if minute < math.MaxInt {
			from = pgtype.Timestamptz{Time: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC), Valid: true}
		}
		by := []any{"default", "block", "hub", limit, from, "zzz"}
		cheap(f, minute, by, postgres.BlockedBySQL, "sidegate.block", "sidegate.block_target")
		list := []any{"default", "block", "many", limit, from, "zzz", int64(0), low, high, int64(math.MaxInt64)}
		cheap(f, minute, list, postgres.HistorySQL(false), "sidegate.history", "sidegate.history_list", "sidegate.history_pair")
		pair := []any{"default", "block", "pair", limit, from, "zzz", int64(0), low, high, int64(math.MaxInt64), "alice"}
		cheap(f, minute, pair, postgres.HistorySQL(true), "sidegate.history", "sidegate.history_list", "sidegate.history_pair")
	}
}

// cheap fails if a statement scans the table, the first of the relations, or
// reads more than twice the piece from an index.
func cheap(f *fixture, minute int, args []any, sql, table string, indexes ...string) {
	f.t.Helper()
	if n := work(f, table, sql, args...); n > 0 {
		f.t.Errorf("from minute %d: %d rows of %s were scanned", minute, n, table)
	}
	for _, index := range indexes {
		if n := work(f, index, sql, args...); n > 22 {
			f.t.Errorf("from minute %d: %d entries of %s were read for a piece of 10", minute, n, index)
		}
	}
}
