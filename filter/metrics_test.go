package filter

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func newRegistry() *prometheus.Registry { return prometheus.NewPedanticRegistry() }

func TestMetricsAreLinted(t *testing.T) {
	reg := newRegistry()
	NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "sidegate_") {
			t.Errorf("%s lacks the prefix", family.GetName())
		}
	}
}

// TestDecisionsAreCounted makes one decision of every outcome.
func TestDecisionsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one, "tell", "open", "closed")
		open, closed, tell := Default(), Default(), Default()
		open.OnUnknown, closed.OnUnknown = OnUnknownDeliver, OnUnknownWithhold
		tell.Rooms[Direct].OnBlock = OnBlockReject
		m := NewMetrics(nil)
		f := w.filterWith(Options{
			Apps:    map[string]Policy{one: Default(), "tell": tell, "open": open, "closed": closed},
			Metrics: m,
		})
		for _, app := range []string{one, "tell"} {
			w.put(blockList(app, "bob"), false, entries("alice")...)
		}
		ask := func(app string, room RoomType) {
			f.CanDeliver(Check{App: app, Sender: "alice", Recipient: "bob", RoomType: room})
		}
		ask(one, Direct)
		ask(one, Group)
		ask(one, Open)
		ask("tell", Direct)
		w.dark()
		f.CanDeliver(Check{App: one, Sender: "alice", Recipient: userIn("far", true), Room: "lobby", RoomType: Open})
		ask("open", Group)
		ask("closed", Direct)
		ask(one, 0)
		ask("none", Direct)

		want := map[string]float64{
			"direct drop": 2, "group silent": 1, "open deliver": 1, "direct reject": 1, "open unknown": 1,
			"group deliver": 1, "direct unknown": 1,
		}
		for room := Direct; room <= Open; room++ {
			for o, name := range outcomeNames {
				key := room.String() + " " + name
				if got := testutil.ToFloat64(m.decisions[APINative][room][o]); got != want[key] {
					t.Errorf("decisions{%s} = %v, want %v", key, got, want[key])
				}
			}
		}
		for cause, want := range map[Cause]float64{CauseNotLoaded: 3, CauseInvalidRoomType: 1, CauseUnknownApp: 1} {
			if got := testutil.ToFloat64(m.unknown[cause]); got != want {
				t.Errorf("unknown{%v} = %v, want %v", cause, got, want)
			}
		}
		for policy := OnUnknownDeliver; policy <= OnUnknownWithhold; policy++ {
			if got := testutil.ToFloat64(m.failModes[policy][CauseNotLoaded]); got != 1 {
				t.Errorf("fail_mode{%s} = %v, want 1", failModes[policy], got)
			}
		}
	})
}

// TestMetricsDoNotGrow: ten thousand users add no series, and the histogram is
// a sample.
func TestMetricsDoNotGrow(t *testing.T) {
	reg := newRegistry()
	w := newWorld(t, one)
	f := w.filterWith(Options{Apps: map[string]Policy{one: Default()}, Metrics: NewMetrics(reg)})
	before, err := testutil.GatherAndCount(reg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		f.CanDeliver(direct(fmt.Sprint("sender", i), fmt.Sprint("recipient", i)))
	}
	if after, err := testutil.GatherAndCount(reg); after != before || err != nil {
		t.Errorf("%d series, then %d (%v)", before, after, err)
	}
	timed := sampleCount(t, reg)
	if timed == 0 || timed > 10_000/sampleEvery*3 {
		t.Errorf("%d of 10,000 checks were timed, want about one in %d", timed, sampleEvery)
	}
}

func sampleCount(t *testing.T, reg prometheus.Gatherer) uint64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "sidegate_decision_duration_seconds" {
			n := uint64(0)
			for _, metric := range family.GetMetric() {
				n += metric.GetHistogram().GetSampleCount()
			}
			return n
		}
	}
	t.Fatal("no histogram")
	return 0
}
