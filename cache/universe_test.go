package cache

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// simServer is a database server: per owner the whole history of its list, and
// the feed in commit order.
type simServer struct {
	lists [2][]List
	log   []Change
}

func (s *simServer) clone() *simServer {
	out := &simServer{log: slices.Clip(slices.Clone(s.log))}
	for i := range s.lists {
		out.lists[i] = slices.Clone(s.lists[i])
	}
	return out
}

// universe is one state of everything. It is cloned at each step.
type universe struct {
	scope *scope
	names *[2]string

	c *Cache
	d *Directory
	s *shard

	servers []*simServer
	primary int
	hidden  int // newest changes of the primary that queries do not see yet

	committed int
	evicted   int
	resets    int
	lost      int
	grown     bool
	locked    bool // an apply stands between its two steps

	poll  pollActor
	loads []loadActor
	sweep loadActor
	audit auditActor

	applied [2]int64 // newest version applied, by owner, in the present epoch
	flights []*flight
}

var explorerMetrics = NewMetrics(prometheus.NewRegistry())

// twoOwners returns two owners of one page who part when the pages double.
func twoOwners() *[2]string {
	var out [2]string
	for i := 0; out[0] == "" || out[1] == ""; i++ {
		name := fmt.Sprintf("owner%d", i)
		h := HashOwner(name, testSalt)
		if h>>(64-shardBits) == 0 {
			out[h>>(63-shardBits)&1] = name
		}
	}
	return &out
}

func identityOf(server int, noticed bool) Identity {
	id := Identity{System: 1, Timeline: 1, Salt: testSalt}
	if noticed {
		id.Timeline += uint32(server)
	}
	return id
}

func newUniverse(sc *scope) *universe {
	u := &universe{scope: sc, names: twoOwners(), servers: []*simServer{{}}, loads: make([]loadActor, sc.loads)}
	u.build()
	u.c.beginEpoch(identityOf(0, sc.noticed), 0)
	// One change is committed and polled before the world begins, so that
	// lists have a version to lose.
	u.commit(0)
	u.committed = 0
	u.poll.position = 1
	return u
}

// build makes the part of a Cache that the steps use, with one directory.
func (u *universe) build() {
	c := &Cache{
		opts:    Options{MaxBytes: 1 << 20, Loader: Whole(u.Load)},
		metrics: explorerMetrics, off: u.scope.off,
	}
	c.acct = newAccountant(c)
	c.keeper = newKeeper(c)
	u.c, u.d = c, &Directory{cache: c, app: "a"}
	c.tenants.Store(&tenants{spaces: []*Directory{u.d}, apps: map[string]*[Kinds]*Directory{"a": {u.d}}})
	u.s = &u.d.shards[0]
	u.s.table.Store(newTable(shardBits))
}

// clone copies a feed, which goes on in every state by itself.
func (f *feed) clone() *feed {
	if f == nil {
		return nil
	}
	n := &feed{epoch: f.epoch, identity: f.identity}
	n.asOf.Store(f.asOf.Load())
	n.older.Store(f.older.Load().clone())
	return n
}

// clone copies the state. Pages and rows never change and are shared.
func (u *universe) clone() *universe {
	n := *u
	n.build()
	n.c.feed.Store(u.c.feed.Load().clone())
	t := u.s.table.Load()
	table := newTable(t.bits)
	for i := range t.slots {
		table.slots[i].Store(t.slots[i].Load())
	}
	n.s.table.Store(table)
	n.servers = make([]*simServer, len(u.servers))
	for i := range u.servers {
		n.servers[i] = u.servers[i].clone()
	}
	n.flights = make([]*flight, len(u.flights))
	for i, f := range u.flights {
		g := *f
		g.dir, g.changes, g.pages = n.d, slices.Clone(f.changes), slices.Clone(f.pages)
		if !isDone(f) {
			g.done = make(chan struct{})
		}
		n.flights[i] = &g
		if slices.Contains(u.s.flights, f) {
			n.s.flights = append(n.s.flights, &g)
		}
	}
	n.loads = slices.Clone(u.loads)
	for i := range n.loads {
		n.loads[i].pages = slices.Clone(u.loads[i].pages) // replay steps them in place
	}
	n.sweep.pages = slices.Clone(u.sweep.pages)
	n.audit = u.audit.clone(&n)
	if n.locked { // the slot of the clone, in the middle of an apply
		h := u.d.hashOf(&u.poll.batch[0])
		n.poll.pending.at = table.at(h)
	}
	return &n
}

