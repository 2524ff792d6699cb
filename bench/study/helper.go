package study

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Helper is a process of its own that studies start: the bench program once more,
// so that what it uses of CPU and memory can be told apart.
type Helper struct {
	Name string
	// Run serves or measures until it is done or ctx ends, which a SIGTERM or an
	// interrupt does.
	Run func(ctx context.Context, args []string) error
}

// helperWord comes first on the command line of a helper.
const helperWord = "helper"

// HelperCommand returns the command that runs a helper of this program: one that
// has called [RunHelper] first of all, which bench does, and a test binary may do
// in TestMain. It ends when ctx does.
func HelperCommand(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own program for the helper %s: %w", name, err)
	}
	return exec.CommandContext(ctx, self, append([]string{helperWord, name}, args...)...), nil
}

// RunHelper runs the helper that the arguments of a program ask for, if they do.
func RunHelper(ctx context.Context, helpers []Helper, args []string) (asked bool, err error) {
	if len(args) < 2 || args[0] != helperWord {
		return false, nil
	}
	for _, h := range helpers {
		if h.Name == args[1] {
			return true, h.Run(ctx, args[2:])
		}
	}
	return true, fmt.Errorf("there is no helper named %s", args[1])
}
