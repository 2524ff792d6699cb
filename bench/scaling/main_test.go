package scaling

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/study"
)

// TestMain lets the test binary be the sidecar that a test starts.
func TestMain(m *testing.M) {
	// A sidecar whose test has gone away ends by itself.
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
	asked, err := study.RunHelper(ctx, []study.Helper{Sidecar}, os.Args[1:])
	stop()
	if asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m,
		// The clock of fasthttp, which never stops.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}
