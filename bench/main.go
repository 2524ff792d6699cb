// Command bench measures sidegate beside what a team would use instead, and
// writes what it finds to bench/RESULTS.md. `make bench` builds what it needs and
// runs it; -help says how to run one study.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sidegate/sidegate/bench/beside"
	"github.com/sidegate/sidegate/bench/httpcheck"
	"github.com/sidegate/sidegate/bench/inprocess"
	"github.com/sidegate/sidegate/bench/memory"
	"github.com/sidegate/sidegate/bench/overload"
	"github.com/sidegate/sidegate/bench/preload"
	"github.com/sidegate/sidegate/bench/propagation"
	"github.com/sidegate/sidegate/bench/scaling"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/bench/warm"
	"github.com/sidegate/sidegate/bench/writes"
)

// studies is what there is to measure, in the order of the report.
var studies = []study.Study{
	httpcheck.Study,
	beside.Study,
	inprocess.Study,
	memory.Study,
	preload.Study,
	warm.Study,
	writes.Study,
	propagation.Study,
	overload.Study,
	scaling.Study,
}

// helpers are processes of their own that studies start.
var helpers = append([]study.Helper{scaling.Sidecar}, memory.Helpers...)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	asked, err := study.RunHelper(ctx, helpers, os.Args[1:])
	if !asked {
		err = program{studies: studies, out: os.Stdout, err: os.Stderr}.run(ctx, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
