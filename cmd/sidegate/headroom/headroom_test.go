package headroom

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 100, room: 100, 2 * room: 50, 4 * room: 25, 8 * room: 12, 1 << 40: leastPercent,
	} {
		if got := percent(live); got != want {
			t.Errorf("%d MiB alive: %d %%, want %d", live>>20, got, want)
		}
	}
}

// inForce is the runtime's GOGC.
func inForce() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// keep runs Keep until the returned function is called.
func keep(t *testing.T, m Memory) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Keep(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestALargeHeapIsLeftLittleRoom(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := inForce()
	stop := keep(t, Memory{})
	ballast := make([]byte, 4*room)
	runtime.GC()
	waitFor(t, "less room", func() bool { return inForce() <= 25 })
	runtime.KeepAlive(ballast)
	runtime.GC()
	waitFor(t, "the usual room once the heap is small again", func() bool { return inForce() == usualPercent })
	stop()
	if got := inForce(); got != before {
		t.Errorf("GOGC is %d afterwards, was %d", got, before)
	}
}

// TestTheLimitIsKept: it holds beside the proportion, and ends with Keep.
func TestTheLimitIsKept(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetMemoryLimit(-1)
	const soft = 7 << 30
	stop := keep(t, Memory{Limit: 8 << 30, Soft: soft})
	waitFor(t, "the limit", func() bool { return debug.SetMemoryLimit(-1) == soft })
	stop()
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the limit is %d afterwards, was %d", got, before)
	}
}

// TestTheEnvironmentDecides: each setting is the deployer's if they gave it, and that
// one alone. The runtime reads the variables at its start, so that here they change
// nothing but what Keep does.
func TestTheEnvironmentDecides(t *testing.T) {
	const soft = 7 << 30
	ballast := make([]byte, 4*room)
	runtime.GC()
	for _, tc := range []struct {
		name             string
		gogc, gomemlimit string
		percent, limit   bool // set by us
	}{
		{"neither", "", "", true, true},
		{"GOGC", "200", "", false, true},
		{"GOMEMLIMIT", "", "200MiB", true, false},
		{"both", "200", "200MiB", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("GOGC", tc.gogc)
			t.Setenv("GOMEMLIMIT", tc.gomemlimit)
			before, was := inForce(), debug.SetMemoryLimit(-1)
			synctest.Test(t, func(t *testing.T) {
				stop := keep(t, Memory{Limit: 8 << 30, Soft: soft})
				synctest.Wait() // it has looked
				if got := inForce(); (got != before) != tc.percent {
					t.Errorf("GOGC is %d, was %d", got, before)
				}
				if got := debug.SetMemoryLimit(-1); (got != was) != tc.limit {
					t.Errorf("the limit is %d, was %d", got, was)
				}
				stop()
			})
		})
	}
	runtime.KeepAlive(ballast)
}

func TestSmallDifferencesStay(t *testing.T) {
	for _, c := range []struct {
		p, set int
		want   bool
	}{{100, 100, false}, {91, 100, false}, {89, 100, true}, {53, 50, false}, {56, 50, true}, {13, 12, false}, {14, 12, true}, {12, 100, true}} {
		if differs(c.p, c.set) != c.want {
			t.Errorf("from %d to %d: %v", c.set, c.p, !c.want)
		}
	}
}
