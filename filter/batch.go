package filter

import "time"

// Batch decides many checks that have nothing to do with each other; decisions,
// which must be as long as checks, receives the answers in their order, each the
// one that [Filter.CanDeliver] would give. Checks whose lists are not in memory
// wait together, as in [Filter.Fanout]. All checks have the API of the first.
// Nothing of the arguments is kept and no goroutine is left when it returns.
func (f *Filter) Batch(checks []Check, decisions []Decision) {
	if len(checks) == 0 {
		return
	}
	begun := time.Now()
	decisions = decisions[:len(checks)]
	e := evaluation{postpone: true, bulk: true}
	var late []int
	var ahead batchAhead
	for i := range checks {
		if i%stride == 0 {
			ahead.look(f, checks[i:min(i+stride, len(checks))])
		}
		if why := e.begin(f, &checks[i], max(ahead.now, e.now)); why != CauseNone {
			decisions[i] = undecided(why)
			continue
		}
		ahead.take(&e, i%stride)
		if d := e.decide(); e.missed {
			late = append(late, i)
		} else {
			decisions[i] = d
		}
	}
	if len(late) > 0 {
		f.batchLate(checks, e.request(), late, decisions)
	}
	var sum tally
	for i := range decisions {
		sum.add(checks[i].RoomType, &decisions[i])
	}
	f.metrics.add(checks[0].API, &sum)
	f.metrics.observe(checks[0].API, time.Since(begun))
}

func (f *Filter) batchLate(checks []Check, r request, late []int, decisions []Decision) {
	f.inTurns(late, func(i int) {
		var e evaluation
		e.resume(f, &checks[i], r)
		decisions[i] = e.decide()
	})
}
