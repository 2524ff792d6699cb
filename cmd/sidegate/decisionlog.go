package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/decisionlog"
	"github.com/sidegate/sidegate/metrics/border"
)

// standardOutput is the path that stands for it.
const standardOutput = "-"

// namesOf is how a log names users. The two logs have one key, so that a line of one
// can be matched with a line of the other.
func namesOf(cfg *config.Config, userIDs string) *border.Names {
	if userIDs == "plain" {
		return border.PlainNames()
	}
	return border.HashedNames(cfg.Log.IDKey)
}

// buildDecisionLog makes the log of decisions if one is asked for. Its metrics are
// there in any case: a dashboard shows zero where there is none.
func (s *sidegate) buildDecisionLog(stdout io.Writer) (err error) {
	counts := decisionlog.NewMetrics(s.registry)
	c := &s.cfg.DecisionLog
	if c.Path == "" {
		return nil
	}
	opts := decisionlog.Options{
		Path: c.Path, Sample: c.Sample, Rate: c.Rate, Names: namesOf(s.cfg, c.UserIDs), Metrics: counts, Logger: s.log,
	}
	if c.Path == standardOutput {
		opts.Path, opts.Output = "", stdout
	}
	s.decisions, err = decisionlog.New(opts)
	return err
}

// runDecisionLog writes until ctx ends, and opens the file anew on every SIGHUP:
// whoever rotates logs sends one. A program that SIGHUP ends, as dev, is ended by it
// all the same.
func (s *sidegate) runDecisionLog(ctx context.Context) error {
	if s.cfg.DecisionLog.Path == standardOutput {
		// Whoever reads it may go away: that costs records, not the process.
		signal.Ignore(syscall.SIGPIPE)
	}
	hangups := make(chan os.Signal, 1)
	if s.reloads.hangup != nil {
		signal.Notify(hangups, syscall.SIGHUP)
	}
	rotating := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(rotating)
		for {
			select {
			case <-hangups:
				s.decisions.Reopen()
			case <-ctx.Done():
				return
			}
		}
	}()
	err := s.decisions.Run(ctx)
	signal.Stop(hangups)
	cancel()
	<-rotating
	return err
}
