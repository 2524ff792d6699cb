package main

import (
	"math"
	"os"
	"runtime/debug"
)

// The memory beside the lists that the process may use before garbage is collected
// for its sake: for connections, pools and pages that have been replaced.
const (
	spareMemory = 128 << 20
	// spareShare of the budget for lists is garbage of theirs: each change leaves
	// the page that it replaces behind.
	spareShare = 4
)

// limitMemory keeps the process near the budget for lists. Checks make no garbage,
// so that collections are rare, and without a limit each waits until there is as
// much garbage as there are lists: a full cache would take its budget twice. The
// limit is soft: it makes collections come earlier, it refuses nothing. It is for
// the whole process, and does nothing if the deployer has set GOMEMLIMIT.
//
// GOGC stays as it is. A small heap is collected when it has doubled, at a few
// changes a second that is once in minutes; a larger value would save next to no
// time and cost memory that an operator sees.
func limitMemory(maxBytes int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(memoryLimit(maxBytes))
}

// memoryLimit returns the limit that goes with a budget.
func memoryLimit(maxBytes int64) int64 {
	const most = math.MaxInt64 / 2
	budget := min(maxBytes, most)
	return budget + budget/spareShare + spareMemory
}
