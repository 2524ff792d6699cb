package server

import (
	"testing"

	"github.com/sidegate/sidegate/filter"
)

// TestReleasedSpaceHoldsNothing: what was borrowed from one request is out of
// reach of the next, however short that is.
func TestReleasedSpaceHoldsNothing(t *testing.T) {
	var c checks
	s := c.space()
	s.recipients = append(s.recipients, "bob", "carol")
	s.questions = append(s.questions, question{given: 1})
	s.checks = append(s.checks, filter.Check{Sender: "alice"})
	c.release(s)
	if len(s.recipients)+len(s.questions)+len(s.checks) != 0 {
		t.Errorf("%+v is not empty", s)
	}
	if s.recipients[:2][0] != "" || s.recipients[:2][1] != "" || s.questions[:1][0].given != 0 || s.checks[:1][0] != (filter.Check{}) {
		t.Errorf("%+v holds what was borrowed", s)
	}
}

// TestAllUnknown: one decision is enough for an answer, and of the causes the one
// that was asked for is told.
func TestAllUnknown(t *testing.T) {
	unknown := func(why filter.Cause) filter.Decision {
		return filter.Decision{Reason: filter.ReasonUnknown, Cause: why}
	}
	known := filter.Decision{Deliver: true, Reason: filter.ReasonAllowed}
	degraded := filter.Decision{Reason: filter.ReasonUnknown, Degraded: true, Cause: filter.CauseStale}
	for _, c := range []struct {
		decisions []filter.Decision
		why       filter.Cause
		all       bool
	}{
		{nil, filter.CauseNone, false},
		{[]filter.Decision{known}, filter.CauseNone, false},
		{[]filter.Decision{unknown(filter.CauseStale), known}, filter.CauseNone, false},
		{[]filter.Decision{unknown(filter.CauseStale), degraded}, filter.CauseNone, false},
		{[]filter.Decision{unknown(filter.CauseStale), unknown(filter.CauseNotLoaded)}, filter.CauseStale, true},
		{[]filter.Decision{unknown(filter.CauseStale), unknown(filter.CauseNotFreshEnough), unknown(filter.CauseStale)}, filter.CauseNotFreshEnough, true},
	} {
		if why, all := allUnknown(c.decisions); why != c.why || all != c.all {
			t.Errorf("%+v: %v, %v", c.decisions, why, all)
		}
	}
}
