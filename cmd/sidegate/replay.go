package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// replayCmd asks recorded questions again and tells where the answers differ: of a
// running server, or of the policies of a configuration that nobody serves yet.
type replayCmd struct {
	databaseFlags
	File     string        `arg:"" help:"Records, one JSON object a line: a decision log, or your own (see --help). - reads the standard input."`
	CheckURL string        `name:"check-url" placeholder:"URL" help:"Ask a running sidegate at its check listener: http://host:port or unix:///path (SIDEGATE_CHECK_URL). Without --config this is the way, with check.listen as the default."`
	Token    string        `placeholder:"TOKEN" help:"Bearer token; SIDEGATE_TOKEN keeps it out of the list of processes."`
	Timeout  time.Duration `default:"5s" placeholder:"TIME" help:"How long to wait for each answer (default 5s)."`
	App      string        `default:"default" placeholder:"NAME" help:"The app of records that name none (default \"default\")."`
	Then     bool          `help:"With --config: decide by the lists as they were at the time of each record, so that policies alone are compared."`
	JSON     bool          `name:"json" help:"Print differences and the summary as JSON, one object a line."`
	Summary  bool          `help:"Print the summary alone."`
	ExitCode bool          `help:"Exit with 1 if there are differences."`
}

// Help is shown by replay --help.
func (*replayCmd) Help() string {
	return "A record is a question and what was answered:\n\n" +
		"  {\"sender\":\"alice\",\"recipient\":\"bob\",\"room_type\":\"direct\",\"deliver\":false,\"action\":\"drop\"}\n\n" +
		"Also read are app, room, origin, verify, notify_blocked, time (or at), notify and reason; what is not given is not compared. " +
		"Decision logs are such records if they were written with plain ids. Where a record or an answer is of a dry run, what it would " +
		"have been is compared.\n\n" +
		"  sidegate replay decisions.ndjson                        # ask the server here\n" +
		"  sidegate replay decisions.ndjson --config new.yaml      # try policies, with the lists of the database it names"
}

// replayBatch is how many questions are asked at a time: a batch of the server.
const replayBatch = 1000

// replayAnswerer answers questions of one app.
type replayAnswerer interface {
	// answer answers in the order of the questions. It may return an
	// unaskedError: then the app is none that it knows, and other apps may be.
	answer(ctx context.Context, app string, questions []*replayLine) ([]replayVerdict, error)
}

// unaskedError says why no question of an app can be asked.
type unaskedError struct{ error }

// Run replays a file.
func (c *replayCmd) Run(ctx context.Context, p *program) error {
	in, size, err := openInput(c.File, p)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out := newReplayReport(c, p)
	ask := func(ctx context.Context, with replayAnswerer) error {
		meter := &meter{from: in, size: size, begun: p.now(), now: p.now}
		if size > 0 {
			// The decision log of the server that is asked has the answers to us
			// appended to it: its end would never come.
			meter.from = io.LimitReader(in, size)
		}
		// On one terminal the progress line and the differences would tear each
		// other.
		if c.Summary || !isTerminal(p.stdout) {
			defer showProgress(p.stderr, meter).stop()
		}
		return c.replay(ctx, meter, with, out)
	}
	if err := c.with(ctx, p, ask); err != nil {
		return err
	}
	out.finish()
	switch {
	case out.sum.Compared == 0:
		return usageError{errors.New("there was nothing to compare")}
	case c.ExitCode && out.sum.Differences > 0:
		return errWithheld
	}
	return nil
}

// with calls run with who answers.
func (c *replayCmd) with(ctx context.Context, p *program, run func(context.Context, replayAnswerer) error) error {
	switch {
	case c.Config != "" && c.CheckURL != "":
		return usageError{errors.New("--config tries a configuration and --check-url asks a running server: give one of them")}
	case c.Config != "":
		return c.try(ctx, p, run)
	case c.Then:
		return usageError{errors.New("--then: a server answers by its lists of now; give --config")}
	case c.PostgresURL != nil:
		return usageError{errors.New("--postgres-url: a server has a database of its own; give --config")}
	}
	flags := checkFlags{clientFlags: clientFlags{Token: c.Token, Timeout: c.Timeout}, CheckURL: c.CheckURL}
	api, err := flags.client(p)
	if err != nil {
		return err
	}
	return run(ctx, &replayServer{api})
}

// replay reads the records, asks for them in batches and reports. Nothing is kept
// but the batch, so a file may be of any length.
func (c *replayCmd) replay(ctx context.Context, in io.Reader, with replayAnswerer, out *replayReport) error {
	lines := newReplayReader(in)
	batch := make([]*replayLine, 0, replayBatch)
	for {
		line, err := lines.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return usageError{err}
		}
		if line != nil {
			if line.App == "" {
				line.App = c.App
			}
			batch = append(batch, line)
		}
		if len(batch) == replayBatch || err != nil {
			if err := askAll(ctx, with, batch); err != nil {
				return err
			}
			out.add(batch)
			batch = batch[:0]
		}
		if err != nil {
			return nil
		}
	}
}

// askAll has the lines of a batch answered that can be, app by app. What is wrong
// with a line, or with its app, is left in it.
func askAll(ctx context.Context, with replayAnswerer, batch []*replayLine) error {
	var apps []string
	byApp := make(map[string][]*replayLine)
	for _, line := range batch {
		if line.wrong != nil || !line.compared() {
			continue
		}
		if byApp[line.App] == nil {
			apps = append(apps, line.App)
		}
		byApp[line.App] = append(byApp[line.App], line)
	}
	for _, app := range apps {
		answers, err := with.answer(ctx, app, byApp[app])
		if unasked, ok := errors.AsType[unaskedError](err); ok {
			for _, line := range byApp[app] {
				line.wrong = unasked
			}
			continue
		}
		if err != nil {
			return err
		}
		for i, line := range byApp[app] {
			line.now = answers[i]
		}
	}
	return nil
}

// verdictOf is a decision of the engine as a record has it.
func verdictOf(d filter.Decision) replayVerdict {
	d, _ = d.Would()
	if d.Unknown() {
		return replayVerdict{Reason: d.Reason.String()}
	}
	return replayVerdict{Deliver: &d.Deliver, Notify: &d.Notify, Action: d.Action.String(), Reason: d.Reason.String(), Degraded: d.Degraded}
}
