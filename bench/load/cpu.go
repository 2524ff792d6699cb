package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// CPU returns the CPU time, user and kernel, that processes have used since they
// were started, all of them together. It comes from the scheduler's own account,
// in nanoseconds: time that the host has taken away is not in it. Linux only;
// elsewhere it is an error.
//
// Threads that have ended are not counted. Those of Go, Redis and OPA stay; of a
// server that forks for each connection, hand in the processes that serve.
func CPU(pids ...int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range pids {
		tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
		if err != nil {
			return 0, err
		}
		if len(tasks) == 0 {
			return 0, fmt.Errorf("CPU time of process %d: it has ended, or this is not Linux", pid)
		}
		for _, task := range tasks {
			used, err := onCPU(task)
			if errors.Is(err, os.ErrNotExist) {
				continue // a thread that has just ended
			}
			if err != nil {
				return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
			}
			total += used
		}
	}
	return total, nil
}

// ownCPU returns what this process has used, 0 where that cannot be read.
func ownCPU() time.Duration {
	used, err := CPU(os.Getpid())
	if err != nil {
		return 0
	}
	return used
}

// onCPU reads the first of the three figures of a schedstat.
func onCPU(schedstat string) (time.Duration, error) {
	text, err := os.ReadFile(schedstat)
	if err != nil {
		return 0, err
	}
	first, _, _ := bytes.Cut(text, []byte(" "))
	ns, err := strconv.ParseInt(string(first), 10, 64)
	return time.Duration(ns), err
}
