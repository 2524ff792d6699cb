package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/prober"
	"github.com/sidegate/sidegate/metrics"
	"github.com/sidegate/sidegate/metrics/border"
)

// probeCmd writes by an api listener and reads by check listeners.
type probeCmd struct {
	apiFlags
	TokenFile      string        `placeholder:"FILE" help:"A file that holds the token, in place of --token."`
	Target         []string      `sep:"none" placeholder:"ADDRESS" help:"A check listener to read, one process each: http(s)://host:port, unix:///path, or dns:NAME:PORT (dns+https:…) for all that a name stands for. May be repeated. Default: --check-url or the first address of check.listen."`
	CheckURL       string        `name:"check-url" placeholder:"URL" help:"The same as one --target, as other commands have it (SIDEGATE_CHECK_URL)."`
	CheckTokenFile string        `placeholder:"FILE" help:"A file that holds the token of the targets, where it is another one."`
	App            string        `default:"default" placeholder:"NAME" help:"The app whose lists are written (default \"default\")."`
	Interval       time.Duration `default:"1s" placeholder:"TIME" help:"Time between two writes (default 1s; 10ms to 5m)."`
	Duration       time.Duration `default:"1m" placeholder:"TIME" help:"How long to go on (default 1m); 0 = until Ctrl-C."`
	SoftBound      time.Duration `default:"2s" placeholder:"TIME" help:"sync.soft_bound of the targets (default 2s): how old an answer may be without a word."`
	Listen         string        `placeholder:"ADDRESS" help:"Serve /metrics and probes there meanwhile: host:port."`
	JSON           bool          `name:"json" help:"Print the summary as JSON."`
}

// Help is shown by probe --help.
func (*probeCmd) Help() string {
	return "It blocks and unblocks users that nobody else has (their ids begin with " + prober.Prefix + "), reads every target until it shows the write, " +
		"and holds each answer against the writes: none may be older than it says, lack the write whose revision it was asked with, or take back what its " +
		"target has shown. At the end, and on Ctrl-C, the entries are taken away and a summary is printed.\n\n" +
		"Exit codes: 0 clean · 1 an answer was wrong · 2 usage, or a credential that is refused · 3 the api listener or a target was not reached, or did not show the last writes.\n\n" +
		"  sidegate probe --target http://10.0.0.7:7070 --target http://10.0.0.8:7070\n" +
		"  sidegate probe --target dns:sidegate-pods:7070 --duration 0 --listen :9090"
}

// The times of a run that nobody has to choose.
const (
	probeFindEvery = 10 * time.Second // new targets behind a name
	probeGrace     = 5 * time.Second
	probeSettle    = 2 // soft bounds: within one, or with a word, an answer has every write
)

