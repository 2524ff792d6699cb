package filter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// sampleEvery is the share of checks that are timed.
const sampleEvery = 64

// outcome is what became of a message, as decisions are counted.
type outcome uint8

const (
	outcomeDeliver outcome = iota
	outcomeSilent
	outcomeReject
	outcomeDrop
	outcomeUnknown
	outcomes
)

var outcomeNames = [outcomes]string{"deliver", "silent", "reject", "drop", "unknown"}

// The modes of failing, by [OnUnknown]: under OnUnknownError nothing is
// decided, so nothing fails open or closed.
var failModes = [...]string{OnUnknownDeliver: "open", OnUnknownWithhold: "closed"}

// Metrics are the counters of this package. All labels come from closed sets:
// no id of anyone is in them. It is safe for concurrent use.
type Metrics struct {
	// The children are resolved once, so that a check adds to a counter and
	// looks nothing up. The slot of the zero RoomType stays empty.
	decisions    [len(apiNames)][Open + 1][outcomes]prometheus.Counter
	failModes    [len(failModes)][Causes]prometheus.Counter
	unknown      [Causes]prometheus.Counter
	durations    [len(apiNames)]prometheus.Observer
	waits        [waits]prometheus.Counter
	limitRefused prometheus.Counter
	mismatches   [outcomes]prometheus.Counter // the slot of a plain delivery stays empty

	askers askers
}

// NewMetrics makes the metrics and registers them; a nil registerer keeps them
// to themselves. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	m := &Metrics{
		limitRefused: factory.NewCounter(prometheus.CounterOpts{
			Name: "sidegate_limit_refused_total",
			Help: "Writes refused because the list would have held more than its app allows. " +
				"A steady rate means that users run into the limit.",
		}),
	}
	m.countDecisions(reg)
	m.countUnknown(factory)
	m.countShadow(reg)
	m.countWaits(factory)
	durations := factory.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sidegate_decision_duration_seconds",
		Help: "Time that a decision took, without HTTP, by door; for fanout and batch that of all decisions of a " +
			"request together. Of single checks one in 64 is timed, so that their count is not the number of " +
			"decisions. A tail in the milliseconds is pages being read from Postgres.",
		Buckets: []float64{
			1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 1e-1,
		},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, []string{"api"})
	for api, name := range apiNames {
		m.durations[api] = durations.WithLabelValues(name)
	}
	return m
}

func (m *Metrics) countDecisions(reg prometheus.Registerer) {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidegate_decisions_total",
		Help: "Decisions by door, room type and outcome: delivered, delivered silently, rejected, dropped, " +
			"or unknown because a list was neither in memory nor loadable. Unknown should stay at zero.",
	}, []string{"api", "room", "outcome"})
	for api, apiName := range apiNames {
		for room := Direct; room <= Open; room++ {
			for o, name := range outcomeNames {
				m.decisions[api][room][o] = decisions.WithLabelValues(apiName, room.String(), name)
			}
		}
	}
	if reg != nil {
		reg.MustRegister(collector{decisions, m})
	}
}

func (m *Metrics) countUnknown(factory promauto.Factory) {
	unknown := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "sidegate_unknown_total",
		Help: "Decisions that needed a list which was unknown, by cause, whatever the app's on_unknown made of " +
			"them. Any rate means that memory does not hold what is asked for and Postgres does not answer.",
	}, []string{"cause"})
	failed := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "sidegate_decision_fail_mode_total",
		Help: "Decisions that on_unknown made in place of an unknown list: open means delivered unchecked, " +
			"closed means withheld unchecked. Alert on open.",
	}, []string{"mode", "cause"})
	for cause := CauseNone + 1; int(cause) < Causes; cause++ {
		m.unknown[cause] = unknown.WithLabelValues(cause.String())
		for policy := OnUnknownDeliver; policy <= OnUnknownWithhold; policy++ {
			m.failModes[policy][cause] = failed.WithLabelValues(failModes[policy], cause.String())
		}
	}
}

