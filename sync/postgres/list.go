package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/filter"
)

// readTimeout bounds a read for the management API.
const readTimeout = 2 * time.Second

// The key of a list, as every statement about one has it.
const (
	ofList  = `(app, kind, owner_hash, owner) = ($1::text, $2::text, sidegate.owner_hash($3::text), $3::text)`
	notOver = `(expires_at is null or expires_at > now())`
)

// Everything in one statement, so that version, total and entries fit together.
// A place holds the microseconds that the database holds, so the comparison is
// exact.
var (
	listSQL    = listStatement("")
	listFewSQL = listStatement(selected("target", 8))
)

func listStatement(condition string) string {
	return `with live as materialized (
	select b, created_at, place, target from sidegate.block b where ` + ofList + ` and ` + notOver + `
), page as (
	select b, row_number() over (order by created_at desc, place desc, target desc) as n
	  from live
	 where ($5::timestamptz is null or (created_at, place, target) < ($5::timestamptz, $6::int, $7::text))` + condition + `
	 order by n limit $4
)
select json_build_object('identity', sidegate.identity(),
	'version', coalesce((select version from sidegate.owner where ` + ofList + `), 0),
	'total', (select count(*) from live),
	'blocks', (select coalesce(json_agg(sidegate.block_json(b) order by n), '[]') from page))`
}

const getSQL = `select sidegate.block_json(b) from sidegate.block b
 where ` + ofList + ` and target = $4::text and ` + notOver

type listJSON struct {
	Identity whoJSON     `json:"identity"`
	Version  int64       `json:"version"`
	Total    int         `json:"total"`
	Blocks   []blockJSON `json:"blocks"`
}

// List reads a piece of a list, newest first, without the entries that have
// expired. Errors are of type [*filter.Error] with
// [filter.CodeStoreUnavailable], anything else is unexpected.
func (s *Store) List(ctx context.Context, query filter.ListQuery) (filter.ListPage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var after *time.Time
	if !query.After.IsZero() {
		after = &query.After.CreatedAt
	}
	list := query.List
	var answer listJSON
	// One more than asked for tells whether there is a next page.
	statement, args := listSQL, []any{
		list.App, list.Kind.String(), list.Owner, query.Limit + 1, after, query.After.Order, query.After.ID,
	}
	if of := query.Of; of != nil {
		statement, args = listFewSQL, append(args, of.Users, of.Key, of.Values)
	}
	err := readJSON(ctx, s.reads, &answer, statement, args...)
	if err != nil {
		return filter.ListPage{}, readError("read a list", err)
	}
	id, err := answer.Identity.identity()
	if err != nil {
		return filter.ListPage{}, readError("read a list", err)
	}
	page := filter.ListPage{Identity: id, Version: answer.Version, Total: answer.Total}
	if len(answer.Blocks) > query.Limit {
		answer.Blocks = answer.Blocks[:query.Limit]
		page.Next = answer.Blocks[query.Limit-1].at()
	}
	page.Blocks = blocks(list.Owner, answer.Blocks)
	return page, nil
}

// Get reads one entry; ok is false if there is none or it has expired. Errors
// are those of [Store.List].
func (s *Store) Get(ctx context.Context, list filter.ListID, target string) (block filter.Block, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var entry blockJSON
	err = readJSON(ctx, s.reads, &entry, getSQL, list.App, list.Kind.String(), list.Owner, target)
	if errors.Is(err, pgx.ErrNoRows) {
		return filter.Block{}, false, nil
	}
	if err != nil {
		return filter.Block{}, false, readError("read an entry", err)
	}
	return entry.block(list.Owner), true, nil
}
