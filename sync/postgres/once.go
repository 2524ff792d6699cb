package postgres

import (
	"context"
	"fmt"

	"github.com/sidegate/sidegate/filter"
)

const (
	useOnceSQL    = `select to_json(sidegate.once($1::text, $2::bytea, $3::bigint * interval '1 microsecond'))`
	forgetKeysSQL = `select to_json(sidegate.forget_keys($1::int))`
)

// once makes a statement that writes take a key as well. One statement is one
// transaction, so that a write which fails leaves the key free, and the key is
// taken first: WHERE comes before the function that writes.
func once(query, app string, key filter.Once, args ...any) (string, []any) {
	if key.IsZero() {
		return query, args
	}
	n := len(args)
	query += fmt.Sprintf(" where sidegate.once($%d::text, $%d::bytea, $%d::bigint * interval '1 microsecond')", n+1, n+2, n+3)
	return query, append(args, app, []byte(key.Key), key.Keep.Microseconds())
}

// UseOnce takes a key, as [filter.BlockStore] asks.
func (s *Store) UseOnce(ctx context.Context, app string, key filter.Once) error {
	var taken bool
	if err := s.write(ctx, &taken, useOnceSQL, app, []byte(key.Key), key.Keep.Microseconds()); err != nil {
		return writeError("take a key", err)
	}
	return nil
}

// ForgetKeys removes up to batch keys whose time is over and returns how many.
// Errors are those of [Store.Edit].
func (s *Store) ForgetKeys(ctx context.Context, batch int) (forgotten int, err error) {
	if err := s.write(ctx, &forgotten, forgetKeysSQL, batch); err != nil {
		return 0, writeError("forget keys", err)
	}
	return forgotten, nil
}
