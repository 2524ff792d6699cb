package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const (
	// exportPiece is how many entries one read of an export returns.
	exportPiece = 1000
	// modePiece is how many headers one read looks through for modes, of which
	// few have one.
	modePiece = 10_000
)

// Read piece by piece in the order of the primary key, so that a piece costs the
// same wherever it is. now() is that of the transaction: one instant for all.
const exportSQL = `select kind, owner_hash, owner, target, created_at, expires_at, coalesce(note, '')
  from sidegate.block
 where app = $1::text and (kind, owner_hash, owner, target) > ($2::text, $3::bigint, $4::text, $5::text)
   and (expires_at is null or expires_at > now())
 order by app, kind, owner_hash, owner, target limit $6`

// The last header of a piece comes too, whatever its mode: the next piece begins
// behind it.
const exportModesSQL = `with piece as materialized (
	select owner_hash, owner, allowlist, row_number() over (order by owner_hash, owner) as n
	  from sidegate.owner
	 where app = $1::text and kind = 'block' and (owner_hash, owner) > ($2::bigint, $3::text)
	 order by owner_hash, owner limit $4)
select owner_hash, owner, allowlist from piece
 where allowlist or n = (select max(n) from piece) order by n`

// exportReader reads an app within one transaction, whose snapshot is the instant
// that the export is of.
type exportReader struct {
	app string
	tx  pgx.Tx
	end func() // gives the connection back

	modes   bool // the entries have been read
	done    bool
	kind    string
	hash    int64
	owner   string
	target  string
	records []filter.Record
}

// lowestHash sorts before every header.
const lowestHash = -1 << 63

// Export begins to read all of an app, as [filter.TransferStore] asks. Entries
// that have expired are left out. It holds a connection of a pool of its own, so
// that a client who reads slowly keeps nobody waiting but other exports, and a
// snapshot, which keeps the database from cleaning up behind it.
func (s *Store) Export(ctx context.Context, app string) (filter.RecordReader, error) {
	const op = "begin an export"
	conn, err := acquire(ctx, s.exports)
	if err != nil {
		return nil, readError(op, err)
	}
	begin, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	tx, err := conn.BeginTx(begin, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		conn.Release()
		return nil, readError(op, err)
	}
	r := &exportReader{app: app, tx: tx, hash: lowestHash, records: make([]filter.Record, 0, exportPiece)}
	r.end = sync.OnceFunc(func() {
		rollback, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		_ = tx.Rollback(rollback) // nothing was written; a connection that is broken is thrown away
		conn.Release()
	})
	return r, nil
}

// Close implements [filter.RecordReader].
func (r *exportReader) Close() { r.end() }

// Next implements [filter.RecordReader].
func (r *exportReader) Next(ctx context.Context) ([]filter.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r.records = r.records[:0]
	for len(r.records) == 0 && !r.done {
		var err error
		if r.modes {
			err = r.nextModes(ctx)
		} else {
			err = r.nextEntries(ctx)
		}
		if err != nil {
			return nil, readError("export", err)
		}
	}
	return r.records, nil
}

func (r *exportReader) nextEntries(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, exportSQL, r.app, r.kind, r.hash, r.owner, r.target, exportPiece)
	if err != nil {
		return err
	}
	var record filter.Record
	var expires *time.Time
	into := []any{&r.kind, &r.hash, &r.owner, &r.target, &record.CreatedAt, &expires, &record.Note}
	_, err = pgx.ForEachRow(rows, into, func() error {
		record.Kind, _ = cache.ParseKind(r.kind) // a constraint holds it to those
		record.Owner, record.Target, record.ExpiresAt = r.owner, r.target, time.Time{}
		if expires != nil {
			record.ExpiresAt = *expires
		}
		r.records = append(r.records, record)
		return nil
	})
	if len(r.records) < exportPiece {
		r.modes, r.hash, r.owner = true, lowestHash, ""
	}
	return err
}

func (r *exportReader) nextModes(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, exportModesSQL, r.app, r.hash, r.owner, modePiece)
	if err != nil {
		return err
	}
	var allowlist, found bool
	_, err = pgx.ForEachRow(rows, []any{&r.hash, &r.owner, &allowlist}, func() error {
		found = true
		if allowlist {
			r.records = append(r.records, filter.Record{Kind: cache.KindBlock, Owner: r.owner, Allowlist: true})
		}
		return nil
	})
	r.done = !found
	return err
}
