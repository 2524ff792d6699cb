package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
)

// statusCmd shows the state of a server to staff.
type statusCmd struct {
	opsFlags
	JSON bool `name:"json" help:"Print the answer as the server gave it."`
}

// Help is shown by status --help.
func (*statusCmd) Help() string {
	return "Asks the ops listener, which tells this to staff alone: the token needs the scope staff. " +
		"sidegate dev prints one."
}

// Run shows the state of a running sidegate.
func (c *statusCmd) Run(ctx context.Context, p *program) error {
	ops, err := c.client(p)
	if err != nil {
		return err
	}
	_, body, err := ops.do(ctx, call{method: http.MethodGet, path: "/v1/status"})
	if err != nil {
		return err
	}
	if c.JSON {
		p.say("%s", body)
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // hashes and versions are larger than a float holds exactly
	var state any
	if err := decoder.Decode(&state); err != nil {
		return ops.strange(err)
	}
	p.outline("", state)
	return nil
}

// outline prints a JSON value as lines of "path: value". The server may show
// more than this program knows of, so nothing is picked out.
func (p *program) outline(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			p.outline(below(path, name), v[name])
		}
	case []any:
		for i, item := range v {
			p.outline(below(path, fmt.Sprint(i+1)), item)
		}
	case string:
		p.say("%s: %s", path, printable(v))
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return // a number, a truth value or null: never
		}
		p.say("%s: %s", path, text)
	}
}

// below appends a name to a path.
func below(path, name string) string {
	if path == "" {
		return printable(name)
	}
	return path + "." + printable(name)
}

// healthcheckCmd asks a probe. Images without a shell have no curl, and a Unix
// socket cannot be asked by a kubelet.
type healthcheckCmd struct {
	opsFlags
	Socket string `placeholder:"PATH" help:"The Unix socket of the ops listener, in place of --ops-url."`
	Probe  string `enum:"livez,readyz,startupz" default:"readyz" placeholder:"PROBE" help:"livez, readyz or startupz (default readyz)."`
}

// Help is shown by healthcheck --help.
func (*healthcheckCmd) Help() string {
	return "Exits with 0 if the probe is green, and with 3 if it is not or nobody answers. " +
		"In a container that has only a Unix socket, or certificates that a kubelet has not:\n\n" +
		"  exec: {command: [/sidegate, healthcheck, --socket, /run/sidegate/ops.sock, --probe, readyz]}"
}

// Run asks a probe. Any failure but one of usage has the exit code of "not
// reached", so that a script need not tell a dead server from a sick one.
func (c *healthcheckCmd) Run(ctx context.Context, p *program) error {
	if c.Socket != "" {
		if c.OpsURL != "" {
			return usageError{errors.New("--socket and --ops-url name the same thing; give one of them")}
		}
		path, err := filepath.Abs(c.Socket)
		if err != nil {
			return usageError{fmt.Errorf("--socket: %w", err)}
		}
		c.OpsURL = (&url.URL{Scheme: "unix", Path: path}).String()
	}
	ops, err := c.client(p)
	if err != nil {
		return err
	}
	_, _, err = ops.do(ctx, call{method: http.MethodGet, path: "/" + c.Probe})
	var refused *problem
	if errors.As(err, &refused) {
		return unreachableError{fmt.Errorf("%s: %w", c.Probe, err)}
	}
	if err != nil {
		return err
	}
	p.say("%s: ok", c.Probe)
	return nil
}
