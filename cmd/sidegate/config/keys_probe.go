package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Probe says how a process that serves block lists probes itself and others.
type Probe struct {
	Interval time.Duration `koanf:"interval"` // between two writes; 0 = off
	App      string        `koanf:"app"`
	Targets  []string      `koanf:"targets"` // none = the own check listener
	Token    string        `koanf:"token"`
	CAFile   string        `koanf:"ca_file"`
	CertFile string        `koanf:"cert_file"`
	KeyFile  string        `koanf:"key_file"`
}

// probeKeys are the keys of the prober.
func probeKeys() []*Key {
	return []*Key{
		{Path: "probe.interval", kind: durationKind(0, 5*time.Minute), Default: "0s",
			Doc: "How often the prober writes to a list of its own, to measure when each target answers with it, 10ms to 5m; 0 = it does not. It runs where the api listener is served, and leaves two rows of history in the database for every four writes."},
		{Path: "probe.app", kind: textKind, Default: "default",
			Doc: "The app whose lists it writes. The ids of its users begin with sidegate-probe-. An app of its own keeps them, and its history, apart from yours."},
		{Path: "probe.targets", kind: textsKind, Default: []any{},
			Doc: "The check listeners that it reads, each of one process: http(s)://host:port, unix:///path, or dns:NAME:PORT (dns+https:NAME:PORT) for all that a name stands for; at most 64. Empty = the own one. They have the same sync.soft_bound as this process."},
		{Path: "probe.token", kind: secretKind, Doc: "The token that targets ask for."},
		{Path: "probe.ca_file", kind: fileKind, Doc: "Authorities of targets that speak https, in PEM, besides those of the system."},
		{Path: "probe.cert_file", kind: fileKind, Doc: "The certificate to show to targets that ask for one, in PEM."},
		{Path: "probe.key_file", kind: fileKind, Doc: "Its private key, in PEM."},
	}
}

// The bounds of a prober, which is not known here.
const (
	minProbeInterval = 10 * time.Millisecond
	maxProbeTargets  = 64
)

// checkProbe holds the keys of the prober against each other and the rest.
func (c *Config) checkProbe() (faults []error) {
	p := &c.Probe
	if p.Interval == 0 {
		return nil
	}
	at := c.at("probe", "interval")
	if p.Interval < minProbeInterval {
		faults = append(faults, fmt.Errorf("%s: %s is below %s", at, formatDuration(p.Interval), formatDuration(minProbeInterval)))
	}
	if len(c.API.Listen) == 0 {
		faults = append(faults, fmt.Errorf("%s: a process probes only where it serves block lists, and api.listen is empty; run `sidegate probe` instead", at))
	}
	if _, ok := c.Apps[p.App]; !ok {
		best, _ := nearest(p.App, slices.Sorted(maps.Keys(c.Apps)))
		faults = append(faults, fmt.Errorf("%s: the app %q is not configured: did you mean %q?", c.at("probe", "app"), p.App, best))
	}
	if len(p.Targets) > maxProbeTargets {
		faults = append(faults, fmt.Errorf("%s: %d targets; at most %d are read", c.at("probe", "targets"), len(p.Targets), maxProbeTargets))
	}
	for i, target := range p.Targets {
		if !isProbeTarget(target) { // which is not shown: a password may stand in it
			faults = append(faults, fmt.Errorf("%s: entry %d is no check listener; write http(s)://host:port, unix:///path, or dns:NAME:PORT (dns+https:NAME:PORT)",
				c.at("probe", "targets"), i+1))
		}
	}
	if (p.CertFile == "") != (p.KeyFile == "") {
		faults = append(faults, fmt.Errorf("%s: probe.cert_file and probe.key_file belong together; give both", at))
	}
	if len(p.Targets) > 0 {
		return faults
	}
	switch {
	case len(c.Check.Listen) == 0:
		faults = append(faults, fmt.Errorf("%s: there is nothing to probe: probe.targets and check.listen are empty", at))
	case len(c.Check.Tokens) > 0 && p.Token == "":
		faults = append(faults, fmt.Errorf("%s: the own check listener is probed, and asks for a token; set probe.token to one of check.tokens", at))
	}
	return faults
}

// isProbeTarget reports whether a prober can make something of an address. It is
// asked here so that "config validate" knows, and the fault has a place.
func isProbeTarget(address string) bool {
	for _, prefix := range []string{"dns:", "dns+https:"} {
		if name, ok := strings.CutPrefix(address, prefix); ok {
			host, port, err := net.SplitHostPort(name)
			return err == nil && host != "" && port != ""
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Host != ""
	case "unix":
		return u.Host == "" && u.Path != ""
	}
	return false
}
