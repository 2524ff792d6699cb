package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sidegate/sidegate/filter"
)

// The first page comes from before a place that no entry reaches, so that there
// is one statement with one plan: a scan of a piece of block_target.
var (
	blockedBySQL    = blockedByStatement("")
	blockedByFewSQL = blockedByStatement(selected("owner", 7))
)

func blockedByStatement(condition string) string {
	return `with page as (
	select b, created_at, owner from sidegate.block b
	 where app = $1::text and kind = $2::text and target = $3::text and ` + notOver + `
	   and (created_at, owner) < ($5::timestamptz, $6::text)` + condition + `
	 order by created_at desc, owner desc limit $4::int
)
select json_build_object('identity', sidegate.identity(), 'blocks', (
	select coalesce(json_agg(json_build_object('owner', owner, 'block', sidegate.block_json(b))
	       order by created_at desc, owner desc), '[]') from page))`
}

// selected is the condition of a [filter.Selection] on the users in a column; its
// three values begin at parameter n. A view that a deployer made may have its ids in
// another collation, which two columns cannot be compared in unless one is named.
func selected(column string, n int) string {
	return fmt.Sprintf(`
	   and ($%[2]d::text[] is null or %[1]s = any($%[2]d::text[]))
	   and ($%[3]d::text = '' or exists (
	         select from sidegate.profile d where d.app = $1::text and d.id = %[1]s collate "C" and d.metadata ? $%[3]d::text
	            and ($%[4]d::text[] is null or d.metadata ->> $%[3]d::text = any($%[4]d::text[]))))`,
		column, n, n+1, n+2)
}

type blockedByJSON struct {
	Identity whoJSON     `json:"identity"`
	Blocks   []ownedJSON `json:"blocks"`
}

// ownedJSON is an entry among those of several lists.
type ownedJSON struct {
	Owner string    `json:"owner"`
	Block blockJSON `json:"block"`
}

func owned(list []ownedJSON) []filter.Block {
	out := make([]filter.Block, len(list))
	for i := range list {
		out[i] = list[i].Block.block(list[i].Owner)
	}
	return out
}

// BlockedBy reads on whose lists a target is, as [filter.BlockStore] asks.
// Errors are those of [Store.List].
func (s *Store) BlockedBy(ctx context.Context, query filter.BlockedByQuery) (filter.BlockedByPage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var answer blockedByJSON
	// One more than asked for tells whether there is a next page.
	statement, args := blockedBySQL, []any{
		query.App, query.Kind.String(), query.Target, query.Limit + 1, before(query.After), query.After.ID,
	}
	if of := query.Of; of != nil {
		statement, args = blockedByFewSQL, append(args, of.Users, of.Key, of.Values)
	}
	err := readJSON(ctx, s.reads, &answer, statement, args...)
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
	page.Blocks = owned(answer.Blocks)
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
