// Package harness runs what the tests look at: a private Postgres, a process that
// serves block lists and decisions, a pure sidecar on the same database, and a
// Prometheus that scrapes both with the rules of deploy/prometheus loaded.
//
// The tests of a package share one [World] and run one after the other: each does
// something to it and puts it right again.
package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// World is everything that runs.
type World struct {
	// Node serves lists and decisions and has the bounds that are the default.
	Node *Sidecar
	// Sidecar serves decisions only, like one beside a chat server. Memory is
	// too old for it after [HardBound] already, and its app then delivers.
	Sidecar    *Sidecar
	Postgres   *localpg.Server
	Prometheus *Prometheus

	dir, program string
}

// HardBound is sync.hard_bound of [World.Sidecar].
const HardBound = 8 * time.Second

// Sidecars are all processes that Prometheus scrapes.
func (w *World) Sidecars() []*Sidecar { return []*Sidecar{w.Node, w.Sidecar} }

var shared struct {
	once  sync.Once
	world *World
	err   error
}

// Shared returns the world of the test binary, which the first test starts. Where
// there is no Prometheus the test is skipped, save in CI, which installs it.
func Shared(t testing.TB) *World {
	t.Helper()
	NeedTool(t, "prometheus", "prometheus")
	shared.once.Do(func() {
		shared.world = &World{}
		shared.err = shared.world.start()
	})
	if shared.err != nil {
		t.Fatalf("start the world: %v", shared.err)
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

// The configurations: small pools' worth of everything, one app that answers with
// an error and one that fails open.
const (
	nodeFile    = "api: {tokens: [" + Token + "], jwt: {secret: the-secret-that-signs-the-tokens-of-tests}}\nops: {tokens: [{token: " + StaffToken + ", scopes: [staff]}]}\napps: {default: {}}\n"
	sidecarFile = "ops: {tokens: [{token: " + StaffToken + ", scopes: [staff]}]}\napps: {default: {on_unknown: deliver}}\n"
)

func (w *World) start() (err error) {
	if w.dir, err = os.MkdirTemp("", "sidegate-observe-"); err != nil {
		return err
	}
	// The account that a Postgres runs as under root has to pass.
	if err := os.Chmod(w.dir, 0o711); err != nil {
		return err
	}
	if w.program, err = build(w.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.Postgres = localpg.New(localpg.Options{Dir: filepath.Join(w.dir, "postgres")})
	if err := w.Postgres.Start(ctx); err != nil {
		return err
	}
	if err := w.Migrate("up"); err != nil {
		return err
	}
	if w.Node, err = w.newSidecar("node", nodeFile, "SIDEGATE_PROBE_INTERVAL=1s"); err != nil {
		return err
	}
	w.Sidecar, err = w.newSidecar("sidecar", sidecarFile, "SIDEGATE_API_LISTEN=", "SIDEGATE_SYNC_HARD_BOUND="+HardBound.String())
	if err != nil {
		return err
	}
	for _, s := range w.Sidecars() {
		if err := waitFor(s.Name+" is started", s.isStarted); err != nil {
			return err
		}
	}
	w.Prometheus, err = startPrometheus(w.dir, w.Sidecars())
	return err
}

// Migrate runs "sidegate migrate" on the database.
func (w *World) Migrate(args ...string) error {
	args = append(append([]string{"migrate"}, args...), "--postgres-url", w.Postgres.DSN("postgres"))
	p, err := run(w.dir, nil, w.program, args...)
	if err != nil {
		return err
	}
	if <-p.ended; p.cmd.ProcessState.ExitCode() != 0 {
		return errors.New("sidegate migrate: " + p.log.String())
	}
	return nil
}

// stop ends everything. What the processes printed is shown if a test has failed.
func (w *World) stop(show bool) (err error) {
	if w.Prometheus != nil {
		err = w.Prometheus.end(show)
	}
	for _, s := range w.Sidecars() {
		if s != nil {
			err = errors.Join(err, s.end(show))
		}
	}
	if w.Postgres != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		err = errors.Join(err, w.Postgres.Stop(ctx))
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}
