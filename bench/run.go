package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/report"
	"github.com/sidegate/sidegate/bench/study"
)

// program is what the command line drives.
type program struct {
	studies  []study.Study
	out, err io.Writer
}

// options are what the command line asks for.
type options struct {
	env    study.Env
	chosen []study.Study
	dir    string // of the report
	render bool
}

// run measures what the arguments ask for. A study that fails does not keep the
// others from being run; whatever went wrong is said once more at the end.
func (p program) run(ctx context.Context, args []string) error {
	opts, err := p.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if opts.render {
		return p.publish(opts.dir)
	}
	if _, err := os.Stat(opts.env.Program); err != nil {
		return fmt.Errorf("%s is not there: `make build` builds it, or -program says where it is", opts.env.Program)
	}
	machine := report.ThisMachine(ctx)
	var failed []string
	for _, s := range opts.chosen {
		file, err := p.measure(ctx, s, opts.env)
		file.Machine = machine
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted during %s, which is not written", s.Name)
		}
		if err != nil {
			failed = append(failed, fmt.Sprintf("study %s ended early: %v", s.Name, err))
		}
		if err := report.Print(p.out, file.Result); err != nil {
			return err
		}
		if err := p.keep(file, opts); err != nil {
			failed = append(failed, err.Error())
		}
	}
	if opts.env.Quick {
		return asError(failed)
	}
	return errors.Join(asError(failed), p.publish(opts.dir))
}

// parse reads the command line.
func (p program) parse(args []string) (*options, error) {
	opts := &options{env: study.Env{Log: p.say}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	only := flags.String("only", "", "studies to run, separated by commas (default all)")
	flags.BoolVar(&opts.env.Quick, "quick", false, "a glance: fewer and shorter rounds, less data; nothing is judged and nothing written")
	flags.BoolVar(&opts.render, "render", false, "measure nothing, write RESULTS.md anew from the results that are there")
	flags.StringVar(&opts.env.Program, "program", "bin/sidegate", "the built sidegate")
	flags.StringVar(&opts.env.Peers, "peers", "bin/peers", "the folder of the programs to compare with")
	flags.StringVar(&opts.env.Data, "data", ".sidegate/bench", "the folder of databases that are kept between runs")
	flags.StringVar(&opts.dir, "dir", "bench", "the folder of RESULTS.md, results and limits")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		p.usage(flags)
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w; -help lists the flags", err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag; -only chooses studies, -help lists the flags", flags.Arg(0))
	}
	if opts.chosen, err = p.choose(*only); err != nil {
		return nil, err
	}
	for _, path := range []*string{&opts.env.Program, &opts.env.Peers, &opts.env.Data} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	return opts, nil
}

// choose returns the studies of a list of names, in the order of the report.
func (p program) choose(list string) (chosen []study.Study, err error) {
	if list == "" {
		return p.studies, nil
	}
	wanted := strings.Split(list, ",")
	for _, s := range p.studies {
		if i := slices.Index(wanted, s.Name); i >= 0 {
			chosen, wanted = append(chosen, s), slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("there is no study %q; there are %s", wanted[0], strings.Join(p.order(), ", "))
	}
	return chosen, nil
}

// order is the names of all studies.
func (p program) order() (names []string) {
	for _, s := range p.studies {
		names = append(names, s.Name)
	}
	return names
}

// usage prints the flags and the studies.
func (p program) usage(flags *flag.FlagSet) {
	fmt.Fprintf(p.out, "bench measures sidegate beside its peers and writes bench/RESULTS.md.\n\nflags:\n")
	flags.SetOutput(p.out)
	flags.PrintDefaults()
	fmt.Fprintf(p.out, "\nstudies:\n")
	for _, s := range p.studies {
		fmt.Fprintf(p.out, "  %-12s %s\n", s.Name, s.What)
	}
}

// measure runs one study in a folder of its own.
func (p program) measure(ctx context.Context, s study.Study, env study.Env) (file report.File, err error) {
	file = report.File{Study: s.Name, What: s.What, Begun: time.Now().UTC().Truncate(time.Second)}
	env.Scratch, err = os.MkdirTemp("", "sidegate-bench-")
	if err != nil {
		return file, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(env.Scratch)) }()
	if err := os.Chmod(env.Scratch, 0o711); err != nil { // PostgreSQL runs as another user if we are root
		return file, err
	}
	p.say("%s: %s", s.Name, s.What)
	begun := time.Now()
	file.Result, err = s.Run(ctx, &env)
	file.Seconds = time.Since(begun).Round(100 * time.Millisecond).Seconds()
	if err != nil {
		file.Error = report.Clean(err.Error())
	}
	p.say("%s: done in %v", s.Name, time.Since(begun).Round(time.Second))
	return file, err
}

// keep checks what a study found, and writes it with the page unless it was a
// glance. The page is written after each: a later study may never end.
func (p program) keep(file report.File, opts *options) error {
	if opts.env.Quick {
		return file.Check()
	}
	if err := file.Save(opts.dir); err != nil {
		return err
	}
	_, err := p.write(opts.dir)
	return err
}

// write makes RESULTS.md of all results that are there, and returns the page, which
// knows what is wrong with them.
func (p program) write(dir string) (page *report.Page, err error) {
	files, err := report.Load(dir, p.order())
	if err != nil {
		return nil, err
	}
	page = report.NewPage(files, report.Limits(dir))
	if err := os.WriteFile(filepath.Join(dir, "RESULTS.md"), page.Markdown(), 0o644); err != nil {
		return nil, fmt.Errorf("write the results: %w", err)
	}
	return page, nil
}

// publish writes RESULTS.md, shows every target, and fails if there are problems.
func (p program) publish(dir string) error {
	page, err := p.write(dir)
	if err != nil {
		return err
	}
	if _, err := p.out.Write(page.Targets()); err != nil {
		return fmt.Errorf("show the targets: %w", err)
	}
	p.say("wrote %s", filepath.Join(dir, "RESULTS.md"))
	return asError(page.Problems())
}

func asError(sentences []string) error {
	if len(sentences) == 0 {
		return nil
	}
	return errors.New(strings.Join(sentences, "\n"))
}

func (p program) say(format string, args ...any) { fmt.Fprintf(p.err, format+"\n", args...) }
