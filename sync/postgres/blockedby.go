package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sidegate/sidegate/filter"
)

// The first page comes from before a place that no entry reaches, so that there
// is one statement with one plan: a scan of a piece of block_target.
const blockedBySQL = `with page as (
	select b, created_at, owner from sidegate.block b
	 where app = $1::text and kind = $2::text and target = $3::text and ` + notOver + `
	   and (created_at, owner) < ($5::timestamptz, $6::text)
	 order by created_at desc, owner desc limit $4::int
)
select json_build_object('identity', sidegate.identity(), 'blocks', (
	select coalesce(json_agg(json_build_object('owner', owner, 'block', sidegate.block_json(b))
	       order by created_at desc, owner desc), '[]') from page))`

type blockedByJSON struct {
	Identity whoJSON `json:"identity"`
	Blocks   []struct {
		Owner string    `json:"owner"`
		Block blockJSON `json:"block"`
	} `json:"blocks"`
}

// BlockedBy reads on whose lists a target is, as [filter.BlockStore] asks.
// Errors are those of [Store.List].
func (s *Store) BlockedBy(ctx context.Context, query filter.BlockedByQuery) (filter.BlockedByPage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var answer blockedByJSON
	// One more than asked for tells whether there is a next page.
	err := readJSON(ctx, s.loads, &answer, blockedBySQL, query.App, query.Kind.String(), query.Target, query.Limit+1,
		before(query.After), query.After.ID)
	if err == nil {
		_, err = answer.Identity.identity()
	}
	if err != nil {
		return filter.BlockedByPage{}, readError("read who blocks a user", err)
	}
	var page filter.BlockedByPage
	if len(answer.Blocks) > query.Limit {
		answer.Blocks = answer.Blocks[:query.Limit]
		last := answer.Blocks[query.Limit-1]
		page.Next = filter.Place{CreatedAt: instant(last.Block.Created), ID: last.Owner}
	}
	page.Blocks = make([]filter.Block, len(answer.Blocks))
	for i := range answer.Blocks {
		page.Blocks[i] = answer.Blocks[i].Block.block(answer.Blocks[i].Owner)
	}
	return page, nil
}

// before is the instant of a place in an order that descends; from the top it is
// later than any.
func before(place filter.Place) pgtype.Timestamptz {
	if place.IsZero() {
		return bound(time.Time{}, pgtype.Infinity)
	}
	return bound(place.CreatedAt, pgtype.Infinity)
}

// bound is an instant, or the infinite one that stands for no bound.
func bound(at time.Time, none pgtype.InfinityModifier) pgtype.Timestamptz {
	if at.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: none, Valid: true}
	}
	return pgtype.Timestamptz{Time: at, Valid: true}
}
