package cache

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The second explorer: every interleaving of publishing, changing, evicting and
// accounting for two pages of which one fits. Ristretto is a model of what
// v2.4.2 does, step by step; the accountant's steps are the product's own.
//
// What must hold at rest: whatever is reachable is paid for (no leak), and
// whatever is paid for is reachable (no ghost).

// ledgerScope says what happens.
type ledgerScope struct {
	publishes int // pages read again after they went, in all
	changes   int // changes that make a page grow
	refusals  int // times that ristretto may refuse a page it could have taken
	drops     int // times that its queue may be full
	off       guards
}

// modelItem is an entry of ristretto's queue.
type modelItem struct {
	key  pageKey
	cost int64
	op   byte // 'n' new, 'u' update, 'd' delete
}

// modelRistretto implements policy. Its worker is a separate actor.
type modelRistretto struct {
	max    int64
	stored map[pageKey]bool  // the store: what has() and Set look at
	costs  map[pageKey]int64 // the policy: what is paid for
	queue  []modelItem

	// The worker's hands: an item was decided about, the store not yet
	// changed; or the store changed, the callbacks not yet called.
	admit   []pageKey
	victims []pageKey
	calls   []pageKey

	drop bool // the next Set finds the queue full
}

func (m *modelRistretto) touch(pageKey) {}
func (m *modelRistretto) wait()         {}
func (m *modelRistretto) limit(int64)   {}
func (m *modelRistretto) close()        {}

func (m *modelRistretto) set(k pageKey, cost int64) bool {
	if m.stored[k] {
		m.queue = append(m.queue, modelItem{k, cost, 'u'})
		return true
	}
	if m.drop {
		m.drop = false
		return false
	}
	m.queue = append(m.queue, modelItem{k, cost, 'n'})
	return true
}

func (m *modelRistretto) del(k pageKey) {
	delete(m.stored, k)
	m.queue = append(m.queue, modelItem{k, 0, 'd'})
}

func (m *modelRistretto) has(k pageKey) bool { return m.stored[k] }

func (m *modelRistretto) remaining() int64 {
	left := m.max
	for _, c := range m.costs {
		left -= c
	}
	return left
}

func (m *modelRistretto) busy() bool {
	return len(m.queue)+len(m.admit)+len(m.victims)+len(m.calls) > 0
}

// decide is the worker's first step with an item: the policy. refuse: it is not
// let in although it could be.
func (m *modelRistretto) decide(refuse bool) {
	i := m.queue[0]
	m.queue = m.queue[1:]
	switch i.op {
	case 'd':
		delete(m.costs, i.key)
	case 'u':
		if _, ok := m.costs[i.key]; ok {
			m.costs[i.key] = i.cost
		}
	case 'n':
		if _, ok := m.costs[i.key]; ok { // accounted already: cost changes, and it is reported as refused
			m.costs[i.key] = i.cost
			m.calls = append(m.calls, i.key)
			return
		}
		if i.cost > m.max || refuse {
			m.calls = append(m.calls, i.key)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(m.costs)) {
			if m.remaining() >= i.cost {
				break
			}
			delete(m.costs, k)
			m.victims = append(m.victims, k)
		}
		m.costs[i.key] = i.cost
		m.admit = append(m.admit, i.key)
	}
}

// store is its second step, callback its third.
func (m *modelRistretto) store() {
	for _, k := range m.admit {
		m.stored[k] = true
	}
	for _, k := range m.victims {
		delete(m.stored, k)
		m.calls = append(m.calls, k)
	}
	m.admit, m.victims = nil, nil
}

func (m *modelRistretto) clone() *modelRistretto {
	n := *m
	n.stored, n.costs = maps.Clone(m.stored), maps.Clone(m.costs)
	n.queue, n.admit = slices.Clone(m.queue), slices.Clone(m.admit)
	n.victims, n.calls = slices.Clone(m.victims), slices.Clone(m.calls)
	return &n
}

// ledger is one state of the world.
type ledger struct {
	scope *ledgerScope
	u     *universe // for its cache with one shard
	model *modelRistretto
	pages [2]*page // what a page read returns

	published, changed, refused, dropped int

	pending *swapping // an apply between its two steps

	// The accountant between two of its steps.
	pc    int
	keys  []pageKey
	bytes int64
	at    int
	seen  int64 // what bytesAt returned
}

