package main

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestCapacityIsFitted: half of what is asked for has room, in real memory.
func TestCapacityIsFitted(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	trace := []byte(nil)
	for range 100_000 {
		trace = binary.LittleEndian.AppendUint32(trace, uint32(rng.IntN(20_000)))
	}
	for name, open := range open {
		out, err := task{trace, 10_000, 10, 2 << 20}.fit(open)
		if err != nil {
			t.Fatal(err)
		}
		ratio := float64(out.Hits) / float64(out.Questions)
		t.Logf("%s: %+v, %.2f", name, out, ratio)
		if out.Questions != 50_000 || ratio < 0.2 || ratio > 0.9 || out.Kept < 2000 || out.Kept > 19_000 {
			t.Errorf("%s: %+v", name, out)
		}
		if out, err = (task{trace, 10_000, 10, 64 << 20}).fit(open); err != nil || out.Kept < 19_000 || out.Hits < out.Questions*9/10 {
			t.Errorf("%s, with room for all: %+v, %v", name, out, err)
		}
	}
}
