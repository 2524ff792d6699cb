package writes

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sidegate/sidegate/bench/load"
)

// tick is the unit of the times in /proc/PID/stat; Linux shows it as this to
// everybody.
const tick = 10 * time.Millisecond

// clusterCPU returns the CPU time that a postmaster and its children have used,
// those that have ended included: each run of pgbench has backends of its own.
func clusterCPU(postmaster int) (time.Duration, error) {
	dir := "/proc/" + strconv.Itoa(postmaster)
	children, err := os.ReadFile(dir + "/task/" + strconv.Itoa(postmaster) + "/children")
	if err != nil {
		return 0, fmt.Errorf("children of the postmaster: %w", err)
	}
	total, err := load.CPU(postmaster)
	if err != nil {
		return 0, err
	}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return 0, err
		}
		// One that has just ended is among the reaped.
		if used, err := load.CPU(pid); err == nil {
			total += used
		}
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, err
	}
	// Behind the name, which may hold anything, the fields begin with the third.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, field := range fields[13:15] { // cutime and cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}

// ownCPU returns the CPU time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
