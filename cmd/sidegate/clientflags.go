package main

import (
	"fmt"
	"net"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
)

// clientFlags are those of every command that asks a running sidegate. The
// configuration is the server's own: on the same machine nothing more is needed
// to find it.
type clientFlags struct {
	fileFlag
	Token   string        `placeholder:"TOKEN" help:"Bearer token; SIDEGATE_TOKEN keeps it out of the list of processes."`
	Timeout time.Duration `default:"5s" placeholder:"TIME" help:"How long to wait for the answer (default 5s)."`
}

// checkFlags find the check listener.
type checkFlags struct {
	clientFlags
	CheckURL string `name:"check-url" placeholder:"URL" help:"The check listener: http://host:port or unix:///path (SIDEGATE_CHECK_URL). Default: the first address of check.listen."`
}

// apiFlags find the api listener.
type apiFlags struct {
	clientFlags
	APIURL string `name:"api-url" placeholder:"URL" help:"The api listener: http://host:port or unix:///path (SIDEGATE_API_URL). Default: the first address of api.listen."`
}

// opsFlags find the ops listener.
type opsFlags struct {
	clientFlags
	OpsURL string `name:"ops-url" placeholder:"URL" help:"The ops listener: http://host:port or unix:///path (SIDEGATE_OPS_URL). Default: the first address of ops.listen."`
}

// client makes a client of the check listener.
func (f *checkFlags) client(p *program) (*client, error) {
	return f.connect(p, door{"check", f.CheckURL, envCheckURL, func(c *config.Config) []config.Address { return c.Check.Listen }})
}

// client makes a client of the api listener.
func (f *apiFlags) client(p *program) (*client, error) {
	return f.connect(p, door{"api", f.APIURL, envAPIURL, func(c *config.Config) []config.Address { return c.API.Listen }})
}

// client makes a client of the ops listener.
func (f *opsFlags) client(p *program) (*client, error) {
	return f.connect(p, door{"ops", f.OpsURL, envOpsURL, func(c *config.Config) []config.Address { return c.Ops.Listen }})
}

// door says where the address of a listener may stand: flag, variable,
// configuration, in this order.
type door struct {
	name   string
	flag   string
	env    string
	listen func(*config.Config) []config.Address
}

// connect makes a client; nothing is sent. The configuration is read only if
// no URL is given, so that a client needs no file at all.
func (f *clientFlags) connect(p *program, d door) (*client, error) {
	token := f.Token
	if token == "" {
		token = p.getenv(envToken)
	}
	address := d.flag
	if address == "" {
		address = p.getenv(d.env)
	}
	if address == "" {
		c, err := loadConfig(f.source(p, nil)) // opens no secret: this is a client
		if err != nil {
			return nil, err
		}
		if address, err = dialable(d, c); err != nil {
			return nil, err
		}
	}
	return newClient(address, token, f.Timeout)
}

// dialable turns the first address that a listener is bound to into one that
// can be called: a listener on every interface is called on loopback.
func dialable(d door, c *config.Config) (string, error) {
	listen := d.listen(c)
	if len(listen) == 0 {
		return "", usageError{fmt.Errorf("%s.listen is empty, so this sidegate has no %s listener; give --%s-url", d.name, d.name, d.name)}
	}
	a := listen[0]
	if a.Network == "unix" {
		a.Mode = config.DefaultSocketMode // no concern of a client
		return a.String(), nil
	}
	host, port, err := net.SplitHostPort(a.Address)
	if err != nil {
		return "", usageError{fmt.Errorf("%s.listen: %w", d.name, err)}
	}
	switch {
	case port == "0":
		return "", usageError{fmt.Errorf("%s.listen leaves the port to the system; give --%s-url", d.name, d.name)}
	case host == "" || host == "0.0.0.0":
		host = "127.0.0.1"
	case host == "::":
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}
