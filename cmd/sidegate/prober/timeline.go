package prober

import "time"

// timeline is the writes to one entry, which is put on its list by the first, taken
// off by the second and so on. A place is a number of writes: at place 0 nothing was
// written, at odd places the entry is listed.
type timeline struct {
	writes []write // the newest at the end
	before int     // how many older ones are not kept any more
}

// write is one write whose outcome is known, or will be.
type write struct {
	begin, ack time.Duration
	acked      bool
	revision   string
}

// keptWrites is how many writes of an entry are kept: beyond them an answer that
// admits to be that old is believed.
const keptWrites = 64

func listed(place int) bool { return place%2 == 1 }

// newest is the place of the last write, acknowledged or not.
func (t *timeline) newest() int { return t.before + len(t.writes) }

// acked is the place of the last write that was acknowledged.
func (t *timeline) acked() int {
	if n := len(t.writes); n > 0 && !t.writes[n-1].acked {
		return t.newest() - 1
	}
	return t.newest()
}

// at returns the write that leads to a place, nil if it is not kept.
func (t *timeline) at(place int) *write {
	if i := place - t.before - 1; i >= 0 && i < len(t.writes) {
		return &t.writes[i]
	}
	return nil
}

// begin adds a write that is about to be sent.
func (t *timeline) begin(now time.Duration) {
	if len(t.writes) == keptWrites {
		t.writes = append(t.writes[:0], t.writes[1:]...)
		t.before++
	}
	t.writes = append(t.writes, write{begin: now})
}

// done says that the last write was acknowledged.
func (t *timeline) done(now time.Duration, revision string) {
	w := &t.writes[len(t.writes)-1]
	w.ack, w.acked, w.revision = now, true, revision
}

// undo says that the last write was not done: nothing was stored.
func (t *timeline) undo() { t.writes = t.writes[:len(t.writes)-1] }

// ackedBy returns the place of the newest write that was acknowledged before a
// moment, 0 if that one is not kept.
func (t *timeline) ackedBy(moment time.Duration) int {
	for place := t.newest(); place > t.before; place-- {
		if w := t.at(place); w.acked && w.ack < moment {
			return place
		}
	}
	return 0
}

// begunBy returns the place of the newest write that had begun at a moment.
func (t *timeline) begunBy(moment time.Duration) int {
	for place := t.newest(); place > t.before; place-- {
		if t.at(place).begin <= moment {
			return place
		}
	}
	return t.before
}

// answer is what a target said of an entry.
type answer struct {
	begin, end time.Duration // of the read
	listed     bool
	age        time.Duration // an upper bound, by the target's own word
	atLeast    int           // the place whose revision the question carried; 0 = none
}

// judge returns the earliest place that an answer can be of, or the rule that it
// breaks; "" is none. floor is the latest place that the target has shown to a
// read that had ended when this one began. The earliest place leaves the most room
// for what comes later: if it leads to an accusation, any other would.
func (t *timeline) judge(a answer, floor int) (place int, broken Kind) {
	last := t.begunBy(a.end)
	oldest := t.ackedBy(a.begin - a.age)
	for _, rule := range []struct {
		from int
		kind Kind
	}{{oldest, TooOld}, {max(oldest, a.atLeast), AtLeast}, {max(oldest, a.atLeast, floor), FellBack}} {
		place = rule.from
		if listed(place) != a.listed {
			place++
		}
		if place > last {
			return place, rule.kind
		}
	}
	return place, ""
}
