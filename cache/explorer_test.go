package cache

import (
	"math/big"
	"slices"
	"strings"
	"testing"
)

// The explorer walks every interleaving of the protocol's atomic steps for one
// page, two owners and a handful of events, and checks after each step what must
// always hold, and at the end of each schedule that memory equals the database.
// The steps are the product's own functions: begin, query, settle, prepare,
// swap, beginEpoch, passBarrier, grow. What the explorer adds is the order.
//
// States that were seen before are not walked again, so the spaces are finite
// and are exhausted; the number of schedules is that of the paths through them.

// scope says what happens in one exploration.
type scope struct {
	name       string
	commits    int  // changes, dealt to the two owners in turn, the first twice
	polls      int  // polls before the last one, which follows when all is quiet
	loads      int  // reads of the page
	evictions  int  // times that ristretto may clear the slot
	failover   bool // to a server that has lost the newest change
	noticed    bool // …with another identity
	reset      bool // following may start over once for no visible reason
	grow       bool // the number of pages may double once
	lossy      bool // the feed may lose one change
	ahead      bool // the feed delivers a change before queries can see it
	lateFlight bool // a guard that is an order: the load registers after its query
	audits     int  // samples of the page; with one, damage is found by samples alone at rest
	unheeded   bool // …and nobody heeds what they find
	off        guards
}

// exploration is the result of walking a scope.
type exploration struct {
	states    int
	schedules *big.Int
	failures  map[violation]int
	example   map[violation][]string
}

// explore walks every schedule of a scope.
func explore(t *testing.T, sc scope) exploration {
	t.Helper()
	if raceEnabled {
		t.Skip("one goroutine walks all schedules: there is nothing for the race detector to see")
	}
	x := &walker{paths: make(map[string]*big.Int), out: exploration{
		failures: make(map[violation]int), example: make(map[violation][]string),
	}}
	x.out.schedules = x.walk(newUniverse(&sc), nil)
	x.out.states = len(x.paths)
	return x.out
}

type walker struct {
	paths map[string]*big.Int // schedules from a state on
	out   exploration
}

// walk returns the number of schedules from this state on.
func (x *walker) walk(u *universe, trace []string) *big.Int {
	key := u.key()
	if n, seen := x.paths[key]; seen {
		return n
	}
	total := new(big.Int)
	x.paths[key] = total
	steps := u.steps()
	if len(steps) == 0 {
		x.try(append(trace, "rest"), func() { u.clone().rest() })
		return total.SetInt64(1)
	}
	for _, s := range steps {
		next := u.clone()
		path := append(slices.Clip(trace), s.name)
		if x.try(path, func() { s.do(next); next.check() }) {
			total.Add(total, x.walk(next, path))
		}
	}
	return total
}

// try runs something that may violate what must hold; false means it did.
func (x *walker) try(trace []string, do func()) (ok bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case violation:
			ok = false
			if x.out.failures[r]++; x.out.failures[r] == 1 {
				x.out.example[r] = slices.Clone(trace)
			}
		default:
			panic(r)
		}
	}()
	do()
	return true
}

// The scopes: small worlds that each hold one kind of trouble.
var (
	scopeFeed     = scope{name: "loads, changes, eviction", commits: 3, polls: 2, loads: 2, evictions: 1, noticed: true}
	scopeGrow     = scope{name: "the pages double", commits: 2, polls: 2, loads: 2, evictions: 1, grow: true, noticed: true}
	scopeReset    = scope{name: "following starts over", commits: 2, polls: 2, loads: 2, evictions: 1, reset: true, noticed: true}
	scopeFailover = scope{name: "failover with a lost tail", commits: 3, polls: 2, loads: 2, failover: true, noticed: true}
	scopeUnseen   = scope{name: "a lost tail that nobody noticed", commits: 3, polls: 2, loads: 2, failover: true}
	scopeLossy    = scope{name: "a feed that loses a change", commits: 3, polls: 2, loads: 1, evictions: 1, lossy: true, noticed: true}
	scopeAudit    = scope{name: "a sample, loads, changes, eviction", commits: 2, polls: 2, loads: 1, evictions: 1, noticed: true, audits: 1}
	scopeAuditNew = scope{name: "a sample while following starts over", commits: 2, polls: 2, loads: 1, reset: true, noticed: true, audits: 1}
	scopeAuditFar = scope{name: "a sample and a failover with a lost tail", commits: 1, polls: 2, loads: 1, failover: true, noticed: true, audits: 1}
	scopeAuditLos = scope{name: "a sample finds a lost change", commits: 2, polls: 2, loads: 1, lossy: true, noticed: true, audits: 1}
	scopeAuditUns = scope{name: "a sample finds a lost tail that nobody noticed", commits: 2, polls: 2, loads: 1, failover: true, audits: 1}
	scopeAhead    = scope{name: "a feed ahead of visibility", commits: 2, polls: 2, loads: 2, evictions: 1, ahead: true, noticed: true}
)

