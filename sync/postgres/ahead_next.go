//go:build nextschema

package postgres

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"
)

// A program that is built with the tag nextschema has one more step of the schema
// than the folder migrations: it stands for the next release where tests upgrade a
// fleet while it is used. The step does what a step may do while older programs
// serve: it adds columns everywhere, and lets the feed hold what those do not know.

const ahead = 1

func stepsAhead() []goose.ProviderOption {
	step := func(statements []string) *goose.GoFunc {
		return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			for _, s := range statements {
				if _, err := tx.ExecContext(ctx, s); err != nil {
					return fmt.Errorf("%s: %w", s, err)
				}
			}
			return nil
		}}
	}
	return []goose.ProviderOption{goose.WithGoMigrations(goose.NewGoMigration(SchemaVersion, step(upAhead), step(downAhead)))}
}

// Each third addition goes into the feed as an operation that nobody knew before.
var upAhead = []string{
	`alter table sidegate.block add column severity int not null default 0`,
	`alter table sidegate.owner add column severity int not null default 0`,
	`alter table sidegate.change add column severity int not null default 0`,
	`alter table sidegate.change drop constraint change_op_check`,
	`create function sidegate.new_op() returns trigger language plpgsql as $$ begin new.op := 'N'; return new; end $$`,
	`create trigger change_new_op before insert on sidegate.change for each row
		when (new.op = 'A' and new.version % 3 = 0) execute function sidegate.new_op()`,
	fmt.Sprintf(`update sidegate.meta set schema_version = %d`, SchemaVersion),
}

var downAhead = []string{
	`drop trigger change_new_op on sidegate.change`,
	`drop function sidegate.new_op()`,
	`update sidegate.change set op = 'L', targets = '{}', expires = '{}' where op = 'N'`,
	`alter table sidegate.change add constraint change_op_check check (op in ('A', 'R', 'U', 'M', 'L'))`,
	`alter table sidegate.change drop column severity`,
	`alter table sidegate.owner drop column severity`,
	`alter table sidegate.block drop column severity`,
	fmt.Sprintf(`update sidegate.meta set schema_version = %d`, SchemaVersion-ahead),
}
