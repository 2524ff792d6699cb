package memory

import (
	"os"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/sidegate/sidegate/bench/load"
)

// collected is the time of the CPUs that went into collecting garbage, without
// what was done while a CPU had nothing else to do.
func collected() time.Duration {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"}}
	metrics.Read(sample)
	return time.Duration((sample[0].Value.Float64() - sample[1].Value.Float64()) * float64(time.Second))
}

// spending is what this process has used so far.
type spending struct {
	cpu, collecting time.Duration
	collections     uint32
}

// spent ends a collection, because the runtime counts when one ends.
func spent() (out spending, err error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	out.collecting, out.collections = collected(), m.NumGC
	out.cpu, err = load.CPU(os.Getpid())
	return out, err
}
