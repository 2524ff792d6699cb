package scaling

import (
	"fmt"

	"github.com/sidegate/sidegate/bench/study"
)

// computed says where the data of a chart came from.
const computed = "Lists are computed by a generator behind the loader and the feed; no Postgres takes part."

func (l *lab) sizeCharts(sizes []held) {
	http, inside := study.Line{Name: "HTTP, 16 connections"}, study.Line{Name: "in process"}
	after, released := study.Line{Name: "as the start leaves it"}, study.Line{Name: "its garbage given back"}
	wall, cpu := study.Line{Name: "wall"}, study.Line{Name: "CPU"}
	for i := range sizes {
		h := &sizes[i]
		n := float64(h.size.shape.Lists)
		http.Points = append(http.Points, [2]float64{n, study.Median(h.http)})
		inside.Points = append(inside.Points, [2]float64{n, study.Median(h.inside)})
		after.Points = append(after.Points, [2]float64{h.entries(), float64(h.memory.Resident) / (1 << 20)})
		released.Points = append(released.Points, [2]float64{h.entries(), float64(h.released) / (1 << 20)})
		wall.Points = append(wall.Points, [2]float64{n, study.Median(h.startWall())})
		cpu.Points = append(cpu.Points, [2]float64{n, study.Median(h.startCPU())})
	}
	l.chart(study.Chart{
		ID: "scaling-cpu-lists", Title: "CPU of a check against lists",
		Note: "Random pairs. Over HTTP most of it is the kernel's and fasthttp's, which do not know how many lists there are; " +
			"what grows is the wait for memory: with more lists each question meets memory that no cache of the CPU holds. " + computed,
		X:     study.Axis{Name: fmt.Sprintf("lists of %d entries", perList), Log: true},
		Y:     study.Axis{Name: "CPU a check, ns", Log: true},
		Lines: []study.Line{http, inside},
	})
	l.chart(study.Chart{
		ID: "scaling-memory", Title: "Resident memory against entries",
		Note: fmt.Sprintf("Lists of %d, so that what a list costs weighs as much as what its entries do. The start leaves garbage behind, "+
			"which the runtime gives back by and by. The index of the generator, shared memory, is not counted. ", perList) + computed,
		X:     study.Axis{Name: "entries", Log: true},
		Y:     study.Axis{Name: "resident, MiB", Log: true},
		Lines: []study.Line{after, released},
	})
	l.chart(study.Chart{
		ID: "scaling-start", Title: "Start-up against lists",
		Note: "Until everything is in memory; checks are answered before that. Limited by building pages. The time includes that of the " +
			"generator, which computes each list. " + computed,
		X:     study.Axis{Name: fmt.Sprintf("lists of %d entries", perList), Log: true},
		Y:     study.Axis{Name: "seconds", Log: true},
		Lines: []study.Line{wall, cpu},
	})
}

func connectionChart(cpu study.Line) study.Chart {
	return study.Chart{
		ID: "scaling-connections", Title: "CPU of a check against connections",
		Note: "Each connection asks again as soon as it has its answer. A lone one pays for a wake-up each time; a few share it; of many, " +
			"what belongs to each (its socket, its buffers, its stack) no longer fits into the CPU's caches. Client and sidecar share " +
			"the machine's cores. " + computed,
		X:     study.Axis{Name: "connections", Log: true},
		Y:     study.Axis{Name: "server CPU a check, µs"},
		Lines: []study.Line{cpu},
	}
}

func changeChart(cpu study.Line) study.Chart {
	return study.Chart{
		ID: "scaling-changes", Title: "CPU of a check against changes",
		Note: "The sidecar's whole CPU over the checks that it answered: what changes cost is in it, and so is what the generator pays " +
			"to make them. Each change copies its page. " + computed,
		X:     study.Axis{Name: "changes a second"},
		Y:     study.Axis{Name: "server CPU a check, µs"},
		Lines: []study.Line{cpu},
	}
}

func coreChart(bars []study.Bar) study.Chart {
	return study.Chart{
		ID: "scaling-cores", Title: "Checks a second on one core and on two",
		Note: "Over HTTP, by 16 connections, the client needs cores too: on a machine with two of them, two for the sidecar are two " +
			"shared with its client. In process, a goroutine a core, nothing is shared but memory itself. " + computed,
		X:    study.Axis{Name: "cores of the sidecar"},
		Y:    study.Axis{Name: "checks a second", Log: true},
		Bars: bars,
	}
}
