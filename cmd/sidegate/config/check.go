package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/sidegate/sidegate/filter"
)

// resolvePolicies starts each app from its preset and lays the keys that are
// set over it. The printed values are those that result.
func (c *Config) resolvePolicies() {
	for name, app := range c.Apps {
		app.Policy, _ = filter.Preset(app.Preset) // an unknown name was refused when it was read
		for _, k := range Keys() {
			if k.policy == nil {
				continue
			}
			path := concrete(k, "apps"+sep+name)
			if v, ok := c.values[path]; ok {
				k.policy.set(&app.Policy, v)
			}
			if v := k.policy.get(&app.Policy); v != nil {
				c.values[path] = v
			}
		}
		c.Apps[name] = app
	}
}

// at names a key with the place where it was set.
func (c *Config) at(path ...string) string {
	full := strings.Join(path, sep)
	if c.filled[full] {
		full += fileSuffix
	}
	if origin, ok := c.origin[full]; ok {
		return origin.name
	}
	return dotted(full)
}

// Place names a key or a group for people, with the line or the variable that sets
// it. The parts are those of its path.
func (c *Config) Place(path ...string) string { return c.at(path...) }

// within tells where the group of a key that is missing stands.
func (c *Config) within(path ...string) string {
	for i := len(path) - 1; i > 0; i-- {
		if group, ok := c.origin[strings.Join(path[:i], sep)]; ok {
			return " at " + group.source
		}
	}
	return ""
}

// feedSpan is how many times as long as an answer may be late the feed should reach
// back at the least.
const feedSpan = 10

// check holds the values against each other. It goes on after the first fault,
// so that one start shows all of them.
func (c *Config) check() (faults []error) {
	if c.Sync.SoftBound < c.Sync.PollInterval {
		faults = append(faults, fmt.Errorf("%s: %s is below sync.poll_interval (%s); every answer would count as late",
			c.at("sync", "soft_bound"), formatDuration(c.Sync.SoftBound), formatDuration(c.Sync.PollInterval)))
	}
	if c.Sync.HardBound < c.Sync.SoftBound {
		faults = append(faults, fmt.Errorf("%s: %s is below sync.soft_bound (%s)",
			c.at("sync", "hard_bound"), formatDuration(c.Sync.HardBound), formatDuration(c.Sync.SoftBound)))
	}
	if c.Sync.Retention < feedSpan*c.Sync.SoftBound {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %s is less than %d times sync.soft_bound (%s), so that a short outage makes sidecars read every list again",
			c.at("sync", "retention"), formatDuration(c.Sync.Retention), feedSpan, formatDuration(c.Sync.SoftBound)))
	}
	faults = append(faults, c.checkAddresses()...)
	faults = append(faults, c.checkTokens()...)
	faults = append(faults, c.checkTLS()...)
	if c.API.JWT != nil {
		faults = append(faults, c.API.JWT.check(c.at("api", "jwt"))...)
		c.warnAudience()
	}
	faults = append(faults, c.checkProbe()...)
	faults = append(faults, c.checkAudit()...)
	c.warnDoors()
	return append(faults, c.checkApps()...)
}

// listener is one of the three, for the checks that are the same for all.
type listener struct {
	name   string
	listen []Address
	tokens []Token
	tls    *TLS // nil = plain
}

// listeners returns the three in the order in which they are documented.
func (c *Config) listeners() []listener {
	return []listener{
		{"check", c.Check.Listen, c.Check.Tokens, c.Check.TLS},
		{"api", c.API.Listen, c.API.Tokens, c.API.TLS},
		{"ops", c.Ops.Listen, c.Ops.Tokens, c.Ops.TLS},
	}
}

// checkAddresses refuses an address that two listeners share. The system would
// refuse it as well, but only once half of the program is running.
func (c *Config) checkAddresses() (faults []error) {
	taken := map[Address]string{}
	for _, l := range c.listeners() {
		for _, a := range l.listen {
			key := Address{Network: a.Network, Address: a.Address} // another mode is no other socket
			if other, ok := taken[key]; ok && !strings.HasSuffix(a.Address, ":0") {
				faults = append(faults, fmt.Errorf("%s: %s listens on %s already", c.at(l.name, "listen"), other, a))
			}
			taken[key] = l.name
		}
	}
	return faults
}

