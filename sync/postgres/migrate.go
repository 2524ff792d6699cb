package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// SchemaVersion is the version of the schema that this program needs: the number
// of the newest file in migrations, and what sidegate.meta says once it is
// applied.
const SchemaVersion = 16 + ahead

//go:embed migrations/*.sql
var migrationFiles embed.FS

// versionTable records the steps that were applied. It lives in our own schema,
// so that a deployer's migrations with the same tool do not meet ours.
const versionTable = "sidegate.migration"

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string // file name
	Applied   bool
	AppliedAt time.Time // zero if not applied
}

// Up brings the schema of the database to [SchemaVersion], one transaction for
// each step, and grants the roles what they are for. It is safe to repeat and
// to run from several processes at once: one works, the others wait. It needs a
// direct connection, not a transaction pooler. A newer schema is a
// [*SchemaError] and left alone.
func Up(ctx context.Context, dsn string) error {
	return withDatabase(ctx, dsn, "migrate up", func(db *sql.DB) error {
		if err := makeSchema(ctx, db); err != nil {
			return err
		}
		provider, err := newProvider(db)
		if err != nil {
			return err
		}
		if err := refuseNewer(ctx, provider); err != nil {
			return err
		}
		if _, err := provider.Up(ctx); err != nil {
			return err
		}
		return grantRoles(ctx, db)
	})
}

// Down takes back the newest step that was applied, with whatever data it held.
// An empty database is an error.
func Down(ctx context.Context, dsn string) error {
	return withDatabase(ctx, dsn, "migrate down", func(db *sql.DB) error {
		have, err := hasVersions(ctx, db)
		if err != nil {
			return err
		}
		if !have {
			return errNothingApplied
		}
		provider, err := newProvider(db)
		if err != nil {
			return err
		}
		if err := refuseNewer(ctx, provider); err != nil {
			return err
		}
		_, err = provider.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return errNothingApplied
		}
		return err
	})
}

var errNothingApplied = errors.New("the database has no sidegate schema; there is nothing to take back")

// Status lists every step, in order, without changing the database.
func Status(ctx context.Context, dsn string) ([]Migration, error) {
	var list []Migration
	err := withDatabase(ctx, dsn, "migrate status", func(db *sql.DB) error {
		provider, err := newProvider(db)
		if err != nil {
			return err
		}
		have, err := hasVersions(ctx, db)
		if err != nil {
			return err
		}
		if !have {
			// Asking the provider would make its table.
			for _, s := range provider.ListSources() {
				list = append(list, Migration{Version: s.Version, Name: s.Path})
			}
			return nil
		}
		if err := refuseNewer(ctx, provider); err != nil {
			return err
		}
		steps, err := provider.Status(ctx)
		for _, s := range steps {
			list = append(list, Migration{
				Version: s.Source.Version, Name: s.Source.Path,
				Applied: s.State == goose.StateApplied, AppliedAt: s.AppliedAt,
			})
		}
		return err
	})
	return list, err
}

// withDatabase connects, makes sure that this is a server which can be migrated,
// calls do, and disconnects.
func withDatabase(ctx context.Context, dsn, op string, do func(*sql.DB) error) error {
	config, err := parseURL(dsn)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer db.Close()
	var (
		standby  bool
		version  int
		encoding string
	)
	err = db.QueryRowContext(ctx, serverSQL).Scan(&standby, &version, &encoding)
	if err == nil {
		err = checkServer(standby, version, encoding)
	}
	if err == nil {
		err = do(db)
	}
	if err != nil {
		return fmt.Errorf("postgres: %s: %w", op, err)
	}
	return nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	// Whoever waits for another process asks again each second, for five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, append(stepsAhead(),
		goose.WithTableName(versionTable), goose.WithSessionLocker(locker),
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))...)
}

// makeSchema makes the schema, which must exist before the table of versions
// can. It looks first because "if not exists" asks for the right to create even
// if it does; and two processes may both find nothing.
func makeSchema(ctx context.Context, db *sql.DB) error {
	var have bool
	err := db.QueryRowContext(ctx, "select to_regnamespace('sidegate') is not null").Scan(&have)
	if err != nil || have {
		return err
	}
	_, err = db.ExecContext(ctx, "create schema if not exists sidegate")
	if code := state(err); code == stateUniqueViolation || code == stateDuplicateSchema {
		return nil
	}
	return err
}

func hasVersions(ctx context.Context, db *sql.DB) (have bool, err error) {
	err = db.QueryRowContext(ctx, "select to_regclass('"+versionTable+"') is not null").Scan(&have)
	return have, err
}

func refuseNewer(ctx context.Context, provider *goose.Provider) error {
	have, err := provider.GetDBVersion(ctx)
	if err == nil && have > SchemaVersion {
		err = &SchemaError{Have: int(have), Want: SchemaVersion}
	}
	return err
}

// grantRoles repeats the grants, for the case that the roles were made after the
// first migration. A caller who may not grant has nothing to repeat.
func grantRoles(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "select sidegate.grant_roles()")
	if state(err) == stateNotPermitted {
		return nil
	}
	return err
}
