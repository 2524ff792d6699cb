package postgres

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	blocksync "github.com/sidegate/sidegate/sync"
)

// The difference of two snapshots: $1 is the xmax of the previous one, $2 the
// transactions that ran in it. pg_current_snapshot() is the snapshot of this very
// statement, and changes_since reads in it too, so nothing falls between the
// changes and the position.
const pollSQL = `with head as materialized (
	select json_build_object('identity', sidegate.identity(), 'snapshot', pg_current_snapshot()::text,
	       'schema', m.schema_version, 'serves', (to_jsonb(m) ->> 'serves_from')::int, 'min_xid', m.min_xid::text,
	       'clock', sidegate.micros(clock_timestamp()))::text as head
	  from sidegate.meta m
)
select head, null::timestamptz as at, '' as app, '' as kind, '' as owner, 0::bigint as prev, 0::bigint as version,
       0 as size, 0::bigint as digest, false as allowlist, '' as op, null::text[] as targets, null::bigint[] as expires
  from head
union all
select '', at, app, kind, owner, prev, version, size, digest, allowlist, op::text,
       case when readable then targets end, case when readable then expires end
  from sidegate.changes_since($1::text::xid8, $2::text[]::xid8[], $3::bigint) c,
       lateral (select array_position(targets, null) is null and array_position(expires, null) is null as readable) r`

type pollHead struct {
	Identity whoJSON `json:"identity"`
	Snapshot string  `json:"snapshot"`
	Schema   int     `json:"schema"`
	Serves   int     `json:"serves"` // null before there was such a column
	MinXid   string  `json:"min_xid"`
	Clock    int64   `json:"clock"`
}

// Poll reads the change feed, as [blocksync.Source] asks. The context must carry
// a deadline. A standby is no error: the batch says so and holds nothing else; an
// old primary is none either. The next poll makes a new connection then, for the
// name of the database may lead elsewhere by now.
func (s *Store) Poll(ctx context.Context, from blocksync.Position) (blocksync.Batch, error) {
	batch, err := s.poll(ctx, from)
	if err != nil {
		return blocksync.Batch{}, fmt.Errorf("postgres: poll: %w", err)
	}
	return batch, nil
}

func (s *Store) poll(ctx context.Context, from blocksync.Position) (batch blocksync.Batch, err error) {
	xmax, running := difference(from)
	rows, err := s.polls.Query(ctx, pollSQL, xmax, running, s.maxChanges+1)
	if err != nil {
		return batch, err
	}
	defer rows.Close()
	var text string
	var changes []cache.Change
	for rows.Next() {
		head, change, known, err := scanChange(rows)
		if err != nil {
			return batch, err
		}
		if head != "" {
			text = head
		}
		if known {
			changes = append(changes, change)
		}
	}
	if err := rows.Err(); err != nil {
		return batch, err
	}
	var head pollHead
	if err := decode([]byte(text), &head); err != nil {
		return batch, err
	}
	if head.Identity.Recovery {
		s.polls.Reset()
		return blocksync.Batch{Recovery: true}, nil
	}
	if batch, err = head.batch(); err != nil {
		return batch, err
	}
	if batch.Newer = s.lineage.see(batch.Identity); batch.Newer > 0 {
		s.polls.Reset()
		return batch, nil // whatever has changed there is not to be applied
	}
	if batch.Overflow = len(changes) > s.maxChanges; batch.Overflow {
		return batch, nil
	}
	// The order of commits, for each list.
	slices.SortStableFunc(changes, func(a, b cache.Change) int { return cmp.Compare(a.Version, b.Version) })
	batch.Changes = changes
	return batch, nil
}

// difference returns the parameters that ask for what position has not seen.
// From nowhere it asks for nothing: no transaction has the largest id.
func difference(from blocksync.Position) (xmax string, running []string) {
	if from.IsZero() {
		return strconv.FormatUint(math.MaxUint64, 10), []string{}
	}
	running = make([]string, len(from.InProgress))
	for i, x := range from.InProgress {
		running[i] = strconv.FormatUint(x, 10)
	}
	return strconv.FormatUint(from.Xmax, 10), running
}

// scanChange reads one row: the head, or a change. A change of a kind that a newer
// schema may have is not known; nobody here holds such a list. No row may stop
// the feed, whatever somebody wrote by hand: NULLs in the arrays come as no
// arrays, which fit no digest.
func scanChange(rows pgx.Rows) (head string, c cache.Change, known bool, err error) {
	var (
		at       *time.Time
		kind, op string
		digest   int64
		targets  []string
		expires  []int64
	)
	err = rows.Scan(&head, &at, &c.App, &kind, &c.Owner, &c.Prev, &c.Version, &c.Size, &digest, &c.Allowlist,
		&op, &targets, &expires)
	if err != nil || head != "" {
		return head, c, false, err
	}
	c.Kind, known = cache.ParseKind(kind)
	c.Digest, c.At = uint64(digest), *at
	c.Op, c.Entries = operation(op, targets, expires)
	return "", c, known, nil
}

func (h *pollHead) batch() (b blocksync.Batch, err error) {
	if b.Identity, err = h.Identity.identity(); err != nil {
		return b, err
	}
	if b.Position, err = blocksync.ParsePosition(h.Snapshot); err != nil {
		return b, err
	}
	if b.MinXid, err = strconv.ParseUint(h.MinXid, 10, 64); err != nil {
		return b, fmt.Errorf("min_xid: %w", err)
	}
	b.Schema, b.Serves, b.Clock = h.Schema, h.Serves, time.UnixMicro(h.Clock)
	return b, nil
}
