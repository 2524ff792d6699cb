package scaling

import (
	"fmt"

	"github.com/sidegate/sidegate/bench/study"
)

// rule says what a sidecar takes: fixed + lists × a + entries × b bytes.
type rule struct {
	fixed, perList, perEntry float64
}

// ruleOf fits the rule to what was measured: the slope over the lists of one
// length, and how much more longer lists take that are as many.
func ruleOf(small, mid, large, longer point) rule {
	var r rule
	r.perEntry = (longer.bytes - mid.bytes) / (longer.entries - mid.entries)
	together := (large.bytes - small.bytes) / (large.lists - small.lists)
	r.perList = together - r.perEntry*large.entries/large.lists
	r.fixed = small.bytes - small.lists*r.perList - small.entries*r.perEntry
	return r
}

func (r rule) bytes(lists, entries float64) float64 {
	return r.fixed + lists*r.perList + entries*r.perEntry
}

// point is one measured size.
type point struct{ lists, entries, bytes float64 }

func (h *held) point() point {
	return point{float64(h.size.shape.Lists), h.entries(), float64(h.released)}
}

// conclude derives the sizing rule from what was found, if all of it was.
func (l *lab) conclude() {
	all := l.found.held
	if len(all) != len(l.plan.sizes)+1 || len(all[0].http) == 0 {
		return
	}
	if l.env.Quick {
		l.note("No sizing rule: so few lists weigh less than the noise.")
		return
	}
	n := len(l.plan.sizes)
	small, mid, large := &all[0], &all[n/2], &all[n-1]
	r := ruleOf(small.point(), mid.point(), large.point(), all[n].point())
	check := study.Median(large.http)
	l.table(study.Table{
		Title: "Sizing rule, from the figures above",
		Head:  []string{"what", "takes"},
		Cells: [][]string{
			{"a process without lists", mega(r.fixed)},
			{"a list, however long", figure(r.perList) + " bytes"},
			{"an entry", figure(r.perEntry) + " bytes"},
			{"a user without a list", "0 bytes"},
			{"a connection that waits", figure(l.found.perConnection/(1<<10)) + " KiB"},
			{"a check, HTTP, 16 connections, " + large.size.name + " lists", figure(check/1e3) + " µs of CPU"},
			{"a check in process, " + large.size.name + " lists", figure(study.Median(large.inside)) + " ns of CPU"},
			{"a change applied", figure(l.found.perChange/1e3) + " µs of CPU"},
			{"garbage that a start leaves, beside what stays", leftBehind(all)},
		},
	})
	l.table(r.example(l.found, check))
	l.note("By the sizing rule %s lists of %d take %s; %s were measured.", mid.size.name, mid.size.shape.Entries,
		mega(r.bytes(mid.point().lists, mid.point().entries)), mega(float64(mid.released)))
}

const (
	// growth is how much larger cache.max_bytes should be than what is there now:
	// a cache whose plan fills more than nine tenths of it does not load ahead.
	growth = 1.25
	// swing is how much more than what stays a process takes while it starts, and
	// spare what the garbage of a small one takes.
	swing, spare = 1.3, 32 << 20
)

// example works the rule out once, for the documentation.
func (r rule) example(found findings, check float64) study.Table {
	const lists, each, connections, checks, changes = 500_000, 12, 200, 20_000, 100 // however many users
	pages := r.bytes(lists, lists*each) - r.fixed
	resident := r.fixed + pages + connections*found.perConnection
	cores := (checks*check + changes*found.perChange) / 1e9
	return study.Table{
		Title: fmt.Sprintf("Sizing, an example: 2M users, 500k of them with a list of %d, %d connections, %d checks and %d changes a second",
			each, connections, checks, changes),
		Head: []string{"what", "how", "is"},
		Cells: [][]string{
			{"lists in memory", "lists × a + entries × b", mega(pages)},
			{"`cache.max_bytes`", fmt.Sprintf("lists in memory × %v, or more", growth), mega(pages * growth)},
			{"resident", "process + lists in memory + connections", mega(resident)},
			{"limit of the container", fmt.Sprintf("resident × %v + %s", swing, mega(spare)), mega(resident*swing + spare)},
			{"CPU", "checks × CPU of a check + changes × CPU of a change", figure(cores) + " cores"},
		},
	}
}

func mega(bytes float64) string { return figure(bytes/(1<<20)) + " MiB" }

// leftBehind is the most that a start has left resident, as a share of what stays.
func leftBehind(all []held) string {
	most := 0.0
	for i := range all {
		if all[i].released > 64<<20 { // below, what is fixed hides it
			most = max(most, float64(all[i].memory.Peak)/float64(all[i].released)-1)
		}
	}
	return fmt.Sprintf("%.0f %%", 100*most)
}
