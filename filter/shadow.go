package filter

import "github.com/prometheus/client_golang/prometheus"

// An app whose policy is in shadow is asked like any other and obeyed by nobody:
// every rule has its turn, every list is read, and what comes out is kept beside
// an answer that delivers. So whoever tries sidegate beside what they have learns
// what it would do before it does anything, and an unknown list, which elsewhere
// may be an error, stops no message either.
//
// Only a decision that changes what becomes of the message is another: one that
// delivers and notifies is answered as it is.

// would is a decision that was not obeyed, in one byte: a decision is copied often,
// and has room for no more. An outcome and a reason say everything about it. The
// zero would is none, since a plain delivery never becomes one.
type would uint8

// wouldReason is the part of would that holds the reason.
const wouldReason = 1<<4 - 1

func wouldOf(d *Decision) would { return would(outcomeOf(d))<<4 | would(d.Reason) }

func (w would) outcome() outcome { return outcome(w >> 4) }

func (w would) reason() Reason { return Reason(w & wouldReason) }

// shadowed is what an app in shadow answers in place of a decision. The cause stays:
// that a list was unknown is true whoever obeys.
func (d Decision) shadowed() Decision {
	if outcomeOf(&d) == outcomeDeliver {
		return d
	}
	return Decision{
		Deliver: true, Notify: true, Reason: ReasonAllowed,
		Cause: d.Cause, Stale: d.Stale, would: wouldOf(&d),
	}
}

// Would returns the decision that an app in shadow came to and did not answer with.
// differs is false if there is none: the app enforces its policy, or the policy
// delivers the message in any case; d is returned then.
func (d Decision) Would() (w Decision, differs bool) {
	if d.would == 0 { // nearly always, and this much is inlined
		return d, false
	}
	return d.unpacked(), true
}

func (d Decision) unpacked() Decision {
	w := Decision{Reason: d.would.reason(), Cause: d.Cause, Stale: d.Stale}
	switch d.would.outcome() {
	case outcomeSilent:
		w.Deliver = true
	case outcomeDrop:
		w.Action = ActionDrop
	case outcomeReject, outcomeUnknown:
		w.Action = ActionReject
	}
	w.Degraded = w.Reason == ReasonUnknown && d.would.outcome() != outcomeUnknown
	return w
}

// Enforces reports whether what is decided in an app counts: it is configured, and
// not in shadow.
func (f *Filter) Enforces(app string) bool {
	a := f.apps[app]
	return a != nil && !a.shadow
}

// countShadow makes the counters of what was not obeyed. What is counted was
// delivered, so its direction is what it would have become.
func (m *Metrics) countShadow(reg prometheus.Registerer) {
	mismatches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidegate_shadow_mismatches_total",
		Help: "Decisions of apps with enforce: false that delivered where the policy would not have, by what it " +
			"would have done: silent (deliver without notification), reject, drop, or unknown (no answer, because " +
			"a list was neither in memory nor loadable). Compare its rate with what you expect before you enforce.",
	}, []string{"direction"})
	for o := outcomeSilent; o < outcomes; o++ {
		m.mismatches[o] = mismatches.WithLabelValues(outcomeNames[o])
	}
	if reg != nil {
		reg.MustRegister(mismatches)
	}
}
