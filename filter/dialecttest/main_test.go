package dialecttest

import (
	"slices"
	"testing"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// The decisions that the presets answer with; see the table of the design.
var (
	dropped  = harness.Verdict{Action: "drop", Reason: "recipient_blocked_sender"}
	rejected = harness.Verdict{Action: "reject", Reason: "recipient_blocked_sender"}
)

// ids returns ids that no other call returns.
func ids(names ...string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = harness.ID(name)
	}
	return list
}

func wantList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: the list is %q, want %q", what, got, want)
	}
}

// reversed is a list with the newest first of what was added one by one.
func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}