// unlooked is a scope in which samples are taken and not heeded.
func unlooked(sc scope) scope {
	sc.unheeded = true
	return sc
}

// TestEverySchedule exhausts each scope with all guards on.
func TestEverySchedule(t *testing.T) {
	for _, sc := range []scope{scopeFeed, scopeGrow, scopeReset, scopeFailover, scopeUnseen, scopeLossy,
		scopeAudit, scopeAuditNew, scopeAuditFar, scopeAuditLos, scopeAuditUns} {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			x := explore(t, sc)
			t.Logf("%d states, %v schedules", x.states, x.schedules)
			for v, n := range x.failures {
				t.Errorf("%s, %d times, for example after:\n  %s", v, n, strings.Join(x.example[v], "\n  "))
			}
		})
	}
}

// TestEveryGuardIsNeeded switches the guards off, one at a time and where one
// stands in for another, together. Each row says what then goes wrong.
func TestEveryGuardIsNeeded(t *testing.T) {
	late := scopeFeed
	late.lateFlight = true
	for _, row := range []struct {
		guard string
		scope scope
		off   guards
		want  []violation // none: nothing goes wrong, and why says by whose doing
		why   string
	}{
		{"a load registers before its query", late, 0, []violation{"stale"}, ""},
		{"changes are replayed over the rows", scopeFeed, guardReplay, []violation{"stale"}, ""},
		{"a change that does not fit fails the load", scopeLossy, guardNewest, []violation{"stale"}, ""},
		{"the epoch is compared after the query", scopeFailover, guardEpoch, []violation{"wrong content"}, ""},
		{"rows of another server are refused", scopeFailover, guardIdentity, []violation{"wrong content"}, ""},
		{"changes of another epoch are not replayed", scopeFailover, guardEpochTag, []violation{"wrong content"}, ""},
		{"a gap kills the page", scopeLossy, guardGap, nil, "the digest finds it"},
		{"a gap kills the page, without the digest", scopeLossy, guardGap | guardDigest, []violation{"wrong content"}, ""},
		{"the digest", scopeUnseen, guardDigest | guardEqualDigest, []violation{"wrong at rest"}, ""},
		{"equal versions are compared", scopeUnseen, guardEqualDigest, []violation{"wrong at rest"}, ""},
		{"the digest, when the failover is noticed", scopeFailover, guardDigest | guardEqualDigest, nil, "identity and epoch do the work"},
		{"a sample waits until the feed has passed its read", scopeAudit, guardPassed, []violation{"false alarm"}, ""},
		{"a sample judges only what stood still", scopeAudit, guardStill, []violation{"false alarm"}, ""},
		{"a sample, when a change was lost", unlooked(scopeAuditLos), 0, []violation{"wrong at rest"}, ""},
		{"a sample, when a lost tail is not noticed", unlooked(scopeAuditUns), 0, []violation{"wrong at rest"}, ""},
		{"the feed is not ahead of visibility", scopeAhead, 0, []violation{"stale"}, ""},
	} {
		t.Run(row.guard, func(t *testing.T) {
			t.Parallel()
			row.scope.off = row.off
			x := explore(t, row.scope)
			t.Logf("off: %v in %d states, %v schedules %s", x.failures, x.states, x.schedules, row.why)
			for _, want := range row.want {
				if x.failures[want] == 0 {
					t.Errorf("without it, nothing is %s: is it needed?", want)
				}
			}
			if len(row.want) == 0 && len(x.failures) > 0 {
				t.Errorf("it is needed after all")
			}
		})
	}
}
