package postgres

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/sidegate/sidegate/cache"
)

// One row says who answered and how many headers there are; each other row is a
// list. The first kind is told by its text, not by its place, for a union has no
// order.
const loadSQL = `with head as materialized (
	select json_build_object('identity', sidegate.identity(), 'count',
	       (select count(*) from sidegate.owner
	         where app = $1::text and kind = $2::text and owner_hash between $3::bigint and $4::bigint))::text as head
)
select head, '' as owner, 0::bigint as version, 0 as size, 0::bigint as digest, false as allowlist,
       '' as targets, null::bigint[] as expires from head
union all
select '', owner, version, size, digest, allowlist, targets, expires
  from sidegate.page($1::text, $2::text, $3::bigint, $4::bigint)`

type loadHead struct {
	Identity whoJSON `json:"identity"`
	Count    int     `json:"count"`
}

// Load reads one page, as [cache.Loader] asks: one statement, one snapshot. Only
// a primary is believed ([ErrStandby]). The caller's context is the deadline.
func (s *Store) Load(ctx context.Context, app string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	loaded, err := s.load(ctx, app, kind, r)
	if err != nil {
		return cache.Loaded{}, fmt.Errorf("postgres: load a page: %w", err)
	}
	return loaded, nil
}

func (s *Store) load(ctx context.Context, app string, kind cache.Kind, r cache.Range) (out cache.Loaded, err error) {
	lo, hi := signed(r)
	rows, err := s.loads.Query(ctx, loadSQL, app, kind.String(), lo, hi)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	var text string
	for rows.Next() {
		var (
			head    string
			list    cache.List
			digest  int64
			targets string
			expires []int64
		)
		err := rows.Scan(&head, &list.Owner, &list.Version, &list.Size, &digest, &list.Allowlist, &targets, &expires)
		if err != nil {
			return out, err
		}
		if head != "" {
			text = head
			continue
		}
		list.Digest = uint64(digest)
		if list.Entries, err = entries(targets, expires); err != nil {
			return out, err
		}
		out.Lists = append(out.Lists, list)
	}
	if err := rows.Err(); err != nil {
		return out, err
	}
	var head loadHead
	if err := decode([]byte(text), &head); err != nil {
		return out, err
	}
	out.Count = head.Count
	out.Identity, err = head.Identity.identity()
	return out, err
}

// entries takes the text of a list's targets apart. The parts share its memory.
func entries(targets string, expires []int64) ([]cache.Entry, error) {
	if targets == "" {
		return nil, nil
	}
	n := strings.Count(targets, "\n") + 1
	if expires != nil && len(expires) != n {
		return nil, fmt.Errorf("a list has %d targets and %d expiries", n, len(expires))
	}
	out := make([]cache.Entry, 0, n)
	for target := range strings.SplitSeq(targets, "\n") {
		e := cache.Entry{Target: target}
		if expires != nil {
			e.Expires = expires[len(out)]
		}
		out = append(out, e)
	}
	return out, nil
}

// signed maps a range of hashes to that of the column, which is the two's
// complement. An aligned range lies on one side of zero, except the one that is
// everything, whose bounds come out the wrong way round.
func signed(r cache.Range) (lo, hi int64) {
	lo, hi = int64(r.Lo), int64(r.Hi)
	if lo > hi {
		return math.MinInt64, math.MaxInt64
	}
	return lo, hi
}
