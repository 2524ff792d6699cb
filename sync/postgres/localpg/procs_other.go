//go:build !linux

package localpg

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// processes lists all processes that can be seen, from ps, which every Unix has.
func processes() ([]process, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,state=,comm=").Output()
	if err != nil {
		return nil, fmt.Errorf("localpg: ps: %w", err)
	}
	var all []process
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		pid, err1 := strconv.Atoi(f[0])
		ppid, err2 := strconv.Atoi(f[1])
		if err1 == nil && err2 == nil {
			all = append(all, process{pid: pid, ppid: ppid, state: f[2][0], name: filepath.Base(f[3])})
		}
	}
	return all, nil
}

// serversOn lists the postmaster of the data directory by its pid file: without
// /proc nothing cheap tells which directory a process works in. PostgreSQL itself
// refuses to start while backends of an earlier postmaster are left.
func serversOn(l layout) []int {
	pid, ok := pidFile(l)
	if !ok || syscall.Kill(pid, 0) != nil {
		return nil
	}
	all, err := processes()
	if err != nil {
		return nil
	}
	for _, p := range all {
		if p.pid == pid && p.name == "postgres" && !p.dead() {
			return []int{pid}
		}
	}
	return nil
}