// Run probes, and tells what it found.
func (c *probeCmd) Run(ctx context.Context, p *program) error {
	targets, writer, err := c.ends(p)
	if err != nil {
		return err
	}
	defer targets.close()
	if err := c.firstLook(ctx, targets); err != nil {
		return err
	}
	registry := metrics.New(build())
	log, _ := newLogger(config.Log{Level: "warn", Format: "auto"}, p.stderr)
	probe, err := prober.New(prober.Options{
		Writer: writer, Find: targets.find, FindEvery: findEvery(targets),
		Interval: c.Interval, Duration: c.Duration, SoftBound: func() time.Duration { return c.SoftBound },
		Settle: probeSettle * c.SoftBound, Grace: probeGrace,
		Metrics: prober.NewMetrics(registry), Logger: log,
	})
	if err != nil {
		return usageError{err}
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	stages := []stage{{func(ctx context.Context) error {
		defer stop()
		failed = probe.Run(ctx)
		return nil
	}}}
	if c.Listen != "" {
		ops, err := c.metricsAt(p, metrics.OpsOptions{Gatherer: registry, Build: build(), Logger: log})
		if err != nil {
			return err
		}
		stages = append(stages, stage{ops.Run})
	}
	if err := runStages(running, stages...); err != nil {
		return err
	}
	report := probe.Report()
	if failed != nil && report.Writes.Acknowledged == 0 {
		return failed // there is nothing to sum up
	}
	c.print(p, &report)
	if err := verdictError(&report); err != nil {
		if failed != nil {
			log.Warn("the prober has left entries behind", "error", failed)
		}
		return err
	}
	return failed
}

// verdictError is the error that ends the command.
func verdictError(report *prober.Report) error {
	switch report.Verdict {
	case prober.Wrong:
		return errWithheld
	case prober.Unreached:
		return unreachableError{errors.New("not every target was reached by every write")}
	}
	return nil
}

// ends makes what writes and what is read.
func (c *probeCmd) ends(p *program) (*probeTargets, *apiWriter, error) {
	if c.Interval < prober.MinInterval || c.Interval > prober.MaxInterval || c.Duration < 0 || c.SoftBound <= 0 || c.Timeout <= 0 {
		return nil, nil, usageError{fmt.Errorf("--interval is from %s to %s, --soft-bound and --timeout are above zero, and --duration is not below it", prober.MinInterval, prober.MaxInterval)}
	}
	if c.TokenFile != "" {
		if c.Token != "" {
			return nil, nil, usageError{errors.New("--token and --token-file are two ways to give one token; choose one")}
		}
		var err error
		if c.Token, err = tokenFile("--token-file", c.TokenFile); err != nil {
			return nil, nil, err
		}
	}
	api, err := c.client(p)
	if err != nil {
		return nil, nil, err
	}
	checks := c.clientFlags
	if c.CheckTokenFile != "" {
		if checks.Token, err = tokenFile("--check-token-file", c.CheckTokenFile); err != nil {
			return nil, nil, err
		}
	}
	flag, addresses := c.CheckURL, c.Target
	if len(addresses) > 0 {
		flag = addresses[0] // so that nothing is looked for in the configuration
	}
	address, how, err := checks.find(p, checkDoor(flag))
	if err != nil {
		return nil, nil, err
	}
	if len(addresses) == 0 {
		addresses = []string{address}
	}
	targets, err := newProbeTargets(addresses, c.App, how)
	return targets, &apiWriter{api, c.App}, err
}

// tokenFile reads a token.
func tokenFile(flag, path string) (string, error) {
	text, err := config.ReadFile(path)
	token := strings.TrimSpace(string(text))
	if err == nil && (token == "" || strings.ContainsAny(token, "\r\n")) {
		err = fmt.Errorf("%s does not hold one token", path)
	}
	if err != nil {
		return "", usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return token, nil
}

// firstLook asks each target once, before anything is written: whoever refuses to
// be asked does so at once, and not in a summary after a minute. One that is
// not there now may be later.
func (c *probeCmd) firstLook(ctx context.Context, targets *probeTargets) error {
	all, err := targets.find(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		_, err := t.Ask(ctx, prober.Question{Sender: prober.Prefix + "000-sender", Recipient: prober.Prefix + "000"})
		refused, ok := errors.AsType[*problem](err)
		if usage, wrong := errors.AsType[usageError](err); wrong || ok && refused.Status < http.StatusInternalServerError {
			if !wrong {
				usage = usageError{err}
			}
			return usageError{fmt.Errorf("%s: %w", t.Name, usage)}
		}
	}
	return nil
}

// findEvery: addresses that were given do not change.
func findEvery(targets *probeTargets) time.Duration {
	if len(targets.named) > 0 {
		return probeFindEvery
	}
	return 0
}

// metricsAt binds the listener for metrics and says where it is.
func (c *probeCmd) metricsAt(p *program, opts metrics.OpsOptions) (*metrics.Ops, error) {
	address, err := config.ParseAddress(c.Listen)
	if err != nil {
		return nil, usageError{fmt.Errorf("--listen: %w", err)}
	}
	opts.Listen = []border.Address{border.Address(address)}
	ops, err := metrics.NewOps(opts)
	if err == nil {
		err = ops.Listen()
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--listen: %w", err)}
	}
	_, _ = fmt.Fprintf(p.stderr, "metrics: http://%s/metrics\n", ops.Addrs()[0])
	return ops, nil
}
