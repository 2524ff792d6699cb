// Command bench measures sidegate beside what a team would use instead, and
// writes what it finds to bench/RESULTS.md. `make bench` builds what it needs and
// runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/httpcheck"
	"github.com/sidegate/sidegate/bench/study"
)

// studies is what there is to measure, in the order of the report.
var studies = []study.Study{
	httpcheck.Study,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures what the arguments ask for.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	env := &study.Env{Log: say}
	only := flags.String("only", "", "studies to run, separated by commas (default all)")
	flags.BoolVar(&env.Quick, "quick", false, "a glance: fewer and shorter rounds, less data; nothing is judged")
	flags.StringVar(&env.Program, "program", "bin/sidegate", "the built sidegate")
	flags.StringVar(&env.Peers, "peers", "bin/peers", "the folder of the programs to compare with")
	flags.StringVar(&env.Data, "data", ".sidegate/bench", "the folder of databases that are kept between runs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, s := range studies {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), s.Name) {
			continue
		}
		if err := one(ctx, s, *env); err != nil {
			return err
		}
	}
	return nil
}

func one(ctx context.Context, s study.Study, env study.Env) error {
	scratch, err := os.MkdirTemp("", "sidegate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o711); err != nil { // PostgreSQL runs as another user if we are root
		return err
	}
	env.Scratch = scratch
	begun := time.Now()
	say("%s: %s", s.Name, s.What)
	_, err = s.Run(ctx, &env)
	say("%s: %v", s.Name, time.Since(begun).Round(time.Second))
	return err
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
