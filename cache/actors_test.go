package cache

import (
	"context"
	"slices"
)

type pollActor struct {
	pc       int
	done     int
	position int
	server   int // that position counts on
	batch    []Change
	next     int // position after the batch
	from     int // server that answered
	reset    bool
	pending  swapping
	asOf     Instant // of this poll: its number
}

type loadActor struct {
	pc      int
	tries   int
	flight  int // index + 1
	feed    *feed
	pages   []*page
	floor   [2]int64 // what was applied when the read began
	epoch   uint64   // then
	started bool
	renews  bool // for a sample: whatever is in memory
}

func (p *pollActor) enabled(u *universe) (string, bool) {
	switch p.pc {
	case 0:
		return "poll", p.done < u.scope.polls
	case 1: // judge; with a reset the first step takes no lock
		if p.starts(u) {
			return "begin epoch", true
		}
		return "apply: prepare", !u.locked
	case 2:
		return "pass barrier", !u.locked
	case 3:
		return "apply: swap", true
	}
	return "", false
}

// starts reports whether this answer starts an epoch.
func (p *pollActor) starts(u *universe) bool {
	return p.reset || u.scope.noticed && p.from != p.server
}

func (p *pollActor) step(u *universe) {
	switch p.pc {
	case 0:
		p.query(u)
	case 1:
		if p.starts(u) {
			u.c.beginEpoch(identityOf(p.from, u.scope.noticed), p.asOf)
			u.applied = [2]int64{}
			p.pc = 2
			return
		}
		if len(p.batch) == 0 {
			p.end(u)
			return
		}
		one, _, ok := u.s.prepare(u.d, u.c.epochNow(), []*Change{&p.batch[0]})
		if !ok {
			panic("the poller's epoch ended under its hands")
		}
		p.pending, u.locked, p.pc = one, true, 3
	case 2:
		u.c.passBarrier(u.s, false)
		p.batch, p.reset = nil, false
		p.end(u)
	case 3:
		u.s.swap(u.c, p.pending)
		i := slices.Index(u.names[:], p.batch[0].Owner)
		u.applied[i] = max(u.applied[i], p.batch[0].Version)
		u.locked, p.pending, p.batch, p.pc = false, swapping{}, p.batch[1:], 1
		if len(p.batch) == 0 {
			p.end(u)
		}
	}
}

// query is a poll: what was logged behind the position, on the server that is
// the primary now. After a lost tail the position can lie behind its end.
func (p *pollActor) query(u *universe) {
	log := u.servers[u.primary].log
	p.from, p.next, p.pc = u.primary, len(log), 1
	p.batch = slices.Clone(log[min(p.position, len(log)):])
	if u.scope.reset && u.resets == 0 && p.done == u.scope.polls-1 {
		u.resets, p.reset = 1, true
	}
	p.done++
	p.asOf = Instant(p.done)
}

func (p *pollActor) end(u *universe) {
	u.c.Fresh(p.asOf)
	p.position, p.server, p.pc = max(p.next, 0), p.from, 0
}

// enabled says what a load does next. The sweep reads the page again while it
// is of an older epoch.
func (l *loadActor) enabled(u *universe, sweep bool) (string, bool) {
	switch l.pc {
	case 0:
		if u.locked || l.started && !sweep {
			return "", false
		}
		if sweep {
			return "begin", (l.renews || u.suspect()) && l.tries == 0
		}
		return "load: begin", true
	case 1:
		return "load: look at the epoch", true
	case 2:
		return "load: query", true
	case 3:
		return "load: settle", !u.locked
	case 5:
		return "load: register, too late", !u.locked
	case 4:
		return "load: done waiting", isDone(u.flights[l.flight-1])
	}
	return "", false
}

func (u *universe) suspect() bool {
	t := u.s.table.Load()
	for i := range t.slots {
		if p := t.slots[i].Load(); p != nil && p.epoch != u.c.epochNow() {
			return true
		}
	}
	return false
}

func (l *loadActor) step(u *universe, sweep bool) {
	switch l.pc {
	case 0:
		l.begin(u, sweep)
	case 1:
		l.feed, l.pc = u.c.feed.Load(), 2
	case 2:
		f := u.flights[l.flight-1]
		pages, err := f.query(context.Background(), u.c, l.feed)
		if err != nil {
			l.retry(u)
			return
		}
		l.pages, l.pc = pages, 3
		if u.scope.lateFlight {
			l.pc = 5
		}
	case 5:
		u.s.flights = append(u.s.flights, u.flights[l.flight-1])
		l.pc = 3
	case 3:
		f := u.flights[l.flight-1]
		if err := f.settle(u.c, l.feed.epoch, l.pages); err != nil {
			l.retry(u)
			return
		}
		l.answered(u, f)
	case 4:
		f := u.flights[l.flight-1]
		if f.err == nil {
			l.answered(u, f)
		} else {
			l.pc = 9
		}
	}
}

func (l *loadActor) begin(u *universe, sweep bool) {
	l.started, l.floor, l.epoch = true, u.applied, u.c.epochNow()
	now := u.c.feed.Load()
	var f *flight
	if sweep {
		var busy <-chan struct{}
		if f, busy = u.d.beginRange(u.s, rangeOf(0, shardBits)); busy != nil {
			return // somebody reads it; look again later
		}
	} else {
		page, other, lead := u.d.begin(now, 0, 0, Need{})
		if page != nil {
			l.pc = 9
			return
		}
		f = other
		if !lead {
			l.flight, l.pc = slices.Index(u.flights, f)+1, 4
			return
		}
	}
	if u.scope.lateFlight {
		u.s.flights = slices.DeleteFunc(u.s.flights, func(g *flight) bool { return g == f })
	}
	u.flights = append(u.flights, f)
	l.flight, l.pc = len(u.flights), 1
}

// retry is the end of an attempt: two more, then the flight fails.
func (l *loadActor) retry(u *universe) {
	l.pages = nil
	if l.tries++; l.tries < 2 {
		if u.scope.lateFlight {
			u.s.flights = slices.DeleteFunc(u.s.flights, func(g *flight) bool { return g == u.flights[l.flight-1] })
		}
		l.pc = 1
		return
	}
	f := u.flights[l.flight-1]
	if !slices.Contains(u.s.flights, f) {
		u.s.flights = append(u.s.flights, f)
	}
	f.fail(errBehind)
	l.pc = 9
}

// answered checks what the callers of a load are given.
func (l *loadActor) answered(u *universe, f *flight) {
	l.pc, l.pages = 9, nil
	for _, p := range f.pages {
		if p.epoch == l.epoch {
			u.checkPage(p, l.floor)
		}
	}
}