// wait is why a decision waited for a list.
type wait uint8

const (
	waitMissing  wait = iota // its page was not in memory
	waitOutdated             // it was from before the hard bound and the last restart of following
	waitAtLeast              // the check asked for a write to be seen
	waits
)

var waitNames = [waits]string{"missing", "outdated", "at_least"}

func (m *Metrics) countWaits(factory promauto.Factory) {
	waited := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "sidegate_list_waits_total",
		Help: "Lists that decisions waited for Postgres for, or were refused to, by why: missing from memory, outdated since " +
			"the feed started over, or asked for with at_least. There is no other why: a list in memory is never waited for.",
	}, []string{"why"})
	for why, name := range waitNames {
		m.waits[why] = waited.WithLabelValues(name)
	}
}

// waited counts a list that is about to be waited for.
func (m *Metrics) waited(inMemory, named bool) {
	switch {
	case named:
		m.waits[waitAtLeast].Inc()
	case inMemory:
		m.waits[waitOutdated].Inc()
	default:
		m.waits[waitMissing].Inc()
	}
}

// count counts one decision.
func (m *Metrics) count(check *Check, d *Decision) {
	if d.Cause != CauseNone {
		m.unknown[d.Cause].Inc()
		if d.Degraded {
			m.failModes[failMode(d)][d.Cause].Inc()
		}
	}
	if d.would != 0 {
		m.mismatches[d.would.outcome()].Inc()
	}
	if check.RoomType < Direct || check.RoomType > Open {
		return // a room type that is none has its cause and no row
	}
	if check.Counts != nil && check.API == APINative {
		check.Counts.native[check.RoomType][outcomeOf(d)].n.Add(1)
		return
	}
	m.decisions[check.API][check.RoomType][outcomeOf(d)].Inc()
}

// tally counts the decisions of one request before they are counted together: a
// counter is shared by all cores, ten thousand additions to it are not free.
type tally struct {
	decisions [Open + 1][outcomes]int
	failModes [len(failModes)][Causes]int
	unknown   [Causes]int
	// Of apps in shadow, by what the decision would have been.
	mismatches [outcomes]int
}

// add is count.
func (t *tally) add(room RoomType, d *Decision) {
	if d.Cause != CauseNone {
		t.unknown[d.Cause]++
		if d.Degraded {
			t.failModes[failMode(d)][d.Cause]++
		}
	}
	if d.would != 0 {
		t.mismatches[d.would.outcome()]++
	}
	if room >= Direct && room <= Open {
		t.decisions[room][outcomeOf(d)]++
	}
}

// add counts what was tallied.
func (m *Metrics) add(api API, t *tally) {
	for room := Direct; room <= Open; room++ {
		addAll(m.decisions[api][room][:], t.decisions[room][:])
	}
	for mode := range t.failModes {
		addAll(m.failModes[mode][:], t.failModes[mode][:])
	}
	addAll(m.unknown[:], t.unknown[:])
	addAll(m.mismatches[:], t.mismatches[:])
}

func addAll(counters []prometheus.Counter, counts []int) {
	for i, n := range counts {
		if n > 0 {
			counters[i].Add(float64(n))
		}
	}
}

// failMode is the mode of a degraded decision. A room that delivers what is
// blocked fails open under withhold too.
func failMode(d *Decision) OnUnknown {
	if d.Deliver && d.Notify {
		return OnUnknownDeliver
	}
	return OnUnknownWithhold
}

func (m *Metrics) observe(api API, took time.Duration) {
	m.durations[api].Observe(took.Seconds())
}

func outcomeOf(d *Decision) outcome {
	switch {
	case d.Unknown():
		return outcomeUnknown
	case d.Deliver && d.Notify:
		return outcomeDeliver
	case d.Deliver:
		return outcomeSilent
	case d.Action == ActionReject:
		return outcomeReject
	}
	return outcomeDrop
}
