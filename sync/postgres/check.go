package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
)

// minServer is the oldest server version, as server_version_num has it: 14 is the
// first with SQL-standard function bodies, beside xid8 and pg_snapshot of 13.
const minServer = 140000

const serverSQL = `select pg_is_in_recovery(), current_setting('server_version_num')::int,
	current_setting('server_encoding')`

const schemaSQL = `select to_regclass('sidegate.meta') is not null`

const versionSQL = `select schema_version, coalesce((to_jsonb(m) ->> 'serves_from')::int, schema_version), hash_salt
	from sidegate.meta m`

const hashSQL = `select hashtextextended($1, 0), hashtextextended($1, 1), hashtextextended($1, -1),
	sidegate.owner_hash($1)`

const superuserSQL = `select rolsuper from pg_roles where rolname = current_user`

// Report is what [Store.Check] found besides errors.
type Report struct {
	Server int // server_version_num, such as 150018
	// Superuser: the user of the URL is a superuser. Worth one warning: a role
	// with sidegate_read and sidegate_write is enough.
	Superuser bool
}

// Check connects and makes sure that the store can work: the server is a primary
// ([ErrStandby]), new enough ([ErrOldServer]), encoded in UTF8 ([ErrEncoding]),
// has the schema of this program, or a newer one that says it serves this program
// too ([*SchemaError]), and hashes as we do ([ErrHash]). Any other error means that
// the server did not answer.
func (s *Store) Check(ctx context.Context) (Report, error) {
	conn, err := s.reads.Acquire(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("postgres: connect: %w", err)
	}
	defer conn.Release()
	report, err := check(ctx, conn.Conn())
	if err != nil {
		err = fmt.Errorf("postgres: check: %w", err)
	}
	return report, err
}

func check(ctx context.Context, conn *pgx.Conn) (report Report, err error) {
	var (
		standby  bool
		encoding string
	)
	if err := conn.QueryRow(ctx, serverSQL).Scan(&standby, &report.Server, &encoding); err != nil {
		return report, err
	}
	if err := checkServer(standby, report.Server, encoding); err != nil {
		return report, err
	}
	salt, err := checkSchema(ctx, conn)
	if err != nil {
		return report, err
	}
	if err := checkHash(ctx, conn, salt); err != nil {
		return report, err
	}
	return report, conn.QueryRow(ctx, superuserSQL).Scan(&report.Superuser)
}

func checkServer(standby bool, version int, encoding string) error {
	switch {
	case standby:
		return ErrStandby
	case version < minServer:
		return fmt.Errorf("%w; this is %d.%d", ErrOldServer, version/10000, version%10000)
	case encoding != "UTF8":
		return fmt.Errorf("%w (it has %s)", ErrEncoding, encoding)
	}
	return nil
}

func checkSchema(ctx context.Context, conn *pgx.Conn) (salt int64, err error) {
	var have bool
	if err := conn.QueryRow(ctx, schemaSQL).Scan(&have); err != nil {
		return 0, err
	}
	version, serves := 0, 0
	if have {
		err := conn.QueryRow(ctx, versionSQL).Scan(&version, &serves, &salt)
		// No row: the last step down took the rest.
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return 0, err
		}
	}
	if version < SchemaVersion || serves > SchemaVersion {
		return 0, &SchemaError{Have: version, Want: SchemaVersion}
	}
	return salt, nil
}

func checkHash(ctx context.Context, conn *pgx.Conn, salt int64) error {
	probe, want := cache.HashProbe()
	var got [3]int64
	var owner int64
	if err := conn.QueryRow(ctx, hashSQL, probe).Scan(&got[0], &got[1], &got[2], &owner); err != nil {
		return err
	}
	if got != want || uint64(owner) != cache.HashOwner(probe, salt) {
		return ErrHash
	}
	return nil
}
