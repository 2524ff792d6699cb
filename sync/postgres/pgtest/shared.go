package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// template is the migrated database that those of the tests are copies of.
const template = "pgtest_template"

// patience bounds every step that waits for the server.
const patience = time.Minute

// common is the cluster of this test binary.
var common shared

// shared is a cluster that is started when first needed.
type shared struct {
	mu       sync.Mutex
	attended bool // somebody will call close
	begun    bool
	dir      string
	server   *localpg.Server
	err      error // of the one attempt to start; a second would fail alike, slowly
	migrated bool
	count    int // of databases made, for their names
}

func (s *shared) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attended = true
}

// running returns the server, started at the first call. The caller holds mu.
func (s *shared) running(ctx context.Context) (*localpg.Server, error) {
	if !s.attended {
		return nil, errors.New("pgtest: TestMain of the package has to call pgtest.Main, which stops the cluster")
	}
	if !s.begun {
		s.begun = true
		if s.dir, s.err = reachableDir(); s.err == nil {
			s.server = localpg.New(localpg.Options{Dir: s.dir, Settings: small(nil)})
			s.err = s.server.Start(ctx)
		}
	}
	return s.server, s.err
}

// create makes a database, a copy of the migrated template if asked for, and
// returns its name.
func (s *shared) create(ctx context.Context, migrated bool) (*localpg.Server, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	server, err := s.running(ctx)
	if err != nil {
		return nil, "", err
	}
	from := "template0"
	if migrated {
		from = template
		if !s.migrated {
			if err := makeTemplate(ctx, server); err != nil {
				return nil, "", err
			}
			s.migrated = true
		}
	}
	s.count++
	name := fmt.Sprintf("pgtest_%d", s.count)
	return server, name, admin(ctx, server, "create database "+name+" template "+from)
}

// makeTemplate closes the template to connections once it is migrated: CREATE
// DATABASE refuses to copy one that is in use.
func makeTemplate(ctx context.Context, server *localpg.Server) error {
	if err := admin(ctx, server, "create database "+template+" template template0"); err != nil {
		return err
	}
	if err := postgres.Up(ctx, server.DSN(template)); err != nil {
		return fmt.Errorf("pgtest: migrate the template: %w", err)
	}
	return admin(ctx, server, "alter database "+template+" allow_connections false")
}

// close stops the cluster, if one was started, and removes it.
func (s *shared) close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attended = false
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return errors.Join(s.server.Stop(ctx), os.RemoveAll(s.dir))
}

// admin runs one statement as superuser, outside any test's database.
func admin(ctx context.Context, server *localpg.Server, sql string) error {
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	if _, err = conn.Exec(ctx, sql); err != nil {
		err = fmt.Errorf("pgtest: %s: %w", sql, err)
	}
	return errors.Join(err, conn.Close(ctx))
}

// reachableDir makes a directory that the server's account may pass:
// testing.T.TempDir is closed to all but us, and as root we are not the server.
func reachableDir() (string, error) {
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}
