package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
)

const (
	setLimitSQL = `select to_json(sidegate.set_limit($1::text, $2::int))`
	limitsSQL   = `select app, max_entries from sidegate.app`
	sizesSQL    = `select count(*), coalesce(sum(size), 0)::bigint from sidegate.owner where app = $1::text and kind = $2::text`
)

// DefaultLimit is the limit of an app that has none of its own.
const DefaultLimit = 3000

// SetLimit sets how many entries each list of an app may hold, 1 to 3000. It
// binds every writer of the database, SQL by hand included; lists that are
// longer stay as they are and take no more. A change is logged with both
// values. Errors are those of [Store.Edit].
func (s *Store) SetLimit(ctx context.Context, app string, limit int) error {
	var was int
	if err := s.write(ctx, &was, setLimitSQL, app, limit); err != nil {
		return writeError("set a limit", err)
	}
	if was != limit {
		s.logger.InfoContext(ctx, "limit of an app changed", "app", app, "old", was, "new", limit)
	}
	return nil
}

// Limits returns the limits that are set, by app. Any other app has
// [DefaultLimit].
func (s *Store) Limits(ctx context.Context) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := s.reads.Query(ctx, limitsSQL)
	if err != nil {
		return nil, readError("read limits", err)
	}
	limits := map[string]int{}
	var app string
	var limit int
	_, err = pgx.ForEachRow(rows, []any{&app, &limit}, func() error {
		limits[app] = limit
		return nil
	})
	if err != nil {
		return nil, readError("read limits", err)
	}
	return limits, nil
}

// Sizes returns how many lists of a kind an app has and how many entries they
// hold together, for choosing the number of pages. It reads every header of the
// kind, so it is for the start; the caller's context is its deadline. Errors are
// those of [Store.List].
func (s *Store) Sizes(ctx context.Context, app string, kind cache.Kind) (lists, entries int64, err error) {
	err = s.reads.QueryRow(ctx, sizesSQL, app, kind.String()).Scan(&lists, &entries)
	if err != nil {
		return 0, 0, readError("count lists", err)
	}
	return lists, entries, nil
}