func newLedger(sc *ledgerScope) *ledger {
	u := &universe{scope: &scope{off: sc.off}, names: twoOwners()}
	u.build()
	u.c.beginEpoch(identityOf(0, true), 1)
	u.s.table.Store(newTable(shardBits + 1))
	l := &ledger{scope: sc, u: u, model: &modelRistretto{stored: map[pageKey]bool{}, costs: map[pageKey]int64{}}}
	for i, name := range u.names {
		list := listOf(name, 1, Entry{Target: "x"})
		one, err := prepare(&list, testSalt)
		if err != nil {
			panic(err)
		}
		no := HashOwner(name, testSalt) >> (63 - shardBits)
		like := &page{key: makeKey(0, shardBits+1, no), bits: shardBits + 1, salt: testSalt, epoch: 1}
		if l.pages[i], err = newPage(like, []lines{one}); err != nil {
			panic(err)
		}
	}
	l.model.max = l.pages[0].bytes + ristrettoBytes + 40 // one page, with some growth
	return l
}

func (l *ledger) clone() *ledger {
	n := *l
	n.u = l.u.clone()
	n.u.c.acct.dirty = maps.Clone(l.u.c.acct.dirty)
	n.u.c.acct.pending.Store(l.u.c.acct.pending.Load())
	n.model = l.model.clone()
	n.keys = slices.Clone(l.keys)
	if l.pending != nil {
		p := *l.pending
		p.at = n.u.c.slotOf(p.from.key)
		n.pending = &p
	}
	return &n
}

// steps lists what can happen next.
func (l *ledger) steps() (out []func(*ledger)) {
	add := func(f func(*ledger)) { out = append(out, f) }
	t := l.u.s.table.Load()
	for i, p := range l.pages {
		at := t.at(p.key.firstHash())
		if at.Load() == nil && l.published < l.scope.publishes && l.pending == nil {
			add(func(l *ledger) { l.published++; l.u.s.publish(l.u.c, l.pages[i]) })
		}
		if cur := at.Load(); cur != nil && l.changed < l.scope.changes && l.pending == nil {
			add(func(l *ledger) { l.prepareChange(i) })
		}
	}
	if l.pending != nil {
		add(func(l *ledger) { l.u.s.swap(l.u.c, *l.pending); l.pending = nil })
	}
	if l.dropped < l.scope.drops && !l.model.drop {
		add(func(l *ledger) { l.dropped++; l.model.drop = true })
	}
	out = append(out, l.worker()...)
	if l.accounts() {
		add((*ledger).account)
	}
	return out
}

func (l *ledger) prepareChange(i int) {
	l.changed++
	at := l.u.c.slotOf(l.pages[i].key)
	from := at.Load()
	r := from.lines(0)
	e := Entry{Target: fmt.Sprintf("grown%d", r.version)}
	c := Change{App: "a", Owner: l.u.names[i], Prev: r.version, Version: r.version + 1, Size: len(r.prints) + 1,
		Digest: r.digest ^ EntryDigest(e), Op: OpAdd, Entries: []Entry{e}}
	one, _, _ := l.u.s.prepare(l.u.d, 1, []*Change{&c})
	l.pending = &one
}

// worker is ristretto's goroutine.
func (l *ledger) worker() (out []func(*ledger)) {
	m := l.model
	switch {
	case len(m.calls) > 0:
		out = append(out, func(l *ledger) {
			k := l.model.calls[0]
			l.model.calls = l.model.calls[1:]
			l.u.c.acct.gone(k)
		})
	case len(m.admit)+len(m.victims) > 0:
		out = append(out, func(l *ledger) { l.model.store() })
	case len(m.queue) > 0:
		out = append(out, func(l *ledger) { l.model.decide(false) })
		if m.queue[0].op == 'n' && l.refused < l.scope.refusals {
			out = append(out, func(l *ledger) { l.refused++; l.model.decide(true) })
		}
	}
	return out
}

// accounts reports whether the accountant can take its next step: it waits for
// the worker where the product calls wait.
func (l *ledger) accounts() bool {
	switch l.pc {
	case 0:
		return len(l.u.c.acct.dirty) > 0
	case 3, 6:
		return !l.model.busy()
	}
	return true
}

