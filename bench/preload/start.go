package preload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// configuration is the program as it is delivered, with room for all lists.
const configuration = `
check: {listen: [%q]}
api: {listen: []}
ops: {listen: []}
cache: {max_bytes: 1GiB}
log: {format: text}
apps: {` + seed.App + `: {}}
`

// start is one start of the program until all lists are in memory.
type start struct {
	first    time.Duration // from the start of the process to the first decision
	all      time.Duration // … until all lists were in memory
	loading  time.Duration // of them, how long loading took, by its own clock
	own      time.Duration // CPU of the program
	database time.Duration // CPU of the backends meanwhile
	probe    time.Duration // median of other queries meanwhile
	peak     float64       // resident memory, bytes
	final    float64
	checks   []float64 // how long decisions took while it loaded, ns
	unknown  int       // of them, those that were none, or not that the sender is blocked
}

// loaded is what the program logs when its memory is full.
var loaded = regexp.MustCompile(`msg="all lists are in memory".* entries=(\d+).* seconds=([0-9.e+-]+)`)

// startOnce starts the program and watches it fill its memory.
func startOnce(ctx context.Context, env *study.Env, db *seed.Database) (out start, err error) {
	address, err := freePort(ctx)
	if err != nil {
		return out, err
	}
	file := filepath.Join(env.Scratch, "sidegate.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, address), 0o600); err != nil {
		return out, err
	}
	others, err := askMeanwhile(ctx, db)
	if err != nil {
		return out, err
	}
	idle := databaseCPU(db)
	begun := time.Now()
	p, err := load.StartProcess(exec.Command(env.Program, "serve", "--config", file, "--postgres-url", db.DSN))
	if err != nil {
		return out, err
	}
	defer p.Stop()
	err = p.Await(ctx, func() error {
		out.check(ctx, address, db, begun)
		return out.read(p.Output(), db.Shape, begun)
	})
	out.probe = others.end()
	if err != nil {
		return out, err
	}
	out.database = databaseCPU(db) - idle
	if out.own, err = load.CPU(p.PID()); err != nil {
		return out, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return out, err
	}
	out.peak, out.final = kilobytes(string(status), "VmHWM"), kilobytes(string(status), "VmRSS")
	return out, nil
}

// read looks for the line that says that all is in memory.
func (s *start) read(log string, shape seed.Shape, begun time.Time) error {
	found := loaded.FindStringSubmatch(log)
	if found == nil {
		return errors.New("not all lists are in memory yet")
	}
	s.all = time.Since(begun)
	seconds, err := strconv.ParseFloat(found[2], 64)
	if err != nil {
		return err
	}
	s.loading = time.Duration(seconds * float64(time.Second))
	if want := strconv.Itoa(shape.Lists * shape.Entries); found[1] != want {
		return fmt.Errorf("%s entries are in memory, want %s", found[1], want)
	}
	return nil
}

// check asks for a decision about an owner who may or may not be in memory.
func (s *start) check(ctx context.Context, address string, db *seed.Database, begun time.Time) {
	recipient := len(s.checks) * 104_729 % db.Shape.Lists
	question := fmt.Sprintf("http://%s/v1/can-deliver?app=%s&sender=%s&recipient=%s&room_type=direct",
		address, seed.App, seed.ID(db.Shape.Target(recipient, 0)), seed.ID(recipient))
	asked := time.Now()
	blocked, err := decide(ctx, question)
	switch {
	case err != nil && s.first == 0: // it does not listen yet, or follows no database
		return
	case err != nil || !blocked:
		s.unknown++
	case s.first == 0:
		s.first = time.Since(begun)
	}
	s.checks = append(s.checks, float64(time.Since(asked)))
}

// decide reports whether a decision is that a block stands against it.
func decide(ctx context.Context, question string) (blocked bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, question, nil)
	if err != nil {
		return false, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return false, err
	}
	if answer.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s: %s", answer.Status, body)
	}
	return strings.Contains(string(body), "blocked"), nil
}

// kilobytes reads a line of /proc/PID/status, as bytes.
func kilobytes(status, key string) float64 {
	for line := range strings.Lines(status) {
		if name, rest, _ := strings.Cut(line, ":"); name == key {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64) // the kernel writes digits
			return n * 1024
		}
	}
	return 0
}

// freePort returns an address that nothing listens on.
func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
