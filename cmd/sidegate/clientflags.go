package main

import (
	"fmt"
	"net"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/tlsfiles"
)

// clientFlags are those of every command that asks a running sidegate. The
// configuration is the server's own: on the same machine nothing more is needed
// to find it.
type clientFlags struct {
	fileFlag
	Token   string        `placeholder:"TOKEN" help:"Bearer token; SIDEGATE_TOKEN keeps it out of the list of processes."`
	Timeout time.Duration `default:"5s" placeholder:"TIME" help:"How long to wait for the answer (default 5s)."`

	CAFile   string `name:"ca-file" placeholder:"FILE" help:"Authorities of a server that speaks https, in PEM, besides those of the system (SIDEGATE_CA_FILE)."`
	CertFile string `placeholder:"FILE" help:"Certificate to show to a server that asks for one, in PEM (SIDEGATE_CERT_FILE)."`
	KeyFile  string `placeholder:"FILE" help:"Its private key, in PEM (SIDEGATE_KEY_FILE)."`
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
	return f.connect(p, checkDoor(f.CheckURL))
}

func checkDoor(flag string) door {
	return door{"check", flag, envCheckURL, func(c *config.Config) ([]config.Address, *config.TLS) { return c.Check.Listen, c.Check.TLS }}
}

// client makes a client of the api listener.
func (f *apiFlags) client(p *program) (*client, error) {
	return f.connect(p, door{"api", f.APIURL, envAPIURL, func(c *config.Config) ([]config.Address, *config.TLS) { return c.API.Listen, c.API.TLS }})
}

// client makes a client of the ops listener.
func (f *opsFlags) client(p *program) (*client, error) {
	return f.connect(p, door{"ops", f.OpsURL, envOpsURL, func(c *config.Config) ([]config.Address, *config.TLS) { return c.Ops.Listen, c.Ops.TLS }})
}

// door says where the address of a listener may stand: flag, variable,
// configuration, in this order.
type door struct {
	name   string
	flag   string
	env    string
	listen func(*config.Config) ([]config.Address, *config.TLS)
}

// connect makes a client; nothing is sent.
func (f *clientFlags) connect(p *program, d door) (*client, error) {
	address, how, err := f.find(p, d)
	if err != nil {
		return nil, err
	}
	return newClient(address, how)
}

// find finds out whom to call and how. The configuration is read only if no URL is
// given, so that a client needs no file at all.
func (f *clientFlags) find(p *program, d door) (address string, how dialing, err error) {
	how = dialing{token: p.flagOr(f.Token, envToken), timeout: f.Timeout, tls: tlsfiles.Client{
		CA: p.flagOr(f.CAFile, envCAFile), Cert: p.flagOr(f.CertFile, envCertFile), Key: p.flagOr(f.KeyFile, envKeyFile),
	}}
	if address = p.flagOr(d.flag, d.env); address != "" {
		return address, how, nil
	}
	c, err := loadConfig(f.source(p, nil))
	if err != nil {
		return "", how, err
	}
	if address, err = dialable(d, c); err != nil {
		return "", how, err
	}
	if _, secret := d.listen(c); secret != nil {
		how.tls.Own = secret.CertFile
	}
	return address, how, nil
}

// flagOr returns a flag, or the variable of a flag that was not given.
func (p *program) flagOr(flag, env string) string {
	if flag != "" {
		return flag
	}
	return p.getenv(env)
}

// dialable turns the first address that a listener is bound to into one that
// can be called: a listener on every interface is called on loopback.
func dialable(d door, c *config.Config) (string, error) {
	listen, secret := d.listen(c)
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
	scheme := "http://"
	if secret != nil {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port), nil
}