// checkTLS refuses half a certificate.
func (c *Config) checkTLS() (faults []error) {
	for _, l := range c.listeners() {
		if l.tls == nil {
			continue
		}
		set := c.at(l.name, "tls") // with its place, if one of the keys was given
		for _, key := range []string{"min_version", "client_ca_file", "key_file", "cert_file"} {
			if origin, ok := c.origin[strings.Join([]string{l.name, "tls", key}, sep)]; ok {
				set = origin.name
			}
		}
		for _, file := range []struct{ key, path string }{{"cert_file", l.tls.CertFile}, {"key_file", l.tls.KeyFile}} {
			if file.path == "" {
				faults = append(faults, fmt.Errorf("%s: %s.tls.%s is missing; a certificate and its key belong together",
					set, l.name, file.key))
			}
		}
	}
	return faults
}

// checkTokens holds tokens against the apps: one that is made for an app with a
// typing error in its name would open nothing, and nobody would know why.
func (c *Config) checkTokens() (faults []error) {
	apps := slices.Sorted(maps.Keys(c.Apps))
	for _, l := range c.listeners() {
		for _, t := range l.tokens {
			for _, app := range t.Apps {
				if _, ok := c.Apps[app]; ok {
					continue
				}
				best, _ := nearest(app, apps)
				faults = append(faults, fmt.Errorf("%s: token %q is for the app %q, which is not configured: did you mean %q?",
					c.at(l.name, "tokens"), t.Name, app, best))
			}
			if l.name != "ops" && len(t.Scopes) == 1 && t.Scopes[0] == ScopeUser {
				c.Warnings = append(c.Warnings, fmt.Sprintf("%s: token %q has the scope user alone and names no user, so it opens nothing; only a signed token names one",
					c.at(l.name, "tokens"), t.Name))
			}
			if l.name == "ops" && !slices.Contains(t.Scopes, ScopeStaff) {
				c.Warnings = append(c.Warnings, fmt.Sprintf("%s: token %q has no scope staff, so it opens nothing on the ops listener",
					c.at(l.name, "tokens"), t.Name))
			}
		}
	}
	return faults
}

// checkApps checks what results for each app, in the order of their names, so
// that the same file always has the same message.
func (c *Config) checkApps() (faults []error) {
	owners := &credentials{at: c.at, owners: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		app := c.Apps[name]
		if err := app.Policy.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", c.at("apps", name), err))
		}
		faults = append(faults, c.checkDialects(name, app.Dialects)...)
		faults = append(faults, owners.add(name, app.Dialects)...)
	}
	return faults
}

// warnDoors warns of what serves and should not be left so.
func (c *Config) warnDoors() {
	if c.Insecure {
		c.Warnings = append(c.Warnings, c.at("insecure")+": listeners are open to whoever reaches them, unless something in front of them asks for a credential")
	}
}

// SuperuserByName returns a warning if the database is connected to as the role that
// is the superuser everywhere, "" if not. Of any other role only the database knows;
// a server asks it and needs no guess.
func (c *Config) SuperuserByName() string {
	u, err := url.Parse(c.Postgres.URL)
	if err != nil || u.User == nil || u.User.Username() != "postgres" {
		return ""
	}
	return c.at("postgres", "url") + ": the role postgres is the superuser; one that is a member of sidegate_read and sidegate_write is enough"
}

// warnAudience: whoever publishes keys signs tokens for more services than this
// one, and each of those services could use them here.
func (c *Config) warnAudience() {
	if j := c.API.JWT; j.Secret == "" && j.Audience == "" {
		c.Warnings = append(c.Warnings, c.at("api", "jwt")+" has no audience, so that tokens which its issuer made for other services are taken as well")
	}
}
