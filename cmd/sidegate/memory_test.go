package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	for budget, want := range map[int64]int64{
		64 << 20: 80<<20 + 128<<20, 1 << 30: 1280<<20 + 128<<20,
	} {
		if got := memoryLimit(budget); got != want {
			t.Errorf("a budget of %d makes a limit of %d, want %d", budget, got, want)
		}
	}
	if got := memoryLimit(math.MaxInt64); got <= 0 {
		t.Errorf("the largest budget makes a limit of %d", got)
	}
}

// TestMemoryLimitOfTheDeployer: what they set stays.
func TestMemoryLimitOfTheDeployer(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "1GiB")
	limitMemory(64 << 20)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the limit went from %d to %d", before, got)
	}
	t.Setenv("GOMEMLIMIT", "")
	limitMemory(64 << 20)
	if got := debug.SetMemoryLimit(-1); got != memoryLimit(64<<20) {
		t.Errorf("the limit is %d, want %d", got, memoryLimit(64<<20))
	}
}
