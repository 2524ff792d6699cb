package study

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

var helpers = []Helper{{Name: "echo", Run: func(_ context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("nothing to say")
	}
	fmt.Println(strings.Join(args, " "))
	return nil
}}}

// TestMain lets this test binary be its own helper.
func TestMain(m *testing.M) {
	asked, err := RunHelper(context.Background(), helpers, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if !asked {
		os.Exit(m.Run())
	}
}

func TestHelpersAreThisProgramOnceMore(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
		ok   bool
	}{
		{"echo", []string{"one", "two"}, "one two\n", true},
		{"echo", nil, "nothing to say\n", false},
		{"nobody", nil, "there is no helper named nobody\n", false},
	} {
		cmd, err := HelperCommand(t.Context(), c.name, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cmd.CombinedOutput(); string(got) != c.want || (err == nil) != c.ok {
			t.Errorf("%s %q: %q, %v", c.name, c.args, got, err)
		}
	}
	if asked, err := RunHelper(t.Context(), helpers, []string{"-quick"}); asked || err != nil {
		t.Error("a flag is taken for a helper")
	}
}
