package filter

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// EvidenceStore reads the rows behind a decision. It is safe for concurrent use;
// its errors are those of [BlockStore].
type EvidenceStore interface {
	// Get is that of [BlockStore].
	Get(ctx context.Context, list ListID, target string) (block Block, ok bool, err error)
	// Recall returns for each moment the interval that covers it, the newest
	// if there are several, and the zero Interval if there is none. All moments
	// are of one app, and what is read of them is of one instant. A moment that
	// has not come yet is now, by the clock of the store.
	Recall(ctx context.Context, moments []Moment) ([]Interval, error)
}

// Explanation is a decision with all that it rests on.
type Explanation struct {
	Decision Decision
	At       time.Time // the instant of the past that it is about; zero: now
	Rules    []RuleResult
	Lists    []Consulted // in the order in which the rules asked for them

	// What the app has set for rooms of the type.
	Mode      Mode
	OnBlock   OnBlock
	OnUnknown OnUnknown
	Allowlist bool // users may be in allowlist mode here
	Enforced  bool // the decision is obeyed, see [Policy.Shadow]
}

// RuleResult is what one rule said.
type RuleResult struct {
	Rule   Reason
	Answer RuleAnswer
}

// RuleAnswer is what a rule can say.
type RuleAnswer uint8

// The answers.
const (
	RuleNotAsked RuleAnswer = iota // a rule before it decided
	RuleNoMatch
	RuleMatch
	RuleUnknown // a list that it needs is unknown
)

var ruleAnswerNames = [...]string{
	RuleNotAsked: "not_asked", RuleNoMatch: "no_match", RuleMatch: "match", RuleUnknown: "unknown",
}

// String returns the answer as the native API spells it.
func (a RuleAnswer) String() string { return ruleAnswerNames[a] }

// Source is where a list was read.
type Source uint8

// The sources.
const (
	SourceMemory   Source = iota
	SourceDatabase        // it was not in memory, or not new enough
	SourceHistory         // the explanation is about the past
)

var sourceNames = [...]string{SourceMemory: "memory", SourceDatabase: "database", SourceHistory: "history"}

// String returns the source as the native API spells it.
func (s Source) String() string { return sourceNames[s] }

// Consulted is one list that a rule asked whether a target is on it.
type Consulted struct {
	List   ListID
	Target string
	Source Source
	// Cause is CauseNone if the list was known; the fields up to Row mean
	// nothing otherwise.
	Cause     Cause
	Listed    bool // the target is on it
	Allowlist bool // its owner is in allowlist mode
	Version   int64
	Age       time.Duration // upper bound of the age of what was read
	// Row is the entry as the database holds it, found by the ids themselves
	// while the decision compares fingerprints; nil: there is none. Of the
	// past it is the interval that covers the instant.
	Row *Interval
	// RowErr says why the database could not be asked for the row. It is for
	// the log.
	RowErr error
}

// Differs reports whether the database says something else than what was decided
// by: it has changed in between, memory has yet to follow it, or two users have
// one fingerprint, the chance of which is at most 3000 in 2⁶⁴.
func (c *Consulted) Differs() bool {
	return c.Cause == CauseNone && c.RowErr == nil && c.Listed != (c.Row != nil)
}

// Explain decides a check as [Filter.CanDeliver] does, by the very function that
// does it there, and tells what every rule said, which lists were read and the
// rows behind them. With an instant it answers for the past, from history: what
// would have been decided then under today's policy; AtLeast means nothing then.
// It is not counted as a decision.
//
// Errors are an *[Error] with [CodeUnknownApp], and for the past those of
// [EvidenceStore]. A database that cannot be asked for the rows of a present
// decision is no error.
func (f *Filter) Explain(ctx context.Context, check Check, at time.Time) (Explanation, error) {
	if f.store == nil {
		return Explanation{}, errors.New("filter: explain: there is no store of evidence")
	}
	e, d, err := f.examine(ctx, &check, at)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain: %w", err)
	}
	x := Explanation{
		Decision: d, At: at, OnBlock: e.room.onBlock, OnUnknown: e.app.onUnknown,
		Mode: ModeOneWay, Allowlist: e.room.allowlist, Enforced: !e.app.shadow,
	}
	if e.room.twoWay {
		x.Mode = ModeTwoWay
	}
	ruled, _ := x.Decision.Would()
	x.Rules = e.rec.ruleResults(&ruled)
	for i := range e.rec.lists {
		x.Lists = append(x.Lists, f.consulted(ctx, check.App, &e.rec.lists[i], e.past != nil))
	}
	return x, nil
}

// examine decides a check with a recorder, for the past in as many rounds as it
// takes (see recollection).
func (f *Filter) examine(ctx context.Context, check *Check, at time.Time) (e *evaluation, d Decision, err error) {
	memory := f.recollect()
	for {
		e = &evaluation{rec: new(recorder)}
		if !at.IsZero() {
			e.past = &past{memory, at}
		}
		if err := refused(e.begin(f, check, f.cache.Now()), check.RoomType); err != nil {
			return nil, d, err
		}
		d = e.decide()
		if done, err := memory.complete(ctx); err != nil {
			return nil, d, err
		} else if done {
			return e, d, nil
		}
	}
}

// ruleResults lists all rules in their order, those that did not get their turn
// included. The last, that nothing stands against the message, is what remains
// when none before it matched.
func (r *recorder) ruleResults(d *Decision) []RuleResult {
	results := make([]RuleResult, Reasons-1)
	for i := range results {
		results[i].Rule = Reason(i)
	}
	asked := RuleNotAsked
	for _, said := range r.rules {
		asked = map[answer]RuleAnswer{no: RuleNoMatch, yes: RuleMatch, unknown: RuleUnknown}[said.answer]
		results[said.rule].Answer = asked
	}
	switch {
	case d.Reason == ReasonAllowed:
		results[ReasonAllowed].Answer = RuleMatch
	case asked != RuleMatch:
		results[ReasonAllowed].Answer = RuleUnknown
	}
	return results
}

// consulted completes what was recorded of a list with the row behind it.
func (f *Filter) consulted(ctx context.Context, app string, read *listRead, past bool) Consulted {
	c := Consulted{
		List:   ListID{App: app, Kind: read.kind, Owner: read.owner},
		Target: read.target, Cause: read.cause, Listed: read.listed, Allowlist: read.asleep,
		Version: read.version, Age: read.age, Row: read.past,
	}
	switch {
	case past:
		c.Source = SourceHistory
		return c
	case read.loaded:
		c.Source = SourceDatabase
	}
	block, ok, err := f.store.Get(ctx, c.List, c.Target)
	if err != nil {
		c.RowErr = fmt.Errorf("read the row behind a decision: %w", err)
	} else if ok {
		c.Row = &Interval{
			Owner: block.Owner, Target: block.Target, BlockedAt: block.CreatedAt, ExpiresAt: block.ExpiresAt,
			Note: block.Note, Source: block.Source, Actor: block.Actor,
		}
	}
	return c
}
