package httpcheck

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// TestRequestsAreWellFormed: what the load consists of is what a client would send,
// and asks about users of the shape.
func TestRequestsAreWellFormed(t *testing.T) {
	shape := seed.Shape{Lists: 300, Entries: 7, Idle: 50}
	all := requests(shape, "group")
	if len(all) != pairs {
		t.Fatalf("%d requests", len(all))
	}
	for i, p := range shape.Pairs(1, pairs)[:100] {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(all[i])))
		if err != nil {
			t.Fatalf("%q: %v", all[i], err)
		}
		q := r.URL.Query()
		if q.Get("app") != seed.App || q.Get("sender") != seed.ID(p.Sender) || q.Get("recipient") != seed.ID(p.Recipient) || q.Get("room_type") != "group" {
			t.Errorf("%q", all[i])
		}
	}
}

// TestRows: each target compares what it says it does, with its bound.
func TestRows(t *testing.T) {
	rounds := func(rate int, cpu time.Duration) []load.Round {
		r := load.Round{Operations: rate, Elapsed: time.Second, CPU: cpu * time.Duration(rate), P50: time.Microsecond, P99: time.Millisecond}
		return []load.Round{r, r, r}
	}
	m := load.Results{
		floorTCP: rounds(1000, 100), ownOneWay: rounds(900, 120), ownTwoWay: rounds(900, 130), floorUnix: rounds(1000, 80),
		ownUnix: rounds(1800, 90), floorDeep: rounds(9000, 10), ownDeep: rounds(9000, 2000), floorLone: rounds(10, 100), ownLone: rounds(10, 100),
	}
	want := map[string]float64{
		"http-check-cpu": 1.2, "http-check-rate": 0.9, "http-two-way-cpu": 1.3,
		"unix-rate": 2, "pipelined-cpu": 2,
	}
	met := map[string]bool{"unix-rate": true, "pipelined-cpu": true}
	got := rows(m)
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for _, row := range got {
		if v := study.Median(row.Values); v < want[row.ID]-1e-9 || v > want[row.ID]+1e-9 || len(row.Values) != 3 {
			t.Errorf("%s is %v, want %v", row.ID, row.Values, want[row.ID])
		}
		if ok, _ := row.Met(); ok != met[row.ID] {
			t.Errorf("%s is met: %v", row.ID, ok)
		}
	}
	if shown := table(m); len(shown.Cells) != len(m) || strings.Join(shown.Cells[1][:3], " ") != "one way 900 0.12" {
		t.Errorf("%q", shown.Cells)
	}
}
