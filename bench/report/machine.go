package report

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Machine is where figures come from: the kind of machine and what was built,
// nothing that names it.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Go     string `json:"go"`
	Commit string `json:"commit"` // empty if unknown
	// Changed says that the tree held more than the commit.
	Changed bool `json:"changed,omitempty"`
}

// ThisMachine describes the machine and the working tree.
func ThisMachine(ctx context.Context) Machine {
	m := Machine{
		CPU: runtime.GOARCH, Cores: runtime.NumCPU(),
		System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if name, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.Join(strings.Fields(value), " ")
				break
			}
		}
	}
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", args...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "--short=12", "HEAD")
	if err != nil {
		return m
	}
	m.Commit = commit
	// What this program itself writes does not count as a change.
	changes, err := git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)bench/results", ":(exclude,top)bench/RESULTS.md", ":(exclude,top)bench/limits")
	m.Changed = err != nil || changes != ""
	return m
}

// String is one line.
func (m Machine) String() string {
	parts := []string{m.CPU, plural(m.Cores, "core"), m.System, m.Go}
	switch {
	case m.Commit == "":
		parts = append(parts, "commit unknown")
	case m.Changed:
		parts = append(parts, "commit "+m.Commit+" with changes")
	default:
		parts = append(parts, "commit "+m.Commit)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}
