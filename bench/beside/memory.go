package beside

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is what the processes hold once they hold all lists, in bytes.
type memory struct {
	own   float64 // resident, of sidegate
	redis redisMemory
}

// resident reads how much of a process is in memory.
func resident(pid int) (float64, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("resident memory of process %d: %w", pid, err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmRSS:"); found {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d says nothing of its memory", pid)
}
