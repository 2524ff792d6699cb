// Package headroom keeps the process inside the memory that it was given, and the
// room that the Go runtime leaves for garbage small beside a large heap.
//
// Three settings bound the same memory, and each is the deployer's if they gave it:
//
//   - cache.max_bytes says how many lists live. [Memory.CacheBytes] proposes it.
//   - GOGC says how much garbage may gather beside them. Left alone, the runtime lets
//     the heap grow to twice what lives before it collects: a cache of 1 GiB makes a
//     process of 2 GiB. That proportion is right for heaps full of pointers, where a
//     collection costs as much as what lives. Here nearly all that lives is blocks
//     without a pointer, which a collection does not visit, so that collecting more
//     often is cheap. [Memory.Keep] sets it from what lives.
//   - GOMEMLIMIT says what the runtime must not outgrow, whatever the proportion
//     allows. It is the last of the three that is met: while it is not, the proportion
//     decides when to collect; near it, the runtime collects earlier. [Memory.Keep]
//     sets it to nine tenths of the limit that the system puts on the process.
//
// The limit alone would not do: where there is none there is nothing to derive it
// from, and a process whose lists outgrow it collects without end, and the checks
// pay. Beside a limit of the system that is still the better end: the other is to
// be killed. And it is far away: what CacheBytes proposes, with the proportion's
// garbage and the process itself, stays below it.
package headroom

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// room is how much garbage may gather before a collection, however little
	// lives: with less, a small heap would be collected all the time.
	room = 32 << 20
	// leastPercent of what lives may gather, if that is more: the bound of what
	// collections of a large heap may cost.
	leastPercent = 12
	// usual is what the runtime does by itself.
	usualPercent = 100
	// tick is how often it is looked; the heap doubles no faster at a start.
	tick = 250 * time.Millisecond
)

// Keep holds the runtime to m and adjusts GOGC to what lives until ctx ends, then
// restores both and returns nil. What the environment sets, GOMEMLIMIT or GOGC, it
// leaves alone. One process runs it once.
func (m Memory) Keep(ctx context.Context) error {
	if m.Soft > 0 && os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(m.Soft))
	}
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	set := usualPercent
	defer debug.SetGCPercent(debug.SetGCPercent(usualPercent))
	look := time.NewTicker(tick)
	defer look.Stop()
	for {
		if p := percent(alive()); differs(p, set) {
			debug.SetGCPercent(p)
			set = p
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// percent is the GOGC that leaves room beside what lives.
func percent(live uint64) int {
	if live <= room {
		return usualPercent
	}
	return int(max(leastPercent, usualPercent*room/live))
}

// differs reports whether a percentage is worth setting: that stops the program
// for a moment, and what lives is never twice the same.
func differs(p, set int) bool { return p > set+set/10 || p < set-set/10 }

// alive is what the last collection found alive, in bytes.
func alive() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
