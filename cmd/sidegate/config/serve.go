package config

import (
	"errors"
	"fmt"

	"github.com/sidegate/sidegate/cmd/sidegate/tlsfiles"
)

// CheckServe returns nil if a server may be started with c, otherwise all
// reasons against it. What the database says is found out by connecting, not
// here.
func (c *Config) CheckServe() error {
	var faults []error
	if c.Postgres.URL == "" {
		faults = append(faults, errors.New("postgres.url is empty: give --postgres-url, "+
			"SIDEGATE_POSTGRES_URL or the key in the file (`sidegate dev` brings a database of its own)"))
	}
	return errors.Join(append(faults, c.CheckListeners())...)
}

// CheckListeners is [Config.CheckServe] without the database, for dev.
func (c *Config) CheckListeners() error {
	var faults []error
	if !c.opened && len(c.filled) > 0 {
		return errors.New("the files of secrets have not been read")
	}
	var listening int
	for _, l := range c.listeners() {
		listening += len(l.listen)
		if l.tls != nil {
			if _, err := l.tls.Files().Load(); err != nil {
				key := "cert_file"
				if errors.Is(err, tlsfiles.ErrNoAuthority) {
					key = "client_ca_file"
				}
				faults = append(faults, fmt.Errorf("%s: %w", c.at(l.name, "tls", key), err))
			}
		}
		faults = append(faults, c.checkExposed(l)...)
	}
	if listening == 0 {
		faults = append(faults, errors.New("nothing to serve: check.listen, api.listen and ops.listen are all empty"))
	}
	return errors.Join(faults...)
}

// bound is where a listener is bound, and by whom.
type bound struct {
	listen []Address
	by     string
}

// TakeOver says that the addresses of a listener were bound by somebody else, who
// is named, and that they stand in place of its own. What is checked and shown
// afterwards is about these, also of what [Config.Next] makes of c. What is written
// in the file stays what a change is found by.
func (c *Config) TakeOver(name string, listen []Address, by string) error {
	target := map[string]*[]Address{"check": &c.Check.Listen, "api": &c.API.Listen, "ops": &c.Ops.Listen}[name]
	if target == nil {
		return fmt.Errorf("%s is no listener; there are check, api and ops", name)
	}
	*target = listen
	if c.bound == nil {
		c.bound = map[string]bound{}
	}
	c.bound[name] = bound{listen, by}
	c.origin[name+sep+"listen"] = place{path: name + sep + "listen", name: by, source: by}
	return nil
}

// checkExposed refuses an address that other machines reach and that asks for
// no credential. The ops listener asks by itself wherever a user could show.
func (c *Config) checkExposed(l listener) (faults []error) {
	if c.Insecure || l.name == "ops" || len(l.tokens) > 0 || l.tls.Mutual() || l.name == "api" && c.API.JWT != nil {
		return nil
	}
	credential := l.name + ".tokens"
	if l.name == "api" {
		credential += ", api.jwt"
	}
	credential += " or " + l.name + ".tls.client_ca_file"
	for _, a := range l.listen {
		if !a.Local() {
			faults = append(faults, fmt.Errorf("%s: %s can be reached from other machines and nobody is asked for a credential; "+
				"set %s, listen on 127.0.0.1 or a Unix socket, or start with --insecure", c.at(l.name, "listen"), a, credential))
		}
	}
	return faults
}
