package pgtest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, stops the cluster they shared, and then looks
// for goroutines that were left. It is all that TestMain has to do, and it does
// not return.
func Main(m *testing.M, leaks ...goleak.Option) {
	goleak.VerifyTestMain(suite{m: m}, leaks...)
}

// suite stops the cluster between the tests and the search for leaks, which would
// find the goroutine that waits for the server.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	common.open()
	code := s.m.Run()
	if err := common.close(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	return code
}
