package localpg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// refused checks that a start fails with one sentence that holds all of want, and
// that it leaves neither a process nor the lock.
func refused(t *testing.T, s *Server, want ...string) error {
	t.Helper()
	err := s.Start(patience(t))
	if err == nil {
		t.Fatal("it started")
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q, want %q in it", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %q", err)
	}
	if s.PID() != 0 || s.lock != nil {
		t.Error("something is left of the start")
	}
	return err
}

func TestNoServerInstalled(t *testing.T) {
	s := server(t, Options{})
	s.finder = finder{path: "", globs: []string{filepath.Join(t.TempDir(), "*")}}
	if err := refused(t, s, "14 or newer", "`apt-get install postgresql`"); !errors.Is(err, ErrNoServer) {
		t.Errorf("%v is not ErrNoServer", err)
	}
}

func TestASecondServerOnTheDirectory(t *testing.T) {
	first := started(t, Options{})
	second := server(t, Options{Dir: first.opts.Dir})
	if err := refused(t, second, first.opts.Dir, "another sidegate"); !errors.Is(err, ErrInUse) {
		t.Errorf("%v is not ErrInUse", err)
	}
	if err := first.Ready(patience(t)); err != nil {
		t.Errorf("the first server suffered: %v", err)
	}
	if err := first.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(patience(t)); err != nil {
		t.Errorf("after the first has stopped: %v", err)
	}
}

// Somebody may start a server on the directory without asking for the lock.
func TestAServerThatIsNotOursIsFound(t *testing.T) {
	s := started(t, Options{})
	pid := s.PID()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := awaitOrphans(ctx, layout{root: s.opts.Dir})
	if !errors.Is(err, ErrInUse) || pid == 0 {
		t.Errorf("a running server is not found: %v", err)
	}
}

func TestAnotherMajorVersion(t *testing.T) {
	s := started(t, Options{})
	if err := s.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.opts.Dir, "data", "PG_VERSION")
	for text, want := range map[string]string{
		"9.6\n": "made by version 9 ",
		"99\n":  "install PostgreSQL 99",
		"noise": "holds no PostgreSQL version",
		"-3\n":  "holds no PostgreSQL version",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := refused(t, s, s.opts.Dir, want)
		if named := strings.Contains(want, "no PostgreSQL"); errors.Is(err, ErrVersion) == named {
			t.Errorf("%q: %v: ErrVersion is %t", text, err, !named)
		}
	}
}

func TestADirectoryOfSomethingElse(t *testing.T) {
	s := server(t, Options{})
	data := filepath.Join(s.opts.Dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		refused(t, s, data, "belongs to root", "chown")
		if err := os.Chown(data, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, s, data, "not a PostgreSQL data directory")

	refused(t, server(t, Options{Dir: filepath.Join("/dev/null", "x")}), "/dev/null")
	var none Server
	if err := none.Start(patience(t)); err == nil {
		t.Error("a server without a directory started")
	}
}

func TestParentsThatTheServerMayNotPass(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("without root the server runs as ourselves and passes wherever we do")
	}
	closed := t.TempDir() // 0700, ours
	closedParent := filepath.Dir(closed)
	s := server(t, Options{Dir: filepath.Join(closed, "db")})
	refused(t, s, "may not pass "+closedParent, "chmod o+x")

	// The guard: with the way open the same directory works.
	if err := os.Chmod(closedParent, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(patience(t)); err != nil {
		t.Fatalf("with searchable parents: %v", err)
	}
	if err := s.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	// Closed again, an existing cluster gets the same sentence.
	if err := os.Chmod(closedParent, 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, s, "may not pass "+closedParent)
}

func TestASettingThatPostgresRefuses(t *testing.T) {
	s := server(t, Options{Settings: map[string]string{"no_such_setting": "1"}})
	refused(t, s, "no_such_setting")
}

func TestAnEndedContextLeavesNothing(t *testing.T) {
	for name, budget := range map[string]time.Duration{"at once": 0, "while making the cluster": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := server(t, Options{})
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			defer cancel()
			if err := s.Start(ctx); err == nil {
				t.Skip("this machine makes a cluster too quickly to be interrupted")
			}
			if left := serversOn(layout{root: s.opts.Dir}); len(left) > 0 || s.PID() != 0 {
				t.Errorf("the processes %v are left", left)
			}
			// What an interrupted attempt left is no obstacle.
			if err := s.Start(patience(t)); err != nil {
				t.Errorf("the next start: %v", err)
			}
		})
	}
}
