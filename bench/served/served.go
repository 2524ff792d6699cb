// Package served starts the built sidegate on a database, for studies that ask it
// from outside.
package served

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sidegate/sidegate/bench/load"
)

// Options say what is started.
type Options struct {
	Program string // path of the built sidegate
	DSN     string
	// Config is YAML; what it says about addresses and the database is ignored.
	Config string
	Dir    string // for the file; it must exist
}

// Program is a sidegate that serves.
type Program struct {
	*load.Process
	Check, API, Ops string // host:port
}

// Start starts a program with its listeners on free ports of loopback, without
// credentials, and returns when it answers. Callers stop it.
func Start(ctx context.Context, o Options) (p *Program, err error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(o.Dir, "sidegate-*.yaml")
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(o.Config)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(o.Program)
	if err != nil {
		return nil, err
	}
	p = &Program{Check: ports[0], API: ports[1], Ops: ports[2]}
	p.Process, err = load.StartProcess(exec.Command(path, "serve", "--insecure", "--config", file.Name(),
		"--postgres-url", o.DSN, "--check-listen", p.Check, "--api-listen", p.API, "--ops-listen", ports[2]))
	if err != nil {
		return nil, err
	}
	for _, address := range ports {
		if err := p.Await(ctx, load.Answers(ctx, "tcp", address)); err != nil {
			p.Stop()
			return nil, err
		}
	}
	return p, nil
}

// freePorts returns addresses that nobody listens on at the moment.
func freePorts(n int) (addresses []string, err error) {
	listeners := make([]net.Listener, 0, n)
	for range n {
		l, e := net.Listen("tcp", "127.0.0.1:0")
		if e != nil {
			err = e
			break
		}
		listeners = append(listeners, l)
		addresses = append(addresses, l.Addr().String())
	}
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return addresses, err
}
