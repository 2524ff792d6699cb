package overload

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/served"
	"github.com/sidegate/sidegate/bench/study"
)

// counts are figures of the process.
type counts struct{ asked, hits, waits, begun, rate, queue, late float64 }

func (c *counts) fields() map[string]*float64 {
	return map[string]*float64{
		"sidegate_cache_requests_total":            &c.asked,
		"sidegate_cache_hits_total":                &c.hits,
		`sidegate_list_waits_total{why="missing"}`: &c.waits,
		"sidegate_load_errors_total":               &c.begun, // none ends well
		`sidegate_loads_shed_total{cause="rate"}`:  &c.rate,
		`sidegate_loads_shed_total{cause="queue"}`: &c.queue,
		`sidegate_loads_shed_total{cause="late"}`:  &c.late,
	}
}

func (c counts) minus(former counts) counts {
	was := former.fields()
	for name, value := range c.fields() {
		*value -= *was[name]
	}
	return c
}

func (c counts) plus(other counts) counts {
	add := other.fields()
	for name, value := range c.fields() {
		*value += *add[name]
	}
	return c
}

// countsOf asks a process for its figures.
func countsOf(ctx context.Context, program *served.Program) (c counts, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+program.Ops+"/metrics", nil)
	if err != nil {
		return c, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return c, err
	}
	defer func() { _ = answer.Body.Close() }()
	fields := c.fields()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if into := fields[name]; into != nil {
			if *into, err = strconv.ParseFloat(value, 64); err != nil {
				return c, fmt.Errorf("%s: %w", name, err)
			}
			delete(fields, name)
		}
	}
	if len(fields) > 0 {
		err = fmt.Errorf("%d figures are missing among the metrics", len(fields))
	}
	return c, err
}

// seen is what was measured, by side: alone, beside hits, beside misses.
type seen struct{ rounds [3][]round }

// of is one figure of every round of a side.
func (s *seen) of(at int, figure func(round) float64) (values []float64) {
	for _, r := range s.rounds[at] {
		values = append(values, figure(r))
	}
	return values
}

func percentile(percent int) func(round) float64 {
	return func(r round) float64 {
		sorted := slices.Sorted(slices.Values(r.hits))
		at := (len(sorted)*percent + 99) / 100
		return float64(sorted[max(at, 1)-1]) / float64(time.Microsecond)
	}
}

// dearness is the server's CPU for one request beside the hits, of which those of
// the same turn without any are taken off, in microseconds.
func (s *seen) dearness(at int) (values []float64) {
	for i, r := range s.rounds[at] {
		quiet := s.rounds[0][i]
		values = append(values, float64(r.cpu-quiet.cpu)/float64(time.Microsecond)/float64(max(r.beside, 1)))
	}
	return values
}

func (s *seen) result() study.Result {
	side := func(at int, name, unit string, values []float64) study.Side {
		return study.Side{Name: name, Unit: unit, Values: values}
	}
	time50, time99 := percentile(50), percentile(99)
	row := func(id, what, unit string, atMost *float64) study.Row {
		return study.Row{ID: id, What: what, Unit: unit, AtMost: atMost}
	}
	rows := []study.Row{
		row("overload-p50", "a hit while misses drown: p50 beside that among as many hits", "× beside hits", study.AtMost(1.1)).
			Ratio(side(2, besideMisses, "µs", s.of(2, time50)), side(1, besideHits, "µs", s.of(1, time50))),
		row("overload-p99", "a hit while misses drown: p99 beside that among as many hits", "× beside hits", study.AtMost(1.5)).
			Ratio(side(2, besideMisses, "µs", s.of(2, time99)), side(1, besideHits, "µs", s.of(1, time99))),
		row("overload-alone-p50", "a hit while misses drown: p50 beside that of hits alone", "× alone", nil).
			Ratio(side(2, besideMisses, "µs", s.of(2, time50)), side(0, alone, "µs", s.of(0, time50))),
		row("overload-cpu", "a miss that is refused: server CPU beside that of a hit", "× a hit", study.AtMost(1.5)).
			Ratio(side(2, "a miss", "µs CPU/request", s.dearness(2)), side(1, "a hit", "µs CPU/request", s.dearness(1))),
	}
	return study.Result{Rows: rows, Notes: []string{s.note()}}
}

// note says what became of the misses.
func (s *seen) note() string {
	var sum, quiet counts
	beside, hits := 0, 0
	var longest time.Duration
	for _, r := range s.rounds[2] {
		sum = sum.plus(r.counts)
		beside += r.beside
		hits += len(r.hits)
		longest = max(longest, slices.Max(r.hits))
	}
	for i := range 2 {
		for _, r := range s.rounds[i] {
			quiet = quiet.plus(r.counts)
		}
	}
	return fmt.Sprintf("Postgres was stopped throughout. Beside %d hits, of which the slowest took %.1f ms, %d requests for %d lists asked for %.0f "+
		"that were not in memory: %.0f reads were refused for want of a token, %.0f because the queue was full, %.0f because their turn would "+
		"have come too late; %.0f were begun and ran out of time. Lists in memory that a decision waited for: %.0f, in all rounds.",
		hits, float64(longest)/float64(time.Millisecond), beside, lists-hot, sum.asked-sum.hits, sum.rate, sum.queue, sum.late, sum.begun,
		max(0, sum.waits-(sum.asked-sum.hits))+max(0, quiet.waits-(quiet.asked-quiet.hits)))
}
