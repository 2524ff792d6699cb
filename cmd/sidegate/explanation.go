package main

import (
	"time"

	"github.com/sidegate/sidegate/filter"
)

// explanation is what GET /v1/explain answers, and what check --explain shows.
type explanation struct {
	App       string          `json:"app"`
	Sender    string          `json:"sender"`
	Recipient string          `json:"recipient"`
	RoomType  string          `json:"room_type"`
	Room      string          `json:"room,omitempty"`
	At        *time.Time      `json:"at"` // null: now
	Decision  explainedResult `json:"decision"`
	Policy    explainedPolicy `json:"policy"`
	Rules     []explainedRule `json:"rules"`
	Lists     []explainedList `json:"lists"`
}

// explainedResult is a decision. One that is unknown has a reason and a cause.
type explainedResult struct {
	Deliver  *bool  `json:"deliver,omitempty"`
	Notify   *bool  `json:"notify,omitempty"`
	Action   string `json:"action,omitempty"`
	Reason   string `json:"reason"`
	StaleMS  int64  `json:"stale_ms,omitempty"`
	Degraded bool   `json:"degraded,omitempty"`
	Cause    string `json:"cause,omitempty"`
	// Would is what an app with enforce: false would have answered.
	Would *explainedResult `json:"would,omitempty"`
}

// explainedPolicy is what the app has set for rooms of the type.
type explainedPolicy struct {
	Mode      string `json:"mode"`
	OnBlock   string `json:"on_block"`
	OnUnknown string `json:"on_unknown"`
	Allowlist bool   `json:"allowlist"`
	// Enforce is nil in the answer of a server that cannot but enforce.
	Enforce *bool `json:"enforce"`
}

type explainedRule struct {
	Rule   string `json:"rule"`
	Answer string `json:"answer"`
}

// explainedList is one list that a rule asked about.
type explainedList struct {
	Kind      string        `json:"kind"`
	Owner     string        `json:"owner"`
	Target    string        `json:"target"`
	Source    string        `json:"source"`
	Listed    *bool         `json:"listed"`          // null: the list is unknown
	Cause     string        `json:"cause,omitempty"` // and why
	Allowlist bool          `json:"allowlist_mode"`  // of the owner
	Version   int64         `json:"version,omitempty"`
	AgeMS     *int64        `json:"age_ms,omitempty"`
	Row       *explainedRow `json:"row"`       // null: there is none, or it is not known
	RowKnown  bool          `json:"row_known"` // the database could be asked
	Differs   bool          `json:"differs,omitempty"`
}

// explainedRow is the row behind a list: as history has it, with its end.
type explainedRow struct {
	BlockedAt   time.Time  `json:"blocked_at"`
	UnblockedAt *time.Time `json:"unblocked_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	Note        string     `json:"note"`
	Source      string     `json:"source"`
	Actor       string     `json:"actor"`
}

func explanationOf(check *filter.Check, x *filter.Explanation) *explanation {
	out := &explanation{
		App: check.App, Sender: check.Sender, Recipient: check.Recipient, Room: check.Room,
		RoomType: check.RoomType.String(), At: timeOrNull(x.At), Decision: explainedDecision(&x.Decision),
		Policy: explainedPolicy{
			Mode: x.Mode.String(), OnBlock: x.OnBlock.String(), OnUnknown: x.OnUnknown.String(), Allowlist: x.Allowlist,
			Enforce: &x.Enforced,
		},
		Rules: make([]explainedRule, len(x.Rules)), Lists: make([]explainedList, len(x.Lists)),
	}
	for i, r := range x.Rules {
		out.Rules[i] = explainedRule{Rule: r.Rule.String(), Answer: r.Answer.String()}
	}
	for i := range x.Lists {
		out.Lists[i] = explainedListOf(&x.Lists[i])
	}
	return out
}

func explainedDecision(d *filter.Decision) explainedResult {
	out := explainedResult{Reason: d.Reason.String(), Degraded: d.Degraded}
	if d.Cause != filter.CauseNone {
		out.Cause = d.Cause.String()
	}
	if d.Stale > 0 {
		out.StaleMS = roundedUp(d.Stale)
	}
	if !d.Unknown() {
		out.Deliver, out.Notify, out.Action = &d.Deliver, &d.Notify, d.Action.String()
	}
	if w, differs := d.Would(); differs {
		w.Stale = 0 // the age of both, and said
		would := explainedDecision(&w)
		out.Would, out.Cause = &would, ""
	}
	return out
}

func explainedListOf(c *filter.Consulted) explainedList {
	out := explainedList{
		Kind: c.List.Kind.String(), Owner: c.List.Owner, Target: c.Target, Source: c.Source.String(),
		RowKnown: c.RowErr == nil, Differs: c.Differs(),
	}
	if c.Cause != filter.CauseNone {
		out.Cause = c.Cause.String()
	} else {
		out.Listed, out.Allowlist, out.Version = &c.Listed, c.Allowlist, c.Version
	}
	if c.Cause == filter.CauseNone && c.Source != filter.SourceHistory {
		ms := roundedUp(c.Age)
		out.AgeMS = &ms
	}
	if c.Row != nil {
		out.Row = &explainedRow{
			BlockedAt: c.Row.BlockedAt.UTC(), UnblockedAt: timeOrNull(c.Row.UnblockedAt), ExpiresAt: timeOrNull(c.Row.ExpiresAt),
			Note: c.Row.Note, Source: c.Row.Source, Actor: c.Row.Actor,
		}
	}
	return out
}

// roundedUp is an age in milliseconds: the figure is a bound.
func roundedUp(age time.Duration) int64 { return (age + time.Millisecond - 1).Milliseconds() }

// timeOrNull is a time in UTC, null for none.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
