package memory

import (
	"os"
	"runtime"
	"time"

	"github.com/sidegate/sidegate/bench/load"
)

// spending is what this process has used so far. How much of the CPU time went
// into garbage is not told apart: the runtime measures that by the clock, which is
// too much on a busy machine.
type spending struct {
	cpu         time.Duration
	collections uint32
}

// spent ends a collection first, so that two can be compared.
func spent() (out spending, err error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	out.collections = m.NumGC
	out.cpu, err = load.CPU(os.Getpid())
	return out, err
}
