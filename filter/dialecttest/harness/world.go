// Package harness runs the program for the compatibility tests: a private
// Postgres, a process that serves block lists and decisions, and a pure sidecar
// on the same database. It speaks to them as the vendors' clients do and
// compares what they answer.
package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// World is everything that runs. The tests of a package share one: they keep
// apart by the apps and the user ids that they use.
type World struct {
	Node    *Sidecar // serves the dialects, native lists and decisions
	Sidecar *Sidecar // serves decisions only, like one beside a chat server
	Verify  *Verifier

	dir      string
	postgres *localpg.Server
}

// Sidecar is a process that serves, as its clients see it.
type Sidecar struct {
	process *process
	urls    map[string]string // of the listeners that are on, by their names
	client  *http.Client
}

// URL is where a listener is reached: check, api or ops.
func (s *Sidecar) URL(listener string) string { return s.urls[listener] }

var shared struct {
	once  sync.Once
	world *World
	err   error
}

// Shared returns the world of the test binary, which the first test starts.
func Shared(t testing.TB) *World {
	t.Helper()
	shared.once.Do(func() {
		shared.world = &World{}
		shared.err = shared.world.start()
	})
	if shared.err != nil {
		t.Fatalf("start the program: %v", shared.err)
	}
	return shared.world
}

// Main runs the tests of a package, stops what they shared, and then looks for
// goroutines that were left. It is all that TestMain has to do, and it does not
// return.
func Main(m *testing.M) {
	code := m.Run()
	if shared.world != nil {
		if err := shared.world.stop(code != 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func (w *World) start() (err error) {
	if w.dir, err = os.MkdirTemp("", "sidegate-dialects-"); err != nil {
		return err
	}
	// The account that a Postgres runs as under root has to pass.
	if err := os.Chmod(w.dir, 0o711); err != nil {
		return err
	}
	program, err := build(w.dir)
	if err != nil {
		return err
	}
	w.Verify = startVerifier()
	file := filepath.Join(w.dir, "sidegate.yaml")
	if err := os.WriteFile(file, []byte(configuration(w.Verify.URL())), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.postgres = localpg.New(localpg.Options{Dir: filepath.Join(w.dir, "postgres")})
	if err := w.postgres.Start(ctx); err != nil {
		return err
	}
	dsn := w.postgres.DSN("postgres")
	if err := migrate(program, w.dir, dsn); err != nil {
		return err
	}
	if w.Node, err = serve(program, w.dir, file, dsn); err != nil {
		return err
	}
	w.Sidecar, err = serve(program, w.dir, file, dsn, "SIDEGATE_API_LISTEN=")
	return err
}

func migrate(program, dir, dsn string) error {
	p, err := run(program, dir, nil, "migrate", "up", "--postgres-url", dsn)
	if err != nil {
		return err
	}
	if <-p.ended; p.cmd.ProcessState.ExitCode() != 0 {
		return errors.New("sidegate migrate up: " + p.log.String())
	}
	return nil
}

// environ lets every listener take a free port. How long a check with a revision
// may wait is not what these tests are about.
var environ = []string{
	"SIDEGATE_CHECK_LISTEN=127.0.0.1:0", "SIDEGATE_API_LISTEN=127.0.0.1:0", "SIDEGATE_OPS_LISTEN=127.0.0.1:0",
	"SIDEGATE_CHECK_AT_LEAST_TIMEOUT=10s", "SIDEGATE_LOG_FORMAT=json",
}

// serving finds the line of the log that says what is bound.
var serving = regexp.MustCompile(`(?m)^\{.*"msg":"sidegate serves".*\}$`)

// serve starts a process and returns when it has started in every respect.
func serve(program, dir, file, dsn string, more ...string) (*Sidecar, error) {
	p, err := run(program, dir, append(append([]string{}, environ...), more...), "serve", "--config", file, "--postgres-url", dsn)
	if err != nil {
		return nil, err
	}
	var found string
	err = waitFor("sidegate serves", func() bool {
		done := p.hasEnded() // before the look: afterwards nothing more is printed
		found = serving.FindString(p.log.String())
		return found != "" || done
	})
	if err != nil || found == "" {
		return nil, errors.Join(err, errors.New("sidegate serve: "+p.log.String()))
	}
	var line struct{ Listeners map[string][]string }
	if err := json.Unmarshal([]byte(found), &line); err != nil {
		return nil, err
	}
	s := &Sidecar{process: p, urls: map[string]string{}}
	for door, addresses := range line.Listeners {
		if len(addresses) > 0 {
			s.urls[door] = "http://" + addresses[0]
		}
	}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience}
	return s, waitFor("/startupz is green", func() bool {
		a, err := s.send("ops", Call{Method: "GET", Path: "/startupz"})
		return err == nil && a.Status == http.StatusOK
	})
}

// stop ends everything. What the processes printed is shown if a test has failed.
func (w *World) stop(show bool) (err error) {
	for name, s := range map[string]*Sidecar{"node": w.Node, "sidecar": w.Sidecar} {
		if s == nil {
			continue
		}
		s.process.stop()
		s.client.CloseIdleConnections()
		log := s.process.log.String()
		if bad := disaster.FindString(log); bad != "" {
			err = errors.Join(err, fmt.Errorf("the %s had a %s", name, bad))
		}
		if show || err != nil {
			fmt.Fprintf(os.Stderr, "the %s printed:\n%s\n", name, tail(log, 8<<10))
		}
	}
	if w.Verify != nil {
		w.Verify.server.Close()
	}
	if w.postgres != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		err = errors.Join(err, w.postgres.Stop(ctx))
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// tail returns the end of a text.
func tail(text string, size int) string {
	return text[max(0, len(text)-size):]
}

// WithoutPostgres calls a function while no statement is answered: what it asks
// can come from memory only.
func (w *World) WithoutPostgres(t testing.TB, do func()) {
	t.Helper()
	if err := w.postgres.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(w.postgres.Thaw(), w.postgres.Ready(context.Background())); err != nil {
			t.Error(err)
		}
	}()
	do()
}

// Outage calls a function while there is no Postgres, and returns when writes are
// taken again.
func (w *World) Outage(t testing.TB, do func()) {
	t.Helper()
	if err := w.postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.postgres.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		owner, target := ID("bob"), ID("eve")
		WaitFor(t, "a write after the outage", func() bool {
			a, err := w.Try(Native(http.MethodPut, Plain.BlockPath(owner, target), ""))
			return err == nil && a.Status/100 == 2
		})
		q := Question{App: Plain, Sender: target, Recipient: owner}
		WaitFor(t, "the sidecar follows again", func() bool { return !w.Sidecar.Decide(t, q).Deliver })
	}()
	do()
}
