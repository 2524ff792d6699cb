package server

import "github.com/sidegate/sidegate/filter"

// space is the working space of a request about many. It is used by one request
// after another, so that none of them allocates by the recipient.
type space struct {
	recipients []string // of a fan-out, or invitees
	messages   []filter.Sent
	questions  []question
	checks     []filter.Check
	decisions  []filter.Decision
}

func (c *checks) space() *space {
	if s, ok := c.spaces.Get().(*space); ok {
		return s
	}
	return new(space)
}

// release gives a space back. What it borrowed from the request ends here
// (Invariant 10).
func (c *checks) release(s *space) {
	clear(s.recipients)
	clear(s.messages)
	clear(s.questions)
	clear(s.checks)
	s.recipients, s.messages = s.recipients[:0], s.messages[:0]
	s.questions, s.checks = s.questions[:0], s.checks[:0]
	c.spaces.Put(s)
}

// answers returns room for n decisions.
func (s *space) answers(n int) []filter.Decision {
	if cap(s.decisions) < n {
		s.decisions = make([]filter.Decision, n)
	}
	return s.decisions[:n]
}

// allUnknown reports whether there is no decision at all, and why. What was
// asked for explicitly comes before all other causes.
func allUnknown(decisions []filter.Decision) (why filter.Cause, all bool) {
	for i := range decisions {
		d := &decisions[i]
		if !d.Unknown() {
			return filter.CauseNone, false
		}
		if why == filter.CauseNone || d.Cause == filter.CauseNotFreshEnough {
			why = d.Cause
		}
	}
	return why, len(decisions) > 0
}
