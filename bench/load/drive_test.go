package load

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// TestDrive: a contestant that another program asks has its rounds in turn with the
// others, and its server's CPU time is read.
func TestDrive(t *testing.T) {
	var driven []time.Duration
	other := Contestant{
		Name: "driven", PIDs: func() []int { return []int{os.Getpid()} },
		Drive: func(_ context.Context, length time.Duration) (Round, error) {
			driven = append(driven, length)
			return Round{Operations: 7, Elapsed: length, P50: 3, Client: 5, CPU: time.Hour}, nil
		},
	}
	plan := Plan{Rounds: 2, Each: 10 * time.Millisecond, Warmup: time.Millisecond}
	results, err := Turns(t.Context(), plan, contestant("asked", serve(t, good), 2, 1), other)
	if err != nil {
		t.Fatal(err)
	}
	if len(results["asked"]) != 2 || len(results["driven"]) != 2 || len(driven) != 3 || driven[0] != plan.Warmup || driven[2] != plan.Each {
		t.Errorf("%v driven for %v", results, driven)
	}
	for _, r := range results["asked"] {
		if r.Client <= 0 || r.WorkPerOperation() <= r.CPUPerOperation() {
			t.Errorf("what the client used is not counted: %+v", r)
		}
	}
	for _, r := range results["driven"] {
		if r.Operations != 7 || r.P50 != 3 || r.Client != 5 || r.Elapsed != plan.Each || r.CPU >= time.Hour {
			t.Errorf("%+v", r)
		}
	}
	other.Drive = func(context.Context, time.Duration) (Round, error) { return Round{}, nil }
	if _, err := Turns(t.Context(), plan, other); !errors.Is(err, errNothing) {
		t.Errorf("a round of nothing: %v", err)
	}
	broken := errors.New("broken")
	other.Drive = func(context.Context, time.Duration) (Round, error) { return Round{}, broken }
	if _, err := Turns(t.Context(), plan, other); !errors.Is(err, broken) {
		t.Errorf("a program that fails: %v", err)
	}
}