// account is accountant.settle, step by step.
func (l *ledger) account() {
	a := l.u.c.acct
	switch l.pc {
	case 0:
		l.keys, l.bytes = a.take()
		slices.Sort(l.keys)
		l.at, l.pc = 0, 1
	case 1: // look at the slot
		l.seen, l.pc = l.u.c.bytesAt(l.keys[l.at]), 2
	case 2: // book it
		a.bookAs(l.model, l.keys[l.at], l.seen)
		l.pc = 1
		if l.at++; l.at == len(l.keys) {
			l.at, l.pc = 0, 3
		}
	case 3: // wait
		l.pc = 4
	case 4: // over budget?
		if l.at == len(l.keys) || l.model.remaining() >= 0 {
			a.pending.Add(-l.bytes)
			l.at, l.pc = 0, 7
			return
		}
		l.model.del(l.keys[l.at])
		l.seen, l.pc = l.u.c.bytesAt(l.keys[l.at]), 5
	case 5:
		a.bookAs(l.model, l.keys[l.at], l.seen)
		l.pc = 6
	case 6:
		l.at++
		l.pc = 4
	case 7: // reconcile
		if l.at == len(l.keys) || l.scope.off.has(guardReconcile) {
			l.keys, l.bytes, l.at, l.pc = nil, 0, 0, 0
			return
		}
		a.compare(l.model, l.keys[l.at])
		l.at++
	}
}

// rest is a state in which nothing is left to do.
func (l *ledger) rest() {
	for i, p := range l.pages {
		at := l.u.c.slotOf(p.key)
		reachable := at.Load() != nil
		_, paid := l.model.costs[p.key]
		switch {
		case reachable && !paid:
			panic(violation("leak"))
		case paid && !reachable:
			panic(violation("ghost"))
		case paid != l.model.stored[p.key]:
			panic(violation(fmt.Sprintf("ristretto disagrees with itself about page %d", i)))
		}
	}
	if l.model.remaining() < 0 {
		panic(violation("over budget"))
	}
	if l.u.c.acct.pending.Load() != 0 {
		panic(violation("bytes that nobody will account for"))
	}
}

func (l *ledger) key() string {
	var b strings.Builder
	m := l.model
	fmt.Fprint(&b, l.published, l.changed, l.refused, l.dropped, l.pc, l.keys, l.bytes, l.at, l.seen, m.drop)
	fmt.Fprint(&b, "|", m.stored, m.costs, m.queue, m.admit, m.victims, m.calls)
	fmt.Fprint(&b, "|", l.u.c.acct.dirty, l.u.c.acct.pending.Load())
	for _, p := range l.pages {
		l.u.c.slotOf(p.key).Load().describe(&b)
	}
	if l.pending != nil {
		l.pending.from.describe(&b)
		l.pending.to.describe(&b)
	}
	return b.String()
}

// exploreLedger walks every schedule and counts what goes wrong at rest.
func exploreLedger(t *testing.T, sc ledgerScope) (states int, failures map[violation]int) {
	t.Helper()
	if raceEnabled {
		t.Skip("one goroutine walks all schedules: there is nothing for the race detector to see")
	}
	seen := map[string]bool{}
	failures = map[violation]int{}
	todo := []*ledger{newLedger(&sc)}
	for len(todo) > 0 {
		l := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		k := l.key()
		if seen[k] {
			continue
		}
		seen[k] = true
		steps := l.steps()
		if len(steps) == 0 {
			func() {
				defer func() {
					if v, ok := recover().(violation); ok {
						failures[v]++
					}
				}()
				l.rest()
			}()
		}
		for _, step := range steps {
			next := l.clone()
			step(next)
			todo = append(todo, next)
		}
	}
	return len(seen), failures
}

func TestEveryAccount(t *testing.T) {
	for name, sc := range map[string]ledgerScope{
		"publish and evict":   {publishes: 6},
		"a page grows":        {publishes: 4, changes: 3},
		"a page is refused":   {publishes: 5, refusals: 1},
		"a Set is dropped":    {publishes: 5, drops: 1},
		"all of it, a little": {publishes: 4, changes: 2, refusals: 1, drops: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			states, failures := exploreLedger(t, sc)
			t.Logf("%d states", states)
			for v, n := range failures {
				t.Errorf("%s at rest, in %d states", v, n)
			}
		})
	}
	t.Run("without reconcile", func(t *testing.T) {
		t.Parallel()
		states, failures := exploreLedger(t, ledgerScope{publishes: 4, changes: 2, refusals: 1, off: guardReconcile})
		t.Logf("%d states: %v", states, failures)
		if failures["ghost"] == 0 {
			t.Error("no ghost although nothing is reconciled: is it needed?")
		}
	})
}
