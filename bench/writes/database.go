package writes

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// settings are those of the server besides its defaults.
var settings = map[string]string{"shared_buffers": "256MB", "max_wal_size": "2GB", "max_connections": "100"}

const database = "sidegate"

// startServer runs a durable private Postgres.
func startServer(ctx context.Context, dir string) (*localpg.Server, error) {
	server := localpg.New(localpg.Options{Dir: filepath.Join(dir, "postgres"), Durable: true, Settings: settings})
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	return server, nil
}

// fill makes both schemas, with the same lists of ten entries each.
func fill(ctx context.Context, server *localpg.Server, lists int) error {
	err := exec(ctx, server.DSN("postgres"), "create database "+database)
	if err != nil {
		return err
	}
	if err := postgres.Up(ctx, server.DSN(database)); err != nil {
		return err
	}
	return exec(ctx, server.DSN(database),
		"set session_replication_role = replica", // as seed does: nobody follows yet
		fmt.Sprintf(`insert into sidegate.block (app, owner, target)
			select 'default', 'user-' || o, 'entry-' || o || '-' || t
			  from generate_series(0, %d) o, generate_series(1, 10) t`, lists-1),
		`insert into sidegate.owner (app, kind, owner, version, size, digest)
			select app, kind, owner, 1, count(*), bit_xor(sidegate.entry_digest(target, expires_at))
			  from sidegate.block group by app, kind, owner_hash, owner`,
		`create schema bare`,
		`create table bare.block (
			app text collate "C" not null, kind text collate "C" not null, owner_hash bigint not null,
			owner text collate "C" not null, target text collate "C" not null, created_at timestamptz not null,
			expires_at timestamptz, note text, source text not null, actor text not null, place int not null,
			primary key (app, kind, owner_hash, owner, target))`,
		`create table bare.owner (
			app text collate "C" not null, kind text collate "C" not null, owner_hash bigint not null,
			owner text collate "C" not null, version bigint not null, size int not null, digest bigint not null,
			allowlist boolean not null, primary key (app, kind, owner_hash, owner)) with (fillfactor = 70)`,
		// The number of a list stands for its hash: pgbench would have to compute it.
		`insert into bare.owner select app, kind, substr(owner, 6)::bigint, owner, version, size, digest, allowlist from sidegate.owner`,
		`insert into bare.block select app, kind, substr(owner, 6)::bigint, owner, target, created_at, expires_at, note, source, actor, place
			from sidegate.block`,
		"vacuum (analyze)", "checkpoint")
}

// script is the bare transaction; $LISTS is replaced.
const script = `\set o random(0, $LISTS - 1)
\set t random(1, 1000000000000)
begin;
insert into bare.block (app, kind, owner_hash, owner, target, created_at, source, actor, place)
  values ('default', 'block', :o, 'user-' || :o, 'target-' || :t, now(), 'native', '', 1);
update bare.owner set version = version + 1, size = size + 1, digest = digest # :t
  where app = 'default' and kind = 'block' and owner_hash = :o and owner = 'user-' || :o;
end;
`

func exec(ctx context.Context, dsn string, statements ...string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}
