package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// asSidegate makes the test binary be the program: a whole process is then
// tested without building another binary. It has not our prefix, because an
// unknown variable with it is refused.
const asSidegate = "TEST_AS_SIDEGATE"

func TestMain(m *testing.M) {
	if os.Getenv(asSidegate) == "1" {
		os.Exit(execute(os.Args[1:]))
	}
	pgtest.Main(m,
		// fasthttp keeps one goroutine per process, for ever, that formats the Date
		// header once a second.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// The program that the acceptance tests have built goes after the last of
		// them.
		goleak.Cleanup(func(code int) {
			removeBuilt()
			if err := writeFaultPage(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = max(code, 1)
			}
			os.Exit(code)
		}))
}

// outcome is what a command line did.
type outcome struct {
	code   int
	stdout string
	stderr string
}

// at is when the commands of tests run.
var at = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// command runs a command line inside the test.
func command(t *testing.T, environ []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr, environ: environ, now: func() time.Time { return at }}
	code := run(context.Background(), args, p)
	return outcome{code, stdout.String(), stderr.String()}
}
