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
	n := len(l.plan.sizes)
	small, mid, large := &all[0], &all[n/2], &all[n-1]
	r := ruleOf(small.point(), mid.point(), large.point(), all[n].point())
	check := study.Median(small.http)
	if l.env.Quick {
		l.note("No sizing rule: so few lists weigh less than the noise.")
		return
	}
	l.table(study.Table{
		Title: "Sizing rule, from the rows above",
		Head:  []string{"what", "takes"},
		Cells: [][]string{
			{"a process without lists", figure(r.fixed/(1<<20)) + " MiB"},
			{"a list, however long", figure(r.perList) + " bytes"},
			{"an entry", figure(r.perEntry) + " bytes"},
			{"a user without a list", "0 bytes"},
			{"a connection that waits", figure(l.found.perConnection/(1<<10)) + " KiB"},
			{"a check, HTTP, 16 connections", figure(check/1e3) + " µs of CPU"},
			{"a check in process, " + large.size.name + " lists", figure(study.Median(large.inside)) + " ns of CPU"},
			{"a change applied", figure(l.found.perChange/1e3) + " µs of CPU"},
			{"garbage that a start leaves, beside what stays", leftBehind(all)},
		},
	})
	l.note("Sizing: resident = %s MiB + lists × %s B + entries × %s B + connections × %s KiB. By it %s lists of %d take %s MiB; %s MiB were measured.",
		figure(r.fixed/(1<<20)), figure(r.perList), figure(r.perEntry), figure(l.found.perConnection/(1<<10)),
		mid.size.name, mid.size.shape.Entries, figure(r.bytes(mid.point().lists, mid.point().entries)/(1<<20)), mebi(mid.released))
}

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
