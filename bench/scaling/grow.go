package scaling

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/study"
)

// held is what it takes to hold a size.
type held struct {
	size     size
	started  []startup
	memory   memory    // as the start leaves it
	released int64     // resident once the start's garbage has been given back
	pages    int64     // what the cache itself says its pages weigh
	http     []float64 // ns of CPU a check, a round each
	rates    []float64
	inside   []float64
}

func (h *held) entries() float64 { return float64(h.size.shape.Lists * h.size.shape.Entries) }

func (h *held) startCPU() (each []float64) {
	for _, s := range h.started {
		each = append(each, s.CPU.Seconds())
	}
	return each
}

func (h *held) startWall() (each []float64) {
	for _, s := range h.started {
		each = append(each, s.Wall.Seconds())
	}
	return each
}

// grow measures the sizes beside each other.
func (l *lab) grow(ctx context.Context) error {
	var all []*process
	defer func() {
		for _, p := range all {
			p.stop()
		}
	}()
	for _, s := range append(l.plan.sizes[:len(l.plan.sizes):len(l.plan.sizes)], l.plan.longer) {
		h, p, err := l.hold(ctx, s)
		if err != nil {
			return err
		}
		all = append(all, p)
		l.found.held = append(l.found.held, h)
	}
	last := len(all) - 1
	all[last].stop() // the longer lists are there for their memory
	all = all[:last]
	if err := l.connectionBytes(ctx, all[0]); err != nil {
		return err
	}
	var contestants []load.Contestant
	for i, p := range all {
		requests := requestsFor(p.setup.Shape, l.plan.requests)
		contestants = append(contestants, p.contestant(l.plan.sizes[i].name, callers, requests))
	}
	results, err := l.turns(ctx, contestants...)
	if err != nil {
		return err
	}
	for i := range all {
		h := &l.found.held[i]
		h.http = load.Of(results[h.size.name], load.Round.CPUPerOperation)
		h.rates = load.Of(results[h.size.name], load.Round.Rate)
	}
	for range l.plan.rounds {
		for i, p := range all {
			got, err := p.inside(ctx, 1, l.plan.shortEach)
			if err != nil {
				return err
			}
			l.found.held[i].inside = append(l.found.held[i].inside, got.perCheck())
		}
	}
	l.tellSizes(l.found.held[:last], l.found.held[last])
	return nil
}

// hold starts a sidecar of a size, as often as the plan says, and keeps the last.
func (l *lab) hold(ctx context.Context, s size) (h held, p *process, err error) {
	h.size = s
	for range l.plan.starts {
		if p != nil {
			p.stop()
		}
		if p, err = startProcess(ctx, setup{Shape: s.shape, MaxBytes: budget(s.shape)}, 0); err != nil {
			return h, nil, fmt.Errorf("%s lists: %w", s.name, err)
		}
		h.started = append(h.started, p.start)
	}
	l.env.Log("  %s lists of %d are in memory after %v, %v of CPU", s.name, s.shape.Entries, p.start.Wall, p.start.CPU)
	h.memory, h.released, h.pages, err = p.weigh(ctx)
	if err != nil {
		p.stop()
		return h, nil, err
	}
	return h, p, nil
}

// weigh returns what the start has left resident, and what remains of it when the
// garbage is given back.
func (p *process) weigh(ctx context.Context) (before memory, released, pages int64, err error) {
	if before, err = memoryOf(p.PID()); err != nil {
		return before, 0, 0, err
	}
	if err = p.ask(ctx, "/release", nil, &struct{}{}); err != nil {
		return before, 0, 0, err
	}
	var now state
	if err = p.call(ctx, http.MethodGet, "/state", nil, &now); err != nil {
		return before, 0, 0, err
	}
	after, err := memoryOf(p.PID())
	if lists := int64(p.setup.Shape.Lists); err == nil && now.Stats.Lists != lists {
		err = fmt.Errorf("%d of %d lists are in memory", now.Stats.Lists, lists)
	}
	return before, after.Resident, now.Stats.Bytes, err
}

// tellSizes says what was found about sizes.
func (l *lab) tellSizes(sizes []held, longer held) {
	small, large := &sizes[0], &sizes[len(sizes)-1]
	mid := &sizes[len(sizes)/2]
	names := fmt.Sprintf("%s lists of %d beside %s", large.size.name, perList, small.size.name)
	l.row(study.Row{
		ID: "growth-cpu", Unit: "×", AtMost: study.AtMost(1.3),
		What: "server CPU per HTTP check, " + names + ", from a generator",
	}.Ratio(study.Side{Name: large.size.name, Unit: "ns", Values: large.http}, study.Side{Name: small.size.name, Unit: "ns", Values: small.http}))
	l.row(study.Row{
		ID: "growth-cpu-inside", Unit: "×",
		What: "CPU of a check in process, random pairs, " + names + ", from a generator",
	}.Ratio(study.Side{Name: large.size.name, Unit: "ns", Values: large.inside}, study.Side{Name: small.size.name, Unit: "ns", Values: small.inside}))
	between := fmt.Sprintf("%s lists of %d beside %s, from a generator", large.size.name, perList, mid.size.name)
	l.row(study.Row{
		ID: "growth-memory", Unit: "×", AtMost: study.AtMost(1.1), What: "resident bytes an entry, " + between,
	}.Ratio(bytesEach(large), bytesEach(mid)))
	l.row(study.Row{
		ID: "growth-start-generated", Unit: "×", AtMost: study.AtMost(1.3), What: "CPU of the start an entry, " + between,
	}.Ratio(startEach(large), startEach(mid)))
	l.sizeTable(append(sizes[:len(sizes):len(sizes)], longer))
	l.sizeCharts(sizes)
}

func bytesEach(h *held) study.Side {
	return study.Side{Name: h.size.name, Unit: "bytes/entry", Values: []float64{float64(h.released) / h.entries()}}
}

func startEach(h *held) study.Side {
	s := study.Side{Name: h.size.name, Unit: "µs/entry", Values: h.startCPU()}
	for i := range s.Values {
		s.Values[i] *= 1e6 / h.entries()
	}
	return s
}

func (l *lab) sizeTable(all []held) {
	t := study.Table{
		Title: "Lists from a generator: start, memory, checks",
		Head: []string{
			"lists", "entries each", "start, s", "start CPU, s", "resident after it, MiB", "peak, MiB",
			"released, MiB", "pages say, MiB", "bytes an entry", "µs CPU a check, HTTP", "ns CPU a check, in process",
		},
	}
	for i := range all {
		h := &all[i]
		t.Cells = append(t.Cells, []string{
			h.size.name, fmt.Sprint(h.size.shape.Entries),
			figure(study.Median(h.startWall())), figure(study.Median(h.startCPU())),
			mebi(h.memory.Resident), mebi(h.memory.Peak), mebi(h.released), mebi(h.pages),
			figure(float64(h.released) / h.entries()),
			orDash(study.Median(h.http) / 1e3), orDash(study.Median(h.inside)),
		})
	}
	l.table(t)
}
