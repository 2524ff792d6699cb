package scaling

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is what a process has of the machine's memory, in bytes.
type memory struct {
	Resident int64 // without what it shares
	Shared   int64 // the index of a generator
	Peak     int64 // the most that was ever resident, without what it shares now
}

// memoryOf reads what the kernel has counted. Linux only.
func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return memory{}, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	at := map[string]int64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kilobytes, is := strings.CutSuffix(strings.TrimSpace(value), " kB")
		if !is {
			continue
		}
		n, err := strconv.ParseInt(kilobytes, 10, 64)
		if err != nil {
			return memory{}, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		at[name] = n << 10
	}
	shared := at["RssShmem"]
	return memory{Resident: at["VmRSS"] - shared, Shared: shared, Peak: at["VmHWM"] - shared}, nil
}
