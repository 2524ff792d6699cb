package filter

import (
	"context"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// past answers in place of memory who was on which list at an instant.
type past struct {
	ctx   context.Context // of the one explanation that this belongs to
	store EvidenceStore
	at    time.Time
	err   error // of the last read that failed
}

// recall is fetch for an explanation of the past. Policies and exempt users of
// that time are not kept, nor is whether an owner was in allowlist mode: today's
// count.
func (e *evaluation) recall(r *reading, list listName, target string) {
	defer e.record(r, list, target)
	if list.kind == cache.KindBlock && e.room.allowlist {
		if e.look(r, list); r.state != known {
			return
		}
	}
	interval, ok, err := e.past.interval(ListID{App: e.check.App, Kind: list.kind, Owner: list.owner}, target)
	if err != nil {
		e.past.err = err
		r.state, r.cause = unknowable, CauseNotLoaded
		return
	}
	r.state, r.listed, r.asOf = known, ok, listless
	if e.rec != nil && ok {
		e.rec.past = &interval
	}
}

// interval reads the interval for which a target was on a list at the instant.
func (p *past) interval(list ListID, target string) (interval Interval, ok bool, err error) {
	page, err := p.store.History(p.ctx, HistoryQuery{List: list, Target: target, From: p.at, To: p.at, Limit: 1})
	if err != nil {
		return Interval{}, false, fmt.Errorf("read who was on a list: %w", err)
	}
	if len(page.Intervals) == 0 {
		return Interval{}, false, nil
	}
	return page.Intervals[0], true, nil
}
