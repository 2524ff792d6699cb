package beside

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/load"
)

// client is a program of bench/peers that asks with a library.
type client struct {
	kind, address string
	twoWay        bool
	questions     string // the file, if not that of all
	store         string // of OpenFGA
}

// program adds a contestant that such a program asks, if it is built.
func (w *world) program(name string, server *load.Process, c client) {
	path, err := w.peer("client")
	if err != nil {
		w.absent[name] = err.Error()
		return
	}
	if c.questions == "" {
		c.questions = w.path
	}
	d := &driver{cmd: exec.Command(path, "-kind", c.kind, "-address", c.address, "-questions", c.questions, "-store", c.store,
		"-callers", strconv.Itoa(callers), "-two-way="+strconv.FormatBool(c.twoWay))}
	w.stops = append(w.stops, d.stop)
	w.contestants = append(w.contestants, load.Contestant{Name: name, Drive: d.drive, PIDs: server.PIDs})
}

// driver gives orders to a client program, which it starts at the first.
type driver struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Scanner
	words   strings.Builder // what it prints when something is wrong
}

func (d *driver) start() (err error) {
	if d.orders, err = d.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	d.answers, d.cmd.Stderr = bufio.NewScanner(out), &d.words
	if err := d.cmd.Start(); err != nil {
		d.orders = nil
		return err
	}
	return d.await("ready", nil)
}

// drive is one round of a [load.Contestant].
func (d *driver) drive(_ context.Context, length time.Duration) (load.Round, error) {
	if d.orders == nil {
		if err := d.start(); err != nil {
			return load.Round{}, err
		}
	}
	var found struct {
		Operations int           `json:"operations"`
		Elapsed    time.Duration `json:"elapsed_ns"`
		P50        time.Duration `json:"p50_ns"`
		P99        time.Duration `json:"p99_ns"`
		CPU        time.Duration `json:"cpu_ns"`
	}
	if _, err := fmt.Fprintln(d.orders, length.Milliseconds()); err != nil {
		return load.Round{}, err
	}
	if err := d.await("{", &found); err != nil {
		return load.Round{}, err
	}
	return load.Round{Operations: found.Operations, Elapsed: found.Elapsed, P50: found.P50, P99: found.P99, Client: found.CPU}, nil
}

// await reads a line that begins as it should.
func (d *driver) await(begin string, into any) error {
	if !d.answers.Scan() || !strings.HasPrefix(d.answers.Text(), begin) {
		err := errors.Join(d.answers.Err(), d.cmd.Process.Kill(), d.cmd.Wait())
		d.orders = nil
		return fmt.Errorf("the client ended: %w: %s %s", err, d.answers.Text(), d.words.String())
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(d.answers.Bytes(), into)
}

// stop lets the program end by itself, which the end of its input does.
func (d *driver) stop() {
	if d.orders == nil {
		return
	}
	_ = d.orders.Close()
	timer := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	_ = d.cmd.Wait() // how it ends after the last round is of no interest
	d.orders = nil
}

// patience is how long a program may take to end.
const patience = 10 * time.Second
