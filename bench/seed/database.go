package seed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// Database is a private Postgres that holds the lists of a shape.
type Database struct {
	*localpg.Server
	Shape Shape
	DSN   string // of a superuser
}

// name is the database's.
const name = "sidegate"

// filled is the file that says that a folder holds all of its data.
const filled = "filled"

// Open starts the database of a shape that is kept under dir, and fills it first
// if it is not there. It is not durable: a power cut may cost the folder, which
// can be made again. Callers stop the server; one process at a time may use it.
func Open(ctx context.Context, dir string, shape Shape, log func(string, ...any)) (*Database, error) {
	if err := shape.Valid(); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	dir = filepath.Join(dir, fmt.Sprintf("%v-schema%d", shape, postgres.SchemaVersion))
	mark := filepath.Join(dir, filled)
	_, err := os.Stat(mark)
	fresh := errors.Is(err, os.ErrNotExist)
	if fresh {
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
			return nil, fmt.Errorf("seed: %w", err)
		}
	}
	server := localpg.New(localpg.Options{Dir: filepath.Join(dir, "postgres"), Settings: map[string]string{
		"shared_buffers": "256MB", "maintenance_work_mem": "256MB", "max_wal_size": "4GB", "max_connections": "200",
	}})
	if err := server.Start(ctx); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	d := &Database{Server: server, Shape: shape, DSN: server.DSN(name)}
	if fresh {
		log("filling a database with %d lists of %d; it is kept in %s", shape.Lists, shape.Entries, dir)
		if err := d.fill(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("seed: %w", err), server.Stop(context.WithoutCancel(ctx)))
		}
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			return nil, errors.Join(fmt.Errorf("seed: %w", err), server.Stop(context.WithoutCancel(ctx)))
		}
	}
	return d, nil
}

// exec runs statements one after the other.
func exec(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// fill makes the schema and the lists. The triggers are off: they are made for
// writes, not for a database that nobody follows yet. What they would have left
// behind, the headers, is computed from the rows.
func (d *Database) fill(ctx context.Context) error {
	admin, err := pgx.Connect(ctx, d.Server.DSN("postgres"))
	if err != nil {
		return err
	}
	err = exec(ctx, admin, "create database "+name)
	if err := errors.Join(err, admin.Close(ctx)); err != nil {
		return err
	}
	if err := postgres.Up(ctx, d.DSN); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, d.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := d.copyLists(ctx, conn); err != nil {
		return err
	}
	return exec(ctx, conn, `insert into sidegate.owner (app, kind, owner, version, size, digest)
		select app, kind, owner, 1, count(*), bit_xor(sidegate.entry_digest(target, expires_at))
		  from sidegate.block group by app, kind, owner_hash, owner order by app, kind, owner_hash, owner`,
		"vacuum (analyze) sidegate.block", "vacuum (analyze) sidegate.owner", "checkpoint")
}

// copyLists writes the rows in the order of the primary key, and makes the
// indices beside it afterwards.
func (d *Database) copyLists(ctx context.Context, conn *pgx.Conn) error {
	var salt int64
	if err := conn.QueryRow(ctx, "select hash_salt from sidegate.meta").Scan(&salt); err != nil {
		return fmt.Errorf("read the salt: %w", err)
	}
	rows, err := conn.Query(ctx, `select indexrelid::regclass::text, pg_get_indexdef(indexrelid)
		from pg_index where indrelid = 'sidegate.block'::regclass and not indisprimary`)
	if err != nil {
		return err
	}
	type index struct{ Name, Definition string }
	indices, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return fmt.Errorf("read the indices: %w", err)
	}
	if err := exec(ctx, conn, "set session_replication_role = replica"); err != nil {
		return err
	}
	for _, i := range indices {
		if err := exec(ctx, conn, "drop index "+i.Name); err != nil {
			return err
		}
	}
	from := &lists{shape: d.Shape, order: byHash(d.Shape.Lists, salt), list: -1, entry: d.Shape.Entries}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"sidegate", "block"}, []string{"app", "owner", "target"}, from); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	for _, i := range indices {
		if err := exec(ctx, conn, i.Definition); err != nil {
			return err
		}
	}
	return nil
}

// byHash returns the numbers of the lists in the order in which the database
// keeps them.
func byHash(n int, salt int64) []int {
	type place struct {
		hash int64
		list int
	}
	places := make([]place, n)
	for i := range places {
		places[i] = place{int64(cache.HashOwner(ID(i), salt)), i}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.hash < b.hash {
			return -1
		}
		return 1
	})
	order := make([]int, n)
	for i, p := range places {
		order[i] = p.list
	}
	return order
}

// lists is all rows, one after the other.
type lists struct {
	shape       Shape
	order       []int
	list, entry int
}

// Next implements pgx.CopyFromSource.
func (l *lists) Next() bool {
	if l.entry++; l.entry >= l.shape.Entries {
		l.list, l.entry = l.list+1, 0
	}
	return l.list < len(l.order)
}

// Values implements pgx.CopyFromSource.
func (l *lists) Values() ([]any, error) {
	i := l.order[l.list]
	return []any{App, ID(i), ID(l.shape.Target(i, l.entry))}, nil
}

// Err implements pgx.CopyFromSource.
func (l *lists) Err() error { return nil }
