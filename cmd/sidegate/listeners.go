package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/systemd"
	"github.com/sidegate/sidegate/cmd/sidegate/tlsfiles"
)

// keepers hold the certificates of the listeners that have one, by their names.
type keepers map[string]*tlsfiles.Keeper

// newKeepers reads the certificates.
func newKeepers(cfg *config.Config, reg prometheus.Registerer, log *slog.Logger) (keepers, error) {
	all := keepers{}
	var counts *tlsfiles.Metrics // of a program without TLS there is nothing to show
	for _, l := range []struct {
		name string
		tls  *config.TLS
	}{{"check", cfg.Check.TLS}, {"api", cfg.API.TLS}, {"ops", cfg.Ops.TLS}} {
		if l.tls == nil {
			continue
		}
		if counts == nil {
			counts = tlsfiles.NewMetrics(reg)
		}
		k, err := tlsfiles.New(tlsfiles.Options{Files: l.tls.Files(), Listener: l.name, Metrics: counts, Logger: log})
		if err != nil {
			return nil, usageError{fmt.Errorf("%s.tls: %w", l.name, err)}
		}
		all[l.name] = k
	}
	return all, nil
}

// of returns what the listener of this name serves TLS with, nil if it does not.
func (all keepers) of(name string) *tls.Config {
	if k := all[name]; k != nil {
		return k.Config()
	}
	return nil
}

// passed are the sockets that a service manager has bound for us, by the names of
// their listeners.
type passed map[string][]net.Listener

// takeSockets takes over what a service manager has bound.
func takeSockets(p *program) (passed, error) {
	sockets, err := systemd.Sockets(p.getenv)
	if err != nil {
		return nil, usageError{err}
	}
	return sockets, nil
}

// speakFor makes a configuration speak of the addresses that were passed, so that
// what is checked of an address is checked of these: a socket unit that listens on
// all interfaces needs a credential too.
func (s passed) speakFor(cfg *config.Config) error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		var listen []config.Address
		for _, l := range s[name] {
			listen = append(listen, addressOf(l.Addr()))
		}
		if err := cfg.TakeOver(name, listen, "the socket "+name+" that was passed"); err != nil {
			return usageError{fmt.Errorf("a socket was passed under the name %q: set FileDescriptorName= in its unit to the listener it is for: %w", name, err)}
		}
	}
	return nil
}

func addressOf(a net.Addr) config.Address {
	if a.Network() == "unix" {
		return config.Address{Network: "unix", Address: a.String(), Mode: config.DefaultSocketMode}
	}
	return config.Address{Network: "tcp", Address: a.String()}
}

// extension is how much more time a start asks for while it waits for the database,
// and extendEvery how often it does.
const (
	extension   = 30 * time.Second
	extendEvery = 10 * time.Second
)

// reportStart tells the service manager when the program has started, which is when
// the start-up probe turns green. While it waits for the database it says so, and
// asks for more time: a database that is away is no start that has failed.
func (s *sidegate) reportStart(ctx context.Context) error {
	if !s.manager.Listened() {
		return nil
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	var told time.Time
	for s.synced() != nil || s.limited() != nil {
		if time.Since(told) >= extendEvery {
			told = time.Now()
			s.tell(systemd.Status("waiting for the database"), systemd.ExtendStart(extension))
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
	s.tell(systemd.Ready, systemd.Status("serving"))
	return nil
}

// tell tells the service manager. It is not what the program lives for: a manager
// who does not listen is a line in the log.
func (s *sidegate) tell(states ...string) {
	if err := s.manager.Tell(states...); err != nil {
		s.log.Warn("the service manager was not told", "error", err)
	}
}
