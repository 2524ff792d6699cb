package cache

import (
	"fmt"
	"slices"
	"strings"
)

// violation is what a schedule must not lead to.
type violation string

// checkPage panics if a page lacks what had been applied, or holds a content
// that its server never had.
func (u *universe) checkPage(p *page, floor [2]int64) {
	for i, name := range u.names {
		h := HashOwner(name, testSalt)
		if h>>(64-p.bits) != p.key.number() {
			continue
		}
		r := p.find(h, checkOf(name))
		version := p.versionOf(h, checkOf(name))
		if u.scope.failover && !u.scope.noticed {
			continue // a loss that nobody noticed is judged at rest
		}
		if version < floor[i] {
			panic(violation("stale"))
		}
		if r < 0 {
			continue
		}
		lists := u.servers[u.serverOf(p.epoch)].lists[i]
		if version > int64(len(lists)) || !p.equals(r, &lists[version-1]) {
			panic(violation("wrong content"))
		}
	}
}

// equals compares a list entry by entry: the digest of the page is what it was
// told, with a guard off.
func (p *page) equals(r int, l *List) bool {
	prints, _ := p.list(r)
	for _, e := range l.Entries {
		if indexPrint(prints, printOf(e.Target)) < 0 {
			return false
		}
	}
	return len(prints) == len(l.Entries)
}

// serverOf returns the server that the epoch of a page follows.
func (u *universe) serverOf(epoch uint64) int {
	for f := u.c.feed.Load(); f != nil; f = f.older.Load() {
		if f.epoch == epoch {
			return int(f.identity.Timeline - 1)
		}
	}
	panic("a page of an epoch that never was")
}

// check holds after every step: Invariant D4.
func (u *universe) check() {
	t := u.s.table.Load()
	for i := range t.slots {
		if p := t.slots[i].Load(); p != nil && p.epoch == u.c.epochNow() {
			u.checkPage(p, u.applied)
		}
	}
}

// rest lets everything come to an end, in order, and compares memory with the
// database.
func (u *universe) rest() {
	was := u.scope
	u.scope = &scope{polls: u.poll.done + 2, noticed: was.noticed, failover: was.failover, lossy: was.lossy, unheeded: was.unheeded, off: was.off}
	u.hidden = 0
	if u.primary == 1 && !u.scope.noticed && was.audits == 0 {
		// A loss that nobody noticed is found by the owner's next change
		// behind the position; those before it are taken for known.
		for i := range u.names {
			for u.commit(i); len(u.servers[1].log) <= u.poll.position; {
				u.commit(i)
			}
		}
	}
	if u.lost > 0 && was.audits == 0 {
		// The loss of the newest change is invisible to a chain.
		u.scope.reset, u.resets = true, 0
	}
	u.polled()
	u.sweep = loadActor{}
	for _, ok := u.sweep.enabled(u, true); ok; _, ok = u.sweep.enabled(u, true) {
		u.sweep.step(u, true)
	}
	if was.audits > 0 {
		u.sampled()
	}
	t := u.s.table.Load()
	for i := range t.slots {
		p := t.slots[i].Load()
		if p == nil {
			continue
		}
		for o, name := range u.names {
			h := HashOwner(name, testSalt)
			if h>>(64-p.bits) != p.key.number() {
				continue
			}
			lists := u.servers[u.primary].lists[o]
			r := p.find(h, checkOf(name))
			if r < 0 && len(lists) > 0 || r >= 0 && (len(lists) == 0 || !p.equals(r, &lists[len(lists)-1])) {
				panic(violation("wrong at rest"))
			}
		}
	}
}

// polled lets the polls that are left come to their end.
func (u *universe) polled() {
	for _, ok := u.poll.enabled(u); ok; _, ok = u.poll.enabled(u) {
		u.poll.step(u)
	}
}

// key describes the state: two states with one key have the same future.
func (u *universe) key() string {
	var b strings.Builder
	fmt.Fprint(&b, u.primary, u.hidden, u.committed, u.evicted, u.resets, u.lost, u.grown, u.locked, u.applied, u.c.epochNow())
	for _, s := range u.servers {
		fmt.Fprint(&b, "|", len(s.lists[0]), len(s.lists[1]), len(s.log))
		for _, c := range s.log {
			b.WriteByte(c.Owner[len(c.Owner)-1])
		}
	}
	t := u.s.table.Load()
	for i := range t.slots {
		b.WriteByte('/')
		t.slots[i].Load().describe(&b)
	}
	p := &u.poll
	fmt.Fprint(&b, "#", p.pc, p.done, p.position, p.server, len(p.batch), p.next, p.from, p.reset, p.pending.verdict)
	for _, c := range p.batch {
		fmt.Fprint(&b, c.Owner, c.Version, c.Digest)
	}
	p.pending.from.describe(&b)
	p.pending.to.describe(&b)
	for _, l := range append(slices.Clone(u.loads), u.sweep, u.audit.renewal) {
		fmt.Fprint(&b, "@", l.pc, l.tries, l.flight, l.floor, l.epoch, l.started)
		if l.feed != nil && l.pc >= 2 && l.pc < 9 {
			fmt.Fprint(&b, l.feed.epoch)
		}
		for _, p := range l.pages {
			p.describe(&b)
		}
	}
	u.audit.describe(&b)
	fmt.Fprint(&b, p.asOf, u.c.feed.Load().asOf.Load())
	for _, f := range u.flights {
		fmt.Fprint(&b, "~", isDone(f), f.err != nil, slices.Contains(u.s.flights, f))
		if isDone(f) {
			for _, p := range f.pages {
				p.describe(&b)
			}
			continue
		}
		for _, c := range f.changes {
			fmt.Fprint(&b, c.epoch, c.Owner, c.Version, c.Digest)
		}
	}
	return b.String()
}

func (p *page) describe(b *strings.Builder) {
	if p == nil {
		b.WriteByte('-')
		return
	}
	fmt.Fprint(b, "p", p.key, p.epoch)
	for i := range int(p.lists) {
		fmt.Fprint(b, " ", p.data[i], p.version(i), p.digest(i))
	}
}
