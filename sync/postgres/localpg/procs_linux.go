package localpg

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processes lists all processes that can be seen. Those that end while they are
// listed are left out.
func processes() ([]process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	all := make([]process, 0, len(dirs))
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue
		}
		if p, err := parseStat(string(text)); err == nil {
			all = append(all, p)
		}
	}
	return all, nil
}

// parseStat reads a line of /proc/PID/stat, see proc(5). The second field is the
// program's name in parentheses and may itself hold spaces and parentheses, so
// the fields are counted from the last one.
func parseStat(line string) (process, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return process{}, fmt.Errorf("localpg: no program name in %q", line)
	}
	fields := strings.Fields(line[end+1:])
	const state, parent, started = 0, 1, 19 // fields 3, 4 and 22 of the line
	if len(fields) <= started {
		return process{}, fmt.Errorf("localpg: %d fields in %q", len(fields), line)
	}
	if letter := fields[state]; len(letter) != 1 || letter[0] < 'A' || letter[0] > 'z' {
		return process{}, fmt.Errorf("localpg: %q is no state of a process", letter)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil {
		return process{}, fmt.Errorf("localpg: process id: %w", err)
	}
	ppid, err := strconv.Atoi(fields[parent])
	if err != nil {
		return process{}, fmt.Errorf("localpg: parent id: %w", err)
	}
	return process{
		pid: pid, ppid: ppid, state: fields[state][0],
		name: line[open+1 : end], started: fields[started],
	}, nil
}

// serversOn lists the processes of any server on the data directory, known by
// their working directory: a postmaster and all its children stay in it. Unlike
// the pid file, this also finds backends that outlived their postmaster.
func serversOn(l layout) []int {
	all, err := processes()
	if err != nil {
		return nil
	}
	data, err := filepath.EvalSymlinks(l.data())
	if err != nil {
		return nil
	}
	var on []int
	for _, p := range all {
		// The name keeps out a shell that happens to stand in the directory.
		if p.name != "postgres" || p.dead() {
			continue
		}
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid)); err == nil && cwd == data {
			on = append(on, p.pid)
		}
	}
	return on
}
