package beside

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// world is everything that runs while this study does.
type world struct {
	env       *study.Env
	shape     seed.Shape
	db        *seed.Database
	questions []question
	path      string // of the file of questions
	stops     []func()
	// absent says why a server is not among the contestants.
	absent      map[string]string
	contestants []load.Contestant
	own, redis  *load.Process
	figures     memory
}

// stop ends everything, in the reverse order.
func (w *world) stop() {
	for _, stop := range slices.Backward(w.stops) {
		stop()
	}
}

// absence is an error that says why a peer is not here, which ends nothing.
type absence string

func (a absence) Error() string { return string(a) }

// peer finds the program of a peer among those that were built.
func (w *world) peer(name string) (path string, err error) {
	path = filepath.Join(w.env.Peers, name)
	if _, err := os.Stat(path); err != nil {
		return "", absence(name + " is not built: `make bench-peers` builds it")
	}
	return path, nil
}

// start runs a server until the study ends.
func (w *world) start(ctx context.Context, cmd *exec.Cmd, ready func() error) (*load.Process, error) {
	p, err := load.StartProcess(cmd)
	if err != nil {
		return nil, err
	}
	w.stops = append(w.stops, p.Stop)
	return p, p.Await(ctx, ready)
}

// enter adds a contestant that is asked over HTTP and bare sockets.
func (w *world) enter(name string, p *load.Process, opts load.HTTPOptions) {
	opts.Network = "tcp"
	w.contestants = append(w.contestants, load.Contestant{
		Name: name, PIDs: p.PIDs,
		Open: func(ctx context.Context) ([]load.Caller, error) { return load.OpenHTTPs(ctx, callers, opts) },
	})
}

// freePort finds a port that nobody uses at the moment.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// sample is some of the questions, for examine.
func sample(questions []question) []question { return questions[:min(200, len(questions))] }

// examine asks questions, the first of the requests, and compares the answers with the right ones:
// over bare sockets nobody has the time to. A body that says yes holds word.
func examine(ctx context.Context, address string, questions []question, requests [][]byte, yes func(question) (word string)) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i, q := range questions {
		if _, err := conn.Write(requests[i]); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if word := yes(q); resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(word)) {
			return fmt.Errorf("asked about %s and %s, answered %s %s, which does not say %s", q.recipient, q.sender, resp.Status, body, word)
		}
	}
	return nil
}

// call sends JSON to a server that is being filled, and reads JSON.
func call(ctx context.Context, method, url string, body io.Reader, into any) (err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true // nothing stays behind for a measurement
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s %.300s", method, req.URL.Path, resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
