package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/sidegate/sidegate/bench/study"
)

// measure runs a helper with its task and reads what it found.
func measure[Task, Found any](ctx context.Context, helper string, task Task) (found Found, err error) {
	text, err := json.Marshal(task)
	if err != nil {
		return found, fmt.Errorf("%s: %w", helper, err)
	}
	cmd, err := study.HelperCommand(ctx, helper, string(text))
	if err != nil {
		return found, err
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return found, fmt.Errorf("%s: %w", helper, err)
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return found, fmt.Errorf("%s: %w", helper, err)
	}
	return found, nil
}

// helper makes the process that measure runs.
func helper[Task, Found any](name string, run func(context.Context, Task) (Found, error)) study.Helper {
	return study.Helper{Name: name, Run: func(ctx context.Context, args []string) error {
		var task Task
		if len(args) != 1 {
			return fmt.Errorf("%s: want one argument, got %d", name, len(args))
		}
		if err := json.Unmarshal([]byte(args[0]), &task); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		found, err := run(ctx, task)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return json.NewEncoder(os.Stdout).Encode(found)
	}}
}

var (
	residentLine = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)
	errResident  = errors.New("this system does not tell the memory of a process in /proc")
)

// resident is what a process has in RAM, in bytes.
func resident(pid string) (int64, error) {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errResident, err)
	}
	match := residentLine.FindSubmatch(status)
	if match == nil {
		return 0, errResident
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	return kib << 10, err
}

// heap is what lives on the heap of this process.
func heap() int64 {
	runtime.GC() // ends a cycle under way
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// watch samples the memory of this process until ctx ends and returns the most.
func watch(ctx context.Context) (most int64, err error) {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		now, err := resident("self")
		if err != nil {
			return 0, err
		}
		most = max(most, now)
		select {
		case <-ctx.Done():
			return most, nil
		case <-look.C:
		}
	}
}
