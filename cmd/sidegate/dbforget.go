package main

import (
	"context"
	"errors"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
)

// dbForgetCmd erases a user. It takes a word more than other commands, for what it
// removes is nowhere else.
type dbForgetCmd struct {
	dbFlags
	App    string `arg:"" help:"The app that they are a user of."`
	User   string `arg:"" help:"Their id."`
	DryRun bool   `help:"Count what would be removed, and remove nothing."`
	Yes    bool   `help:"Remove it. Without this nothing is removed."`
}

// Help is shown by db forget --help.
func (*dbForgetCmd) Help() string {
	return "Removes their block and allow lists, their name on the lists of others and of rooms, all history in both " +
		"directions, direct rooms with them, and their record of the directory. Bans of rooms that they made stay, without " +
		"their name. Every sidecar learns of it as of any change. It works in short transactions, may be broken off, and " +
		"goes on where it ended. The feed names them until it is trimmed (sync.retention); decision logs and backups go by " +
		"rules of their own."
}

// forgotten is the form of --json.
type forgotten struct {
	App     string            `json:"app"`
	User    string            `json:"user"`
	DryRun  bool              `json:"dry_run"`
	Removed postgres.Mentions `json:"removed"` // or would be
	Left    int64             `json:"left"`
}

// Run counts, and with --yes removes until nothing is left.
func (c *dbForgetCmd) Run(ctx context.Context, p *program) error {
	if c.DryRun && c.Yes {
		return usageError{errors.New("--dry-run and --yes contradict each other")}
	}
	if err := filter.ValidateUserID(c.User); err != nil {
		return usageError{err} // nobody can be called so, and who is meant is kept
	}
	store, cfg, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer store.Close()
	there, err := store.Mentions(ctx, c.App, c.User)
	if err != nil {
		return storeError{err}
	}
	if !c.Yes {
		return c.count(p, there)
	}
	var removed postgres.Mentions
	ticker := newTicker(p)
	err = store.Forget(ctx, c.App, c.User, func(m postgres.Mentions) {
		removed = m
		ticker.show("%d of %d removed", m.Total(), there.Total())
	})
	ticker.clear()
	if err != nil {
		return storeError{err}
	}
	left, err := store.Mentions(ctx, c.App, c.User)
	if err != nil {
		return storeError{err}
	}
	if c.JSON {
		return p.sayJSON(forgotten{App: c.App, User: c.User, Removed: removed, Left: left.Total()})
	}
	tellMentions(p, removed)
	if removed.Total()+left.Total() == 0 {
		// Perhaps because it has been done before; but also of a slip in a name.
		p.say("Nothing was removed: %s is not named in the app %s.", printable(c.User), printable(c.App))
		return nil
	}
	if left.Total() > 0 { // somebody writes about them at this moment
		p.say("%s is named again in %d places, since: run it once more.", printable(c.User), left.Total())
		return nil
	}
	p.say("%s is forgotten in the app %s. The feed names them for %s more, and for as long as nobody trims it.",
		printable(c.User), printable(c.App), cfg.Sync.Retention)
	return nil
}

// count says what would be removed.
func (c *dbForgetCmd) count(p *program, there postgres.Mentions) error {
	if c.JSON {
		if err := p.sayJSON(forgotten{App: c.App, User: c.User, DryRun: true, Removed: there, Left: there.Total()}); err != nil {
			return err
		}
	} else {
		tellMentions(p, there)
	}
	if c.DryRun {
		return nil
	}
	return usageError{errors.New("nothing was removed; add --yes to remove what is counted above, or --dry-run to count alone")}
}

// tellMentions prints a line for each place, also for those where there is nothing:
// who has to prove an erasure shows what was looked at.
func tellMentions(p *program, m postgres.Mentions) {
	for _, line := range []struct {
		n    int64
		what string
	}{
		{m.Own, "entries of their lists"},
		{m.Named, "entries about them on other lists"},
		{m.Headers, "lists of theirs"},
		{m.History, "ended intervals"},
		{m.Rooms, "direct rooms"},
		{m.Users, "records of the directory"},
		{m.Actors, "bans of rooms in their name, which stay without it"},
	} {
		p.say("%8d  %s", line.n, line.what)
	}
}
