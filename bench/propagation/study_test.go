package propagation

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	var delays []time.Duration
	for i := range 100 {
		delays = append(delays, time.Duration(100-i)*time.Millisecond)
	}
	for percent, want := range map[int]float64{50: 50, 99: 99, 100: 100} {
		if got := percentile(delays, percent); got != want {
			t.Errorf("p%d is %v, want %v", percent, got, want)
		}
	}
	if got := percentile(delays[:1], 50); got != 100 {
		t.Errorf("of one it is %v", got)
	}
}

func TestRowsOfTheTargets(t *testing.T) {
	t.Parallel()
	round := [][]time.Duration{{time.Millisecond, 3 * time.Millisecond}}
	rows := result(round, round).Rows
	if len(rows) != 4 || rows[0].ID != "propagation-p50" || *rows[0].AtMost != 15 || *rows[1].AtMost != 45 ||
		*rows[2].AtMost != 2 || rows[3].AtMost != nil || rows[1].Values[0] != 3 {
		t.Errorf("%+v", rows)
	}
}
