//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

const token = "token-of-the-image-check"

// service is the program that serves from the image, on a Postgres of its own that
// it reaches over TCP, as it would another container's.
type service struct {
	image    *image
	dir      string
	postgres *localpg.Server
	environ  []string
	process  *load.Process
	cmd      *exec.Cmd
	urls     map[string]string // of the listeners, by their names
}

// serve starts a Postgres, makes the schema and starts the program. Callers stop it.
func serve(ctx context.Context, img *image) (s *service, err error) {
	s = &service{image: img}
	if s.dir, err = os.MkdirTemp("", "sidegate-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.Chmod(s.dir, 0o755); err != nil { // as root, Postgres runs as another user
		return nil, err
	}
	s.postgres = localpg.New(localpg.Options{Dir: filepath.Join(s.dir, "postgres")})
	if err := s.postgres.Start(ctx); err != nil {
		return nil, err
	}
	s.environ = []string{
		"SIDEGATE_POSTGRES_URL=" + s.postgres.TCPDSN("postgres"), "SIDEGATE_API_TOKENS=" + token, "SIDEGATE_LOG_FORMAT=json",
		"SIDEGATE_CHECK_LISTEN=127.0.0.1:0", "SIDEGATE_API_LISTEN=127.0.0.1:0", "SIDEGATE_OPS_LISTEN=127.0.0.1:0",
	}
	if out, err := img.command(s.environ, "migrate", "up").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("sidegate migrate up: %w: %s", err, out)
	}
	s.cmd = img.command(s.environ, "serve")
	if s.process, err = load.StartProcess(s.cmd); err != nil {
		return nil, fmt.Errorf("sidegate serve: %w", err)
	}
	if err := s.process.Await(ctx, s.bound); err != nil {
		return nil, err
	}
	// The image's own HEALTHCHECK asks for readyz; this is the one of a start.
	return s, s.process.Await(ctx, func() error { return s.healthy("startupz") })
}

// bound reads from the log where the listeners are.
func (s *service) bound() error {
	for line := range strings.Lines(s.process.Output()) {
		var entry struct {
			Msg       string
			Listeners map[string][]string
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "sidegate serves" {
			s.urls = map[string]string{}
			for name, addresses := range entry.Listeners {
				s.urls[name] = "http://" + addresses[0]
			}
			return nil
		}
	}
	return errors.New("it has not said where it listens")
}

// healthy runs the health check of the image.
func (s *service) healthy(probe string) error {
	return s.tool("healthcheck", "--probe", probe)
}

// tool runs another command of the program in the image, against the one that serves.
func (s *service) tool(args ...string) error {
	cmd := s.image.command([]string{
		"SIDEGATE_TOKEN=" + token, "SIDEGATE_CHECK_URL=" + s.urls["check"],
		"SIDEGATE_API_URL=" + s.urls["api"], "SIDEGATE_OPS_URL=" + s.urls["ops"],
	}, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sidegate %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// status returns a line of what the kernel says about the process that serves.
func (s *service) status(name string) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.PID()))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Fields(rest), nil
		}
	}
	return nil, fmt.Errorf("the kernel says nothing about %s", name)
}

// stop ends both processes and removes what they have left.
func (s *service) stop(ctx context.Context) (err error) {
	if s.process != nil {
		s.process.Stop()
	}
	if s.postgres != nil {
		err = s.postgres.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
