package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// process is a sidecar in a process of its own, and everything in its memory.
type process struct {
	*load.Process
	setup   setup
	address string
	start   startup
	control *http.Client
}

// cores holds a process to a number of cores, the first ones; 0 leaves it alone.
type cores int

// hold makes a command one that may use only so many cores.
func (n cores) hold(cmd *exec.Cmd) error {
	if n == 0 {
		return nil
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return fmt.Errorf("hold a process to %d cores: %w", n, err)
	}
	cmd.Args = append([]string{taskset, "-c", "0-" + strconv.Itoa(int(n)-1), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = taskset
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(int(n)))
	return nil
}

// patience is how long a sidecar may take to have everything in memory.
const patience = 10 * time.Minute

// startProcess starts a sidecar and waits until everything is in memory. Callers
// stop it.
func startProcess(ctx context.Context, s setup, n cores) (p *process, err error) {
	dir, err := os.MkdirTemp("", "sidegate-scaling-") // short: a socket's path may not be long
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	s.Control = filepath.Join(dir, "control")
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	cmd, err := study.HelperCommand(ctx, Sidecar.Name, string(text))
	if err != nil {
		return nil, err
	}
	if err := n.hold(cmd); err != nil {
		return nil, err
	}
	started, err := load.StartProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	p = &process{Process: started, setup: s, control: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.Control)
		},
	}}}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.Await(ctx, p.loaded(ctx)); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

var errLoading = errors.New("not everything is in memory yet")

// loaded returns a condition for Await, which fills in what the sidecar then says.
func (p *process) loaded(ctx context.Context) func() error {
	return func() error {
		var now state
		if err := p.call(ctx, http.MethodGet, "/state", nil, &now); err != nil {
			return err
		}
		if now.Start == nil {
			return errLoading
		}
		p.address, p.start = now.Address, *now.Start
		return nil
	}
}

// stop ends the sidecar. It may be called more than once.
func (p *process) stop() {
	p.control.CloseIdleConnections()
	p.Stop()
	_ = os.RemoveAll(filepath.Dir(p.setup.Control))
}

// call asks the sidecar about itself.
func (p *process) call(ctx context.Context, method, path string, args url.Values, into any) error {
	target := "http://control" + path + "?" + args.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return err
	}
	resp, err := p.control.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// ask sends numbers to a path of the sidecar.
func (p *process) ask(ctx context.Context, path string, args map[string]int, into any) error {
	values := url.Values{}
	for name, n := range args {
		values.Set(name, strconv.Itoa(n))
	}
	return p.call(ctx, http.MethodPost, path, values, into)
}

// pace asks for changes, as many a second.
func (p *process) pace(ctx context.Context, perSecond int) error {
	return p.ask(ctx, "/pace", map[string]int{"changes": perSecond}, &struct{}{})
}

// requestsFor writes out checks of random pairs.
func requestsFor(shape seed.Shape, n int) [][]byte {
	out := make([][]byte, n)
	for k, p := range shape.Pairs(1, n) {
		out[k] = checkRequest(p.Sender, p.Recipient)
	}
	return out
}

func checkRequest(sender, recipient int) []byte {
	b := append([]byte("GET /v1/can-deliver?app="), seed.App...)
	b = seed.AppendID(append(b, "&sender="...), sender)
	b = seed.AppendID(append(b, "&recipient="...), recipient)
	return append(b, "&room_type=direct HTTP/1.1\r\nHost: sidegate\r\n\r\n"...)
}

// contestant lets callers ask the sidecar over as many connections.
func (p *process) contestant(name string, connections int, requests [][]byte) load.Contestant {
	return load.Contestant{
		Name: name, PIDs: p.PIDs,
		Open: func(ctx context.Context) ([]load.Caller, error) {
			return load.OpenHTTPs(ctx, connections, load.HTTPOptions{Network: "tcp", Address: p.address, Requests: requests})
		},
	}
}

// inside lets the sidecar check for a while without a listener.
func (p *process) inside(ctx context.Context, goroutines int, length time.Duration) (inner, error) {
	var got inner
	err := p.ask(ctx, "/inside", map[string]int{"goroutines": goroutines, "ms": int(length.Milliseconds())}, &got)
	if err == nil && got.Checks == 0 {
		err = errors.New("nothing was checked in process")
	}
	return got, err
}
