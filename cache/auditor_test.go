package cache

import (
	"context"
	"fmt"
	"strings"
)

// auditActor takes a sample of the first page of the universe.
type auditActor struct {
	pc      int
	done    int
	sample  *Sample
	feed    *feed
	renewal loadActor
}

func (a *auditActor) enabled(u *universe) (string, bool) {
	switch a.pc {
	case 0:
		return "look", a.done < u.scope.audits && u.current() != nil
	case 1:
		return "read", true
	case 2:
		_, done := a.sample.Judge()
		return "judge", done
	case 3:
		name, ok := a.renewal.enabled(u, true)
		return "renew: " + name, ok
	}
	return "", false
}

// current returns the first page of the present epoch.
func (u *universe) current() *page {
	t := u.s.table.Load()
	for i := range t.slots {
		if p := t.slots[i].Load(); p != nil && p.epoch == u.c.epochNow() {
			return p
		}
	}
	return nil
}

func (a *auditActor) step(u *universe) {
	switch a.pc {
	case 0:
		a.feed = u.c.feed.Load()
		a.sample = u.d.sampleOf(u.current())
		a.done++
		a.pc = 1
	case 1:
		a.pc = 2
		if a.sample.compareWith(context.Background(), a.feed) != nil {
			a.pc = 0 // another server
		}
		// A poll that begins from now on has passed the read.
		a.sample.ended = Instant(u.poll.done) + 1
	case 2:
		v, _ := a.sample.Judge()
		a.pc = 0
		if !v.Right() && !u.damaged() {
			panic(violation("false alarm"))
		}
		if !v.Right() && !u.scope.unheeded {
			a.renewal, a.pc = loadActor{renews: true}, 3
		}
	case 3:
		a.renewal.step(u, true)
		if a.renewal.pc == 9 {
			a.pc = 0
		}
	}
}

// damaged reports whether something happened that nothing but a sample shows.
func (u *universe) damaged() bool {
	return u.lost > 0 || u.scope.failover && !u.scope.noticed && u.primary == 1
}

// clone copies the actor into another state.
func (a *auditActor) clone(n *universe) auditActor {
	c := *a
	if c.sample != nil {
		s := *c.sample
		s.dir, s.shard = n.d, n.s
		c.sample = &s
	}
	c.renewal.pages = append([]*page(nil), a.renewal.pages...)
	return c
}

// sampled takes samples at rest: one of each page, and a poll behind it.
func (u *universe) sampled() {
	for a := (auditActor{}); a.pc != 0 || a.done == 0 && u.current() != nil; a.step(u) {
		u.scope.audits = 1
		if a.pc == 2 {
			u.scope.polls = u.poll.done + 1
			u.polled()
		}
	}
}

func (a *auditActor) describe(b *strings.Builder) {
	fmt.Fprint(b, "^", a.pc, a.done)
	if a.sample == nil || a.pc == 0 {
		return
	}
	fmt.Fprint(b, a.sample.epoch, a.sample.ended, a.feed.epoch)
	a.sample.before.describe(b)
	a.sample.read.describe(b)
}
