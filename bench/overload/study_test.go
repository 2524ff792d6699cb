package overload

import (
	"strings"
	"testing"
	"time"
)

func TestRows(t *testing.T) {
	t.Parallel()
	hits := func(d ...time.Duration) []time.Duration { return d }
	s := &seen{rounds: [3][]round{
		{{hits: hits(20e3, 20e3, 20e3), cpu: time.Millisecond}},
		{{hits: hits(20e3, 30e3, 90e3), cpu: 2 * time.Millisecond, beside: 100}},
		{{hits: hits(30e3, 33e3, 180e3), cpu: 4 * time.Millisecond, beside: 100, counts: counts{asked: 103, hits: 3, waits: 100, rate: 96, late: 3, begun: 1}}},
	}}
	got := s.result()
	for i, want := range []float64{1.1, 2, 1.65, 3} {
		if v := got.Rows[i].Values; len(v) != 1 || v[0] < want-1e-9 || v[0] > want+1e-9 {
			t.Errorf("%s: %v, want %v", got.Rows[i].ID, v, want)
		}
	}
	for _, part := range []string{"100 that were not in memory", "96 reads were refused for want of a token", "3 because their turn", "waited for: 0"} {
		if !strings.Contains(got.Notes[0], part) {
			t.Errorf("the note lacks %q: %s", part, got.Notes[0])
		}
	}
	s.rounds[2][0].counts.waits = 102
	if note := s.note(); !strings.Contains(note, "waited for: 2") {
		t.Errorf("two hits that waited are not told: %s", note)
	}
}
