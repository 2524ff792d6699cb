package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/sync/postgres"
)

// dbAuditCmd compares the database with itself, at once and whole. Servers do the
// same all the time, spread over audit.period.
type dbAuditCmd struct {
	dbFlags
	Repair bool   `help:"Correct what differs. No entry is removed."`
	App    string `default:"" placeholder:"NAME" help:"One app alone (default: all)."`
}

// Help is shown by db audit --help.
func (*dbAuditCmd) Help() string {
	return "Only who writes past the triggers makes a difference: a restore of data alone, session_replication_role, " +
		"DISABLE TRIGGER. Writers at the same time are never mistaken for one, and are not held up. With --repair a list is " +
		"what its entries say, and everybody reads it again; if lists were set back to an older state, everybody reads " +
		"everything again. Exit code 1: there is damage that is not repaired."
}

// auditReport is what an audit found, and the form of --json.
type auditReport struct {
	Lists   int64             `json:"lists"`
	Entries int64             `json:"entries"`
	Damage  []postgres.Damage `json:"damage"`
	// Left are those that are as wrong as before.
	Left        int     `json:"left"`
	StartedOver bool    `json:"started_over"`
	Seconds     float64 `json:"seconds"`
	// Held is why one of them could not be repaired, the last.
	Held string `json:"held,omitempty"`
}

// Run audits everything once.
func (c *dbAuditCmd) Run(ctx context.Context, p *program) error {
	store, _, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer store.Close()
	begun := p.now()
	report, err := c.audit(ctx, p, store)
	if err != nil {
		return storeError{err}
	}
	report.Seconds = p.now().Sub(begun).Seconds()
	if c.JSON {
		err = p.sayJSON(report)
	} else {
		c.tell(p, report)
	}
	if err == nil && report.Left > 0 {
		return errDamaged
	}
	return err
}

// audit compares piece by piece. A list that cannot be repaired because somebody
// holds it does not keep the others from being repaired.
func (c *dbAuditCmd) audit(ctx context.Context, p *program, store *postgres.Store) (*auditReport, error) {
	report := &auditReport{Damage: []postgres.Damage{}}
	ticker := newTicker(p)
	defer ticker.clear()
	for from, done := (postgres.AuditCursor{}), false; !done; {
		piece, err := store.Audit(ctx, from, c.App)
		if err != nil {
			return nil, err
		}
		from, done = piece.Next, piece.Done
		report.Lists, report.Entries = report.Lists+piece.Lists, report.Entries+piece.Entries
		for _, d := range piece.Damage {
			if c.Repair && d.Reason == postgres.DamageFeed && !report.StartedOver {
				// Before the first of them is repaired: if it fails, or we are broken
				// off, the next audit finds the same and does it.
				if err := store.BumpIncarnation(ctx); err != nil {
					return nil, err
				}
				report.StartedOver = true
			}
			if c.Repair && d.Reason != postgres.DamageLimit {
				if _, err := store.Mend(ctx, d); err != nil {
					report.Held = err.Error()
				} else {
					d.Repaired = true
				}
			}
			if !d.Repaired {
				report.Left++
			}
			report.Damage = append(report.Damage, d)
		}
		ticker.show("%d lists, %d entries, %d differ", report.Lists, report.Entries, len(report.Damage))
	}
	return report, ctx.Err()
}

// tell prints a report for people: the lists, the sum, and what to do.
func (c *dbAuditCmd) tell(p *program, r *auditReport) {
	limits, back := 0, false
	for _, d := range r.Damage {
		state := ""
		if d.Repaired {
			state = " (repaired)"
		}
		p.say("%s %s %s: %s%s", printable(d.App), d.Kind, printable(d.Owner), differs(d), state)
		if d.Reason == postgres.DamageLimit {
			limits++
		}
		back = back || d.Reason == postgres.DamageFeed
	}
	if r.Lists == 0 && c.App != "" { // perhaps a slip
		p.say("The app %s has no lists.", printable(c.App))
		return
	}
	if len(r.Damage) == 0 {
		p.say("All %d lists with %d entries are what their headers and the feed say.", r.Lists, r.Entries)
		return
	}
	p.say("%d of %d lists differ, %d of them are repaired.", len(r.Damage), r.Lists, len(r.Damage)-r.Left)
	if r.StartedOver {
		p.say("Lists had been set back, so every sidegate on this database reads every list again.")
	} else if back {
		p.say("Lists were set back, as by a restore: sidecars hold what they were.")
	}
	if r.Held != "" {
		p.say("Some could not be repaired: %s", r.Held)
	}
	switch {
	case r.Left > limits && !c.Repair:
		p.say("To repair: sidegate db audit --repair. No entry is removed; the entries that are there count.")
	case r.Left > limits:
		p.say("When nothing is in the way any more, run it again to repair the rest.")
	}
	if limits > 0 {
		p.say("A list with more than 3000 entries counts with all of them and takes no more; only its owner knows which to remove.")
	}
}

// differs says in what a list differs.
func differs(d postgres.Damage) string {
	switch d.Reason {
	case postgres.DamageHeader:
		return fmt.Sprintf("there are %d entries and no header", d.Rows)
	case postgres.DamageSize:
		return fmt.Sprintf("the header counts %d entries, there are %d", d.Size, d.Rows)
	case postgres.DamageDigest:
		return fmt.Sprintf("the header counts %d entries, but others than there are", d.Size)
	case postgres.DamageFeed:
		return fmt.Sprintf("it is older than what the feed has told of it (%d entries)", d.Rows)
	case postgres.DamageLimit:
		return fmt.Sprintf("it has %d entries, more than any list may have", d.Rows)
	}
	return d.Reason
}

// ticker shows on a terminal how far something has come, in one line that goes.
type ticker struct {
	p     *program
	on    bool
	last  time.Time
	width int
}

func newTicker(p *program) *ticker { return &ticker{p: p, on: isTerminal(p.stderr)} }

func (t *ticker) show(format string, args ...any) {
	if now := t.p.now(); t.on && now.Sub(t.last) >= progressEvery {
		t.last = now
		text := fmt.Sprintf(format, args...)
		_, _ = fmt.Fprintf(t.p.stderr, "\r%-*s", t.width, text)
		t.width = max(t.width, len(text))
	}
}

func (t *ticker) clear() {
	if t.width > 0 {
		_, _ = fmt.Fprintf(t.p.stderr, "\r%*s\r", t.width, "")
	}
}
