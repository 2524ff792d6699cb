package filter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Moment asks whether a target was on a list at an instant.
type Moment struct {
	List   ListID
	Target string
	At     time.Time
}

// past answers in place of memory who was on which list at an instant.
type past struct {
	recollection *recollection
	at           time.Time
}

// recollection is what one request has been told of the past. The rules say
// themselves what they need: they are asked in rounds, what a round lacks is
// read in one go, and a round that lacks nothing has decided.
type recollection struct {
	store EvidenceStore

	mu      sync.Mutex // the checks of a round are decided several at a time
	moments map[Moment]*recalled
	lacking []Moment
}

// recalled is what is known of a moment.
type recalled struct {
	read     bool
	interval Interval // the zero Interval: the target was not on the list
}

func (f *Filter) recollect() *recollection {
	return &recollection{store: f.store, moments: make(map[Moment]*recalled)}
}

// recall is fetch for a check of the past. Policies and exempt users of that
// time are not kept, nor is whether an owner was in allowlist mode: today's
// count.
func (e *evaluation) recall(r *reading, list listName, target string) {
	defer e.record(r, list, target)
	if list.kind == cache.KindBlock && e.room.allowlist {
		if e.look(r, list); r.state != known {
			return
		}
	}
	interval, read := e.past.recollection.of(Moment{
		List: ListID{App: e.check.App, Kind: list.kind, Owner: list.owner}, Target: target, At: e.past.at,
	})
	// What has yet to be read is taken for what lets the message pass, so that
	// every rule that may need a list gets its turn in the first round.
	r.state, r.listed, r.asOf = known, list.kind == cache.KindAllow, listless
	if read {
		r.listed = interval != nil
	}
	if e.rec != nil {
		e.rec.past = interval
	}
}

// of returns the interval that covers a moment, nil for none. If the moment has
// not been read yet, it is noted for the next read.
func (c *recollection) of(m Moment) (interval *Interval, read bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, noted := c.moments[m]
	switch {
	case !noted:
		c.moments[m] = new(recalled)
		c.lacking = append(c.lacking, m)
		return nil, false
	case found.interval.Owner == "":
		return nil, found.read
	}
	return &found.interval, true
}

// complete reads what the round before lacked. It reports whether that was
// nothing: then the round has decided.
func (c *recollection) complete(ctx context.Context) (done bool, err error) {
	if len(c.lacking) == 0 {
		return true, nil
	}
	intervals, err := c.store.Recall(ctx, c.lacking)
	if err != nil {
		return false, fmt.Errorf("read who was on which list: %w", err)
	}
	for i, m := range c.lacking {
		*c.moments[m] = recalled{read: true, interval: intervals[i]}
	}
	c.lacking = c.lacking[:0]
	return false, nil
}
