package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sidegate/sidegate/filter"
)

// underWay is the id of an interval that has not ended: behind all those of the
// same target and instant that have.
const underWay = math.MaxInt64

// historyStatement reads intervals of a list, or, if ofTarget, of one of its
// targets. Those that ended come from one table and those under way from
// another; the statement has one snapshot, so that an interval which ends at
// this moment is in exactly one of them.
//
// An entry that has expired is not under way even if its row is still there.
//
// The order is the same before and after an interval ends. Each half is sorted
// and cut by itself, so that it is a scan of a piece of an index.
func historyStatement(ofTarget bool) string {
	of := ""
	if ofTarget {
		of = ` and target = $11::text`
	}
	const (
		behind = `%[1]s <= $5::timestamptz and (%[1]s < $5::timestamptz or target < $6::text or (target = $6::text and %[2]s > $7::bigint))`
		order  = ` order by blocked_at desc, target desc, id limit $4::int`
	)
	return `with ended as (
	select target, blocked_at, unblocked_at, expires_at, note, source, actor, ended_source, ended_actor, id
	  from sidegate.history
	 where (app, kind, owner) = ($1::text, $2::text, $3::text)` + of + `
	   and ` + fmt.Sprintf(behind, "blocked_at", "id") + `
	   and unblocked_at > $8::timestamptz and blocked_at <= $9::timestamptz` + order + `
), present as (
	select target, created_at as blocked_at,
	       case when not ` + notOver + ` then greatest(created_at, expires_at) end as unblocked_at,
	       expires_at, note, source, actor,
	       case when not ` + notOver + ` then 'expiry' else '' end as ended_source, '' as ended_actor, $10::bigint as id
	  from sidegate.block
	 where ` + ofList + of + `
	   and ` + fmt.Sprintf(behind, "created_at", "$10::bigint") + `
	   and (` + notOver + ` or greatest(created_at, expires_at) > $8::timestamptz) and created_at <= $9::timestamptz` + order + `
), page as (
	select * from (table ended union all table present) i` + order + `
)
select json_build_object('identity', sidegate.identity(), 'intervals', (
	select coalesce(json_agg(json_build_object(
	         'target', target, 'blocked', sidegate.micros(blocked_at),
	         'unblocked', coalesce(sidegate.micros(unblocked_at), 0), 'expires', coalesce(sidegate.micros(expires_at), 0),
	         'note', coalesce(note, ''), 'source', source, 'actor', actor,
	         'ended_source', ended_source, 'ended_actor', ended_actor, 'id', id)
	       order by blocked_at desc, target desc, id), '[]') from page))`
}

var (
	listHistorySQL = historyStatement(false)
	pairHistorySQL = historyStatement(true)
)

type historyJSON struct {
	Identity  whoJSON        `json:"identity"`
	Intervals []intervalJSON `json:"intervals"`
}

type intervalJSON struct {
	Target      string `json:"target"`
	Blocked     int64  `json:"blocked"`
	Unblocked   int64  `json:"unblocked"`
	Expires     int64  `json:"expires"`
	Note        string `json:"note"`
	Source      string `json:"source"`
	Actor       string `json:"actor"`
	EndedSource string `json:"ended_source"`
	EndedActor  string `json:"ended_actor"`
	ID          int64  `json:"id"`
}

func (i *intervalJSON) interval(owner string) filter.Interval {
	return filter.Interval{
		Owner: owner, Target: i.Target,
		BlockedAt: instant(i.Blocked), UnblockedAt: instant(i.Unblocked), ExpiresAt: instant(i.Expires),
		Note: i.Note, Source: i.Source, Actor: i.Actor, EndedSource: i.EndedSource, EndedActor: i.EndedActor,
	}
}

// History reads intervals of a list, as [filter.BlockStore] asks. Errors are
// those of [Store.List].
func (s *Store) History(ctx context.Context, query filter.HistoryQuery) (filter.HistoryPage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	list := query.List
	args := []any{
		list.App, list.Kind.String(), list.Owner, query.Limit + 1, // one more tells whether there is a next page
		before(query.After), query.After.ID, query.After.Order,
		bound(query.From, pgtype.NegativeInfinity), bound(query.To, pgtype.Infinity), int64(underWay),
	}
	statement := listHistorySQL
	if query.Target != "" {
		statement, args = pairHistorySQL, append(args, query.Target)
	}
	var answer historyJSON
	err := readJSON(ctx, s.reads, &answer, statement, args...)
	if err == nil {
		_, err = answer.Identity.identity()
	}
	if err != nil {
		return filter.HistoryPage{}, readError("read the history of a list", err)
	}
	return answer.page(list.Owner, query.Limit), nil
}

func (h *historyJSON) page(owner string, limit int) filter.HistoryPage {
	var page filter.HistoryPage
	if len(h.Intervals) > limit {
		page.Next = placeBetween(&h.Intervals[limit-1], &h.Intervals[limit])
		h.Intervals = h.Intervals[:limit]
	}
	page.Intervals = make([]filter.Interval, len(h.Intervals))
	for i := range h.Intervals {
		page.Intervals[i] = h.Intervals[i].interval(owner)
	}
	return page
}

// placeBetween is the place from which next follows. The id is counted over all
// apps, and a place ends up in the hands of clients; it goes along only where it
// is needed to tell the two apart.
func placeBetween(last, next *intervalJSON) filter.Place {
	place := filter.Place{CreatedAt: instant(last.Blocked), Order: underWay, ID: last.Target}
	if last.Blocked == next.Blocked && last.Target == next.Target {
		place.Order = last.ID
	}
	return place
}
