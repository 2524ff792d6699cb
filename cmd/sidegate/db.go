package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/sync/postgres"
)

// dbCmd keeps the database in order, beside what the servers do by themselves. Its
// commands go to Postgres and need no server.
type dbCmd struct {
	Audit           dbAuditCmd  `cmd:"" help:"Compare every list with its header and with the feed; with --repair, correct what differs."`
	Trim            dbTrimCmd   `cmd:"" help:"Remove old changes from the feed, and old history of the apps that keep it for a time."`
	Forget          dbForgetCmd `cmd:"" help:"Erase a user: their lists, and their name on everybody else's."`
	BumpIncarnation dbBumpCmd   `cmd:"" name:"bump-incarnation" help:"Make every sidegate read every list again; after a restore."`
}

// dbFlags are what the commands of db have in common.
type dbFlags struct {
	databaseFlags
	JSON bool `name:"json" help:"Print one JSON object."`
}

// open connects to the database and makes sure that it can be worked with. The
// caller closes the store.
func (f *dbFlags) open(ctx context.Context, p *program) (*postgres.Store, *config.Config, error) {
	cfg, err := f.configured(p)
	if err != nil {
		return nil, nil, err
	}
	store, err := postgres.Open(ctx, postgres.Options{URL: cfg.Postgres.URL})
	if err != nil {
		return nil, nil, usageError{err}
	}
	if _, err := store.Check(ctx); err != nil {
		store.Close()
		return nil, nil, storeError{err}
	}
	return store, cfg, nil
}

// sayJSON prints a result as one JSON object.
func (p *program) sayJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	p.say("%s", text)
	return nil
}

// dbTrimCmd does at once what servers do each minute.
type dbTrimCmd struct {
	dbFlags
	Keep *time.Duration `placeholder:"DURATION" help:"How long changes are kept, such as 30m (default: sync.retention)."`
}

// Help is shown by db trim --help.
func (*dbTrimCmd) Help() string {
	return "Processes that serve the api listener do this each minute. A sidecar that had not read a change when it was " +
		"removed reads every list again."
}

// Run trims the feed, then the history of each app that has a retention.
func (c *dbTrimCmd) Run(ctx context.Context, p *program) error {
	if c.Keep != nil && *c.Keep < 0 {
		return usageError{fmt.Errorf("--keep: %s is below zero; 0s keeps nothing that can be removed", *c.Keep)}
	}
	store, cfg, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer store.Close()
	keep := cfg.Sync.Retention
	if c.Keep != nil {
		keep = *c.Keep
	}
	changes, err := store.Trim(ctx, keep)
	if err != nil {
		return storeError{err}
	}
	intervals := map[string]int{}
	for app, kept := range cfg.HistoryRetention() {
		n, err := trimHistory(ctx, store, app, kept)
		if err != nil {
			return storeError{err}
		}
		intervals[app] = n
	}
	if c.JSON {
		return p.sayJSON(map[string]any{"changes": changes, "kept_seconds": keep.Seconds(), "intervals": intervals})
	}
	p.say("Removed %d changes older than %s from the feed.", changes, keep)
	for _, app := range slices.Sorted(maps.Keys(intervals)) {
		p.say("Removed %d ended intervals of the app %s.", intervals[app], printable(app))
	}
	return nil
}

// trimBatch is how much history one transaction removes.
const trimBatch = 5000

func trimHistory(ctx context.Context, store *postgres.Store, app string, keep time.Duration) (removed int, err error) {
	for {
		n, err := store.TrimHistory(ctx, app, keep, trimBatch)
		removed += n
		if err != nil || n < trimBatch {
			return removed, err
		}
	}
}

// dbBumpCmd tells everybody that nothing they hold is to be relied upon.
type dbBumpCmd struct{ dbFlags }

// Help is shown by db bump-incarnation --help.
func (*dbBumpCmd) Help() string {
	return "For a database that was restored, or changed in a way that nobody can tell: sidecars hold versions of lists " +
		"that the database may never have had. Each goes on answering from memory, by its age, while it reads all lists again. " +
		"Repeating it is safe and costs as much again."
}

// Run gives the database a new incarnation.
func (c *dbBumpCmd) Run(ctx context.Context, p *program) error {
	store, _, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.BumpIncarnation(ctx); err != nil {
		return storeError{err}
	}
	if c.JSON {
		return p.sayJSON(map[string]any{"started_over": true})
	}
	p.say("Every sidegate on this database starts over: it reads every list again, and answers by the age of its memory until then.")
	return nil
}
