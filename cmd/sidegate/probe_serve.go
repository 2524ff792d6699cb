package main

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/prober"
	"github.com/sidegate/sidegate/cmd/sidegate/tlsfiles"
	"github.com/sidegate/sidegate/filter"
)

// ownProbe is a prober in a process that serves: it writes by the very services of
// the api listener, and reads as any client does.
type ownProbe struct {
	prober  *prober.Prober
	targets *probeTargets
}

// ownTarget is the name of the check listener of the process that probes.
const ownTarget = "self"

// The times of a prober within: it holds up no shutdown.
const (
	ownProbeTimeout = 5 * time.Second
	ownProbeGrace   = time.Second
)

// buildProbe makes the prober if one is asked for.
func (s *sidegate) buildProbe() (err error) {
	c := &s.cfg.Probe
	if c.Interval == 0 || s.api == nil {
		return nil
	}
	s.probe = &ownProbe{}
	if s.probe.targets, err = newProbeTargets(c.Targets, c.App, s.probeDialing()); err != nil {
		return err
	}
	counts := prober.NewMetrics(s.registry)
	if len(c.Targets) == 0 {
		counts.Announce(ownTarget)
	}
	for _, t := range s.probe.targets.fixed {
		counts.Announce(t.Name)
	}
	s.probe.prober, err = prober.New(prober.Options{
		Writer:   &ownWriter{lists: func() *filter.Blocks { return s.current.Load().core.lists }, app: c.App},
		Find:     s.probe.targets.find,
		Interval: c.Interval, FindEvery: findEvery(s.probe.targets), Patient: true, Grace: ownProbeGrace,
		SoftBound: func() time.Duration { return s.current.Load().cfg.Sync.SoftBound },
		Metrics:   counts, Logger: s.log,
	})
	return err
}

func (s *sidegate) probeDialing() dialing {
	c := &s.cfg.Probe
	return dialing{token: c.Token, timeout: ownProbeTimeout, tls: tlsfiles.Client{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile}}
}

// runProbe probes until ctx ends. Nobody who serves is to end because of it.
func (s *sidegate) runProbe(ctx context.Context) error {
	if len(s.cfg.Probe.Targets) == 0 {
		if err := s.probeSelf(); err != nil {
			return err
		}
	}
	defer s.probe.targets.close()
	if err := s.probe.prober.Run(ctx); err != nil {
		s.log.Warn("the prober has left entries behind", "error", err)
	}
	return nil
}

// probeSelf adds the own check listener, which is bound by now.
func (s *sidegate) probeSelf() error {
	how := s.probeDialing()
	how.keep = true
	if s.cfg.Check.TLS != nil {
		how.tls.Own = s.cfg.Check.TLS.CertFile
	}
	address, err := dialable(door{name: "check", listen: func(*config.Config) ([]config.Address, *config.TLS) {
		return []config.Address{addressOf(s.check.Addrs()[0])}, s.cfg.Check.TLS
	}}, s.cfg)
	if err != nil {
		return err
	}
	c, err := newClient(address, how)
	if err != nil {
		return err
	}
	s.probe.targets.add(ownTarget, c)
	return nil
}
