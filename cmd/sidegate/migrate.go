package main

import (
	"context"

	"github.com/sidegate/sidegate/sync/postgres"
)

// migrateCmd changes the schema, and besides dev, whose database is its own,
// nothing else does: serve compares it and says which command helps, so that
// starting a new version never changes a database that an older one still uses.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Bring the schema to the version of this program. Safe to repeat and to run from several places at once."`
	Down   migrateDownCmd   `cmd:"" help:"Take back the newest step, with whatever data it held."`
	Status migrateStatusCmd `cmd:"" help:"List the steps and which of them are applied. Changes nothing."`
}

// migrateUpCmd brings the schema up to date.
type migrateUpCmd struct{ databaseFlags }

// Run applies what is pending.
func (c *migrateUpCmd) Run(ctx context.Context, p *program) error {
	dsn, err := c.database(p)
	if err != nil {
		return err
	}
	if err := postgres.Up(ctx, dsn); err != nil {
		return storeError{err}
	}
	p.say("The schema is at version %d, the newest that this program knows.", postgres.SchemaVersion)
	return nil
}

// migrateDownCmd takes back one step and no more: each may hold data.
type migrateDownCmd struct{ databaseFlags }

// Run takes back one step and says where that leads.
func (c *migrateDownCmd) Run(ctx context.Context, p *program) error {
	dsn, err := c.database(p)
	if err != nil {
		return err
	}
	if err := postgres.Down(ctx, dsn); err != nil {
		return storeError{err}
	}
	steps, err := postgres.Status(ctx, dsn)
	if err != nil {
		return storeError{err}
	}
	var newest int64
	for _, s := range steps {
		if s.Applied {
			newest = s.Version
		}
	}
	p.say("The schema is at version %d of %d.", newest, postgres.SchemaVersion)
	return nil
}

// migrateStatusCmd compares the schema with that of this program.
type migrateStatusCmd struct{ databaseFlags }

// Run lists the steps in their order, whether they are applied or not.
func (c *migrateStatusCmd) Run(ctx context.Context, p *program) error {
	dsn, err := c.database(p)
	if err != nil {
		return err
	}
	steps, err := postgres.Status(ctx, dsn)
	if err != nil {
		return storeError{err}
	}
	for _, s := range steps {
		state := "pending"
		if s.Applied {
			state = "applied " + shownTime(&s.AppliedAt)
		}
		p.say("%-40s %s", s.Name, state)
	}
	return nil
}
