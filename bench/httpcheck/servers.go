package httpcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// servers are the two processes that are compared.
type servers struct {
	own, noop         *load.Process
	ownTCP, noopTCP   string
	ownUnix, noopUnix string
	ops               string
}

// configuration leaves everything as it is delivered, save that rooms of several
// members look at both lists: one process answers one way and two way.
const configuration = `
check: {listen: [%q, "unix://%s"]}
api: {listen: []}
ops: {listen: [%q], tokens: [{name: bench, token: bench, scopes: [staff]}]}
cache: {max_bytes: 1GiB}
apps: {bench: {rooms: {group: {mode: two_way}}}}
`

// startServers starts both and waits until sidegate holds all lists in memory.
func startServers(ctx context.Context, env *study.Env, db *seed.Database) (s *servers, err error) {
	s = &servers{
		ownUnix: filepath.Join(env.Scratch, "sidegate.sock"), noopUnix: filepath.Join(env.Scratch, "noop.sock"),
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	for _, address := range []*string{&s.ownTCP, &s.noopTCP, &s.ops} {
		if *address, err = freePort(); err != nil {
			return s, err
		}
	}
	if err := s.startNoop(ctx, env); err != nil {
		return s, err
	}
	file := filepath.Join(env.Scratch, "sidegate.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, s.ownTCP, s.ownUnix, s.ops), 0o600); err != nil {
		return s, err
	}
	cmd := exec.Command(env.Program, "serve", "--config", file, "--postgres-url", db.DSN)
	if s.own, err = load.StartProcess(cmd); err != nil {
		return s, err
	}
	return s, s.own.Await(ctx, func() error { return s.loaded(ctx, int64(db.Shape.Lists)) })
}

// startNoop builds the floor from this module and starts it.
func (s *servers) startNoop(ctx context.Context, env *study.Env) error {
	program := filepath.Join(env.Scratch, "noop")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/sidegate/sidegate/bench/noop")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the no-op server: %w: %s", err, out)
	}
	var err error
	if s.noop, err = load.StartProcess(exec.Command(program, "-tcp", s.noopTCP, "-unix", s.noopUnix)); err != nil {
		return err
	}
	return s.noop.Await(ctx, func() error {
		return errors.Join(load.Answers(ctx, "tcp", s.noopTCP)(), load.Answers(ctx, "unix", s.noopUnix)())
	})
}

// loaded returns nil once the lists of the shape are in memory.
func (s *servers) loaded(ctx context.Context, lists int64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ops+"/v1/status", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer bench")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var page struct {
		Cache struct{ Lists int64 }
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return err
	}
	if page.Cache.Lists < lists {
		return fmt.Errorf("%d of %d lists are in memory", page.Cache.Lists, lists)
	}
	return nil
}

// freePort finds a port that nobody uses at the moment.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func (s *servers) stop() {
	for _, p := range []*load.Process{s.own, s.noop} {
		if p != nil {
			p.Stop()
		}
	}
}
