package harness

import (
	"fmt"
	"testing"
	"time"
)

// patience bounds every wait. What is waited for takes seconds at most, save the
// half minute until an alert on age fires; a machine
// that is busy with something else may take long.
const patience = 2 * time.Minute

// WaitFor waits until a condition holds.
func WaitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if err := waitFor(what, holds); err != nil {
		t.Fatal(err)
	}
}

// waitFor is the one place of these tests that sleeps.
func waitFor(what string, holds func() bool) error {
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("waited for %v in vain: %s", patience, what)
		}
	}
	return nil
}