func isDone(f *flight) bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// commit adds an entry to an owner's list on the primary.
func (u *universe) commit(owner int) {
	s := u.servers[u.primary]
	var last List
	if n := len(s.lists[owner]); n > 0 {
		last = s.lists[owner][n-1]
	}
	e := Entry{Target: fmt.Sprintf("t%d.%d.%d", u.primary, owner, last.Version)}
	next := List{Owner: u.names[owner], Version: last.Version + 1, Size: last.Size + 1,
		Entries: append(slices.Clip(slices.Clone(last.Entries)), e)}
	next.Digest = ListDigest(false, next.Entries)
	s.lists[owner] = append(s.lists[owner], next)
	s.log = append(s.log, Change{App: "a", Owner: next.Owner, Prev: last.Version, Version: next.Version,
		Size: next.Size, Digest: next.Digest, Op: OpAdd, Entries: []Entry{e}})
	u.committed++
	if u.scope.ahead {
		u.hidden++
	}
}

// visible returns what queries see of an owner's list on the primary.
func (u *universe) visible(owner int) (List, bool) {
	s := u.servers[u.primary]
	n := len(s.lists[owner])
	for _, c := range s.log[len(s.log)-min(u.hidden, len(s.log)):] {
		if c.Owner == u.names[owner] {
			n--
		}
	}
	if n == 0 {
		return List{}, false
	}
	return s.lists[owner][n-1], true
}

// Load is the page read.
func (u *universe) Load(_ context.Context, _ string, _ Kind, r Range) (Loaded, error) {
	out := Loaded{Identity: identityOf(u.primary, u.scope.noticed)}
	for i := range u.names {
		if l, ok := u.visible(i); ok && r.holds(HashOwner(l.Owner, testSalt)) {
			out.Lists = append(out.Lists, l)
		}
	}
	out.Count = len(out.Lists)
	return out, nil
}

// step is something that can happen now.
type step struct {
	name string
	do   func(*universe)
}

// steps lists what can happen next.
func (u *universe) steps() []step {
	var out []step
	add := func(name string, do func(*universe)) { out = append(out, step{name, do}) }
	if u.committed < u.scope.commits {
		add("commit", func(u *universe) { u.commit([]int{0, 1, 0}[u.committed%3]) })
	}
	if u.hidden > 0 {
		add("becomes visible", func(u *universe) { u.hidden-- })
	}
	if u.evicted < u.scope.evictions && u.reachable() {
		add("evict", (*universe).evict)
	}
	if u.scope.failover && u.primary == 0 && u.hidden == 0 {
		add("failover", (*universe).fail)
	}
	if u.scope.grow && !u.grown && !u.locked {
		add("grow", func(u *universe) { u.grown = true; u.s.grow(u.c, shardBits+1) })
	}
	if name, ok := u.poll.enabled(u); ok {
		add(name, func(u *universe) { u.poll.step(u) })
	}
	if u.scope.lossy && u.lost == 0 && u.poll.pc == 1 && len(u.poll.batch) > 0 && !u.locked {
		add("lose a change", func(u *universe) { u.lost++; u.poll.batch = u.poll.batch[1:] })
	}
	for i := range u.loads {
		if name, ok := u.loads[i].enabled(u, false); ok {
			add(name, func(u *universe) { u.loads[i].step(u, false) })
		}
	}
	if name, ok := u.sweep.enabled(u, true); ok {
		add("sweep: "+name, func(u *universe) { u.sweep.step(u, true) })
	}
	if name, ok := u.audit.enabled(u); ok {
		add("sample: "+name, func(u *universe) { u.audit.step(u) })
	}
	return out
}

func (u *universe) reachable() bool {
	t := u.s.table.Load()
	for i := range t.slots {
		if t.slots[i].Load() != nil {
			return true
		}
	}
	return false
}

// evict clears the first page that is reachable, as ristretto's callback does.
func (u *universe) evict() {
	u.evicted++
	t := u.s.table.Load()
	for i := range t.slots {
		if p := t.slots[i].Load(); p != nil {
			u.c.acct.gone(p.key)
			return
		}
	}
}

// fail promotes a standby that never got the newest change.
func (u *universe) fail() {
	next := u.servers[0].clone()
	last := next.log[len(next.log)-1]
	next.log = next.log[:len(next.log)-1]
	i := slices.Index(u.names[:], last.Owner)
	next.lists[i] = next.lists[i][:len(next.lists[i])-1]
	u.servers = append(u.servers, next)
	u.primary = 1
}
