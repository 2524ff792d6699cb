package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

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
       '' as targets, '' as soon, '' as until from head
union all
select '', owner, version, size, digest, allowlist, targets, soon, until
  from sidegate.page($1::text, $2::text, $3::bigint, $4::bigint)`

const headersSQL = `select owner, version, size, digest from sidegate.owner
	where app = $1::text and kind = $2::text and owner_hash between $3::bigint and $4::bigint`

// Headers reads what the lists of a range say about themselves and none of their
// entries, as [cache.HeaderReader] asks. The owner that each is called with lasts for
// the call. The caller's context is the deadline.
func (s *Store) Headers(ctx context.Context, app string, kind cache.Kind, r cache.Range, each func(cache.Header)) error {
	lo, hi := signed(r)
	rows, err := s.loads.Query(ctx, headersSQL, app, kind.String(), lo, hi)
	if err != nil {
		return readError("read headers", err)
	}
	var owner string
	var digest int64
	var h cache.Header
	_, err = pgx.ForEachRow(rows, []any{&owner, &h.Version, &h.Size, &digest}, func() error {
		h.Owner, h.Digest = []byte(owner), uint64(digest)
		each(h)
		return nil
	})
	if err != nil {
		return readError("read headers", err)
	}
	return nil
}

type loadHead struct {
	Identity whoJSON `json:"identity"`
	Count    int     `json:"count"`
}

// Load reads one page, as [cache.Loader] asks: one statement, one snapshot. Only
// a primary is believed ([ErrStandby]). The caller's context is the deadline.
func (s *Store) Load(ctx context.Context, app string, kind cache.Kind, r cache.Range, into cache.Intake) error {
	if err := s.load(ctx, app, kind, r, into); err != nil {
		return fmt.Errorf("postgres: load a page: %w", err)
	}
	return nil
}

func (s *Store) load(ctx context.Context, app string, kind cache.Kind, r cache.Range, into cache.Intake) error {
	lo, hi := signed(r)
	var head loadHead
	err := reading(ctx, s.loads, func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, loadSQL, app, kind.String(), lo, hi)
		if err != nil {
			return err
		}
		defer rows.Close()
		begun, err := handAll(rows, &head, into)
		if err != nil && begun {
			return &halfwayError{err}
		}
		return err
	})
	if err != nil {
		return err
	}
	identity, err := head.Identity.identity()
	if err != nil {
		return err
	}
	into.Done(identity, head.Count)
	return nil
}

// halfwayError keeps a load from beginning anew: part of the page has been handed
// over.
type halfwayError struct{ err error }

func (e *halfwayError) Error() string { return e.err.Error() }
func (e *halfwayError) Unwrap() error { return e.err }

// handAll hands the lists of a page on and reports whether it has begun to.
func handAll(rows pgx.Rows, head *loadHead, into cache.Intake) (begun bool, err error) {
	var row pageRow
	for rows.Next() {
		if err := row.read(rows.RawValues(), rows.FieldDescriptions()); err != nil {
			return begun, &decodeError{err}
		}
		if len(row.head) > 0 {
			if err := decode(row.head, head); err != nil {
				return begun, err
			}
			continue
		}
		begun = true
		if err := row.handTo(into); err != nil {
			return begun, &decodeError{err}
		}
	}
	return begun, rows.Err()
}

// pageRow is one row of loadSQL, as it lies in the connection's buffer until the
// next one is asked for.
type pageRow struct {
	head    []byte
	header  cache.Header
	targets []byte // separated by line feeds
	soon    []byte // those that expire
	until   []byte // when, in microseconds, parallel to soon

	dates map[string]int64 // of soon; used again for the next list
}

// pageColumns is how many columns loadSQL has.
const pageColumns = 9

// read takes a row apart without copying it. Which form the values have depends
// on the protocol mode that the deployer's pooler allows.
func (r *pageRow) read(values [][]byte, fields []pgconn.FieldDescription) error {
	if len(values) != pageColumns || len(fields) != pageColumns {
		return fmt.Errorf("a row of %d columns, want %d", len(values), pageColumns)
	}
	var numbers [3]int64
	for i := range numbers {
		var err error
		if numbers[i], err = number(values[2+i], fields[2+i].Format); err != nil {
			return fmt.Errorf("column %d: %w", 2+i, err)
		}
	}
	r.head = values[0]
	r.header = cache.Header{
		Owner: values[1], Version: numbers[0], Size: int(numbers[1]), Digest: uint64(numbers[2]),
		Allowlist: len(values[5]) == 1 && (values[5][0] == 1 || values[5][0] == 't'),
	}
	r.targets, r.soon, r.until = values[6], values[7], values[8]
	return nil
}

// number reads an integer of 4 or 8 bytes, or its digits.
func number(value []byte, format int16) (int64, error) {
	switch {
	case format == pgx.TextFormatCode:
		return strconv.ParseInt(string(value), 10, 64)
	case len(value) == 8:
		return int64(binary.BigEndian.Uint64(value)), nil
	case len(value) == 4:
		return int64(int32(binary.BigEndian.Uint32(value))), nil
	}
	return 0, fmt.Errorf("an integer of %d bytes", len(value))
}

// handTo hands the list of the row on.
func (r *pageRow) handTo(into cache.Intake) error {
	if err := r.date(); err != nil {
		return err
	}
	into.List(r.header)
	for rest := r.targets; len(rest) > 0; {
		var target []byte
		target, rest = cut(rest)
		expires := int64(0)
		if len(r.dates) > 0 {
			expires = r.dates[string(target)]
		}
		into.Entry(target, expires)
	}
	return nil
}

// date reads which targets expire when.
func (r *pageRow) date() error {
	clear(r.dates)
	soon, until := r.soon, r.until
	for len(soon) > 0 && len(until) > 0 {
		var target, digits []byte
		target, soon = cut(soon)
		digits, until = cut(until)
		at, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil {
			return fmt.Errorf("expiry of an entry: %w", err)
		}
		if r.dates == nil {
			r.dates = make(map[string]int64)
		}
		r.dates[string(target)] = at
	}
	if len(soon)+len(until) > 0 {
		return errors.New("a list has fewer expiries than targets that expire, or more")
	}
	return nil
}

// cut returns what stands before the first line feed, and what stands behind it.
func cut(text []byte) (first, rest []byte) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
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
