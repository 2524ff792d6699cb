package postgres

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// recallSQL reads for many moments who was on which list. It is one statement
// with one snapshot: an interval that ends while it runs is seen either as a row
// of block or as one of history, by all moments alike.
//
// An instant that has not come yet is now by the clock that wrote the rows, so
// that a client whose clock is ahead asks about the present. Each moment is a
// descent into one index, the newest interval first; of a row that has expired
// the interval ended then, whether or not it has been swept.
const recallSQL = `with asked as materialized (
	select n, kind, owner, target, least(at, now()) as at
	  from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) with ordinality as m (kind, owner, target, at, n)
), found as (
	select a.n, i.* from asked a cross join lateral (
		(select target, blocked_at, unblocked_at, expires_at, note, source, actor, ended_source, ended_actor
		   from sidegate.history h
		  where (h.app, h.kind, h.owner, h.target) = ($1::text, a.kind, a.owner, a.target)
		    and h.blocked_at <= a.at and h.unblocked_at > a.at
		  order by h.blocked_at desc, h.id limit 1)
		union all
		select target, created_at, case when not ` + notOver + ` then expires_at end, expires_at, note, source, actor,
		       case when not ` + notOver + ` then 'expiry' else '' end, ''
		  from sidegate.block b
		 where (b.app, b.kind, b.owner_hash, b.owner, b.target) = ($1::text, a.kind, sidegate.owner_hash(a.owner), a.owner, a.target)
		   and b.created_at <= a.at and (b.expires_at is null or b.expires_at > a.at)
		 order by blocked_at desc limit 1
	) i
)
select json_build_object('identity', sidegate.identity(), 'found', (
	select coalesce(json_agg(json_build_object('n', n, 'interval', json_build_object(
	         'target', target, 'blocked', sidegate.micros(blocked_at),
	         'unblocked', coalesce(sidegate.micros(unblocked_at), 0), 'expires', coalesce(sidegate.micros(expires_at), 0),
	         'note', coalesce(note, ''), 'source', source, 'actor', actor,
	         'ended_source', ended_source, 'ended_actor', ended_actor))), '[]') from found))`

type recallJSON struct {
	Identity whoJSON `json:"identity"`
	Found    []struct {
		N        int          `json:"n"` // counted from 1
		Interval intervalJSON `json:"interval"`
	} `json:"found"`
}

// Recall reads who was on which list, as [filter.EvidenceStore] asks. Errors are
// those of [Store.List].
func (s *Store) Recall(ctx context.Context, moments []filter.Moment) ([]filter.Interval, error) {
	intervals := make([]filter.Interval, len(moments))
	if len(moments) == 0 {
		return intervals, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var answer recallJSON
	err := readJSON(ctx, s.reads, &answer, recallSQL, columns(moments)...)
	if err == nil {
		_, err = answer.Identity.identity()
	}
	if err != nil {
		return nil, readError("read who was on which list", err)
	}
	for i := range answer.Found {
		found := &answer.Found[i]
		intervals[found.N-1] = found.Interval.interval(moments[found.N-1].List.Owner)
	}
	return intervals, nil
}

// columns are the moments as arrays, behind the app that they have in common.
func columns(moments []filter.Moment) []any {
	kinds, owners := make([]string, len(moments)), make([]string, len(moments))
	targets, instants := make([]string, len(moments)), make([]time.Time, len(moments))
	for i := range moments {
		m := &moments[i]
		kinds[i], owners[i], targets[i], instants[i] = m.List.Kind.String(), m.List.Owner, m.Target, m.At
	}
	return []any{moments[0].List.App, kinds, owners, targets, instants}
}
