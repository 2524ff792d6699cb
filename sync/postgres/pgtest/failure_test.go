package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// recorder is a test that is watched.
type recorder struct {
	testing.TB
	cleanups []func()
	failed   bool
	text     string
}

func (r *recorder) Helper()                    {}
func (r *recorder) Failed() bool               { return r.failed }
func (r *recorder) Cleanup(f func())           { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Context() context.Context   { return context.Background() }
func (r *recorder) Error(args ...any)          { r.failed, r.text = true, fmt.Sprint(args...) }
func (r *recorder) Logf(f string, args ...any) { r.text += fmt.Sprintf(f, args...) }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	panic(r)
}

func (r *recorder) run(f func(testing.TB)) {
	defer func() {
		for i := len(r.cleanups) - 1; i >= 0; i-- {
			r.cleanups[i]()
		}
	}()
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
	}()
	f(r)
}

func TestAFailureShowsWhatTheServerPrinted(t *testing.T) {
	good, bad := &recorder{TB: t}, &recorder{TB: t}
	good.run(func(t testing.TB) { Server(t, nil) })
	if good.failed || good.text != "" {
		t.Errorf("a good test says %q", good.text)
	}
	bad.run(func(t testing.TB) { Server(t, map[string]string{"shared_buffers": "nonsense"}) })
	if !bad.failed || !strings.Contains(bad.text, "PostgreSQL printed:") || !strings.Contains(bad.text, "shared_buffers") {
		t.Errorf("a test without a server fails %t and says %q", bad.failed, bad.text)
	}
}

// A test that cannot have a server fails; skipping would hide it.
func TestNoServerIsAFailure(t *testing.T) {
	before := common.attended
	common.mu.Lock()
	common.attended = false
	common.mu.Unlock()
	defer func() {
		common.mu.Lock()
		common.attended = before
		common.mu.Unlock()
	}()
	r := &recorder{TB: t}
	r.run(func(t testing.TB) { Database(t) })
	if !r.failed {
		t.Error("a test without a cluster did not fail")
	}
}

func TestHelpersFailTheirTest(t *testing.T) {
	stopped := localpg.New(localpg.Options{Dir: Dir(t)})
	for name, f := range map[string]func(testing.TB){
		"migrated": func(t testing.TB) { Migrated(t, stopped) },
		"standby":  func(t testing.TB) { Standby(t, stopped) },
	} {
		r := &recorder{TB: t}
		r.run(f)
		if !r.failed {
			t.Errorf("%s of a server that does not run did not fail", name)
		}
	}
	r := &recorder{TB: t}
	r.run(func(inner testing.TB) {
		Empty(inner)
		// The test drops its database itself, so that the cleanup cannot.
		for _, name := range databases(t) {
			if err := admin(context.Background(), common.server, "drop database "+name); err != nil {
				t.Fatal(err)
			}
		}
	})
	if !r.failed {
		t.Error("a database that could not be dropped did not fail its test")
	}
}

// databases lists those that tests have now.
func databases(t *testing.T) (names []string) {
	t.Helper()
	rows, err := connect(t, common.server.DSN("postgres")).Query(t.Context(),
		"select datname from pg_database where datname ~ '^pgtest_[0-9]+$'")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDirIsReachableAndRemoved(t *testing.T) {
	var dir string
	r := &recorder{TB: t}
	r.run(func(inner testing.TB) {
		dir = Dir(inner)
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o711 {
			t.Errorf("mode %v, %v; want 0711", info.Mode(), err)
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) || r.failed {
		t.Errorf("after the test the directory is there (%v), failed: %t", err, r.failed)
	}
}

// program runs one test of this binary as a program of its own, which keeps its
// files in the given directory.
func program(t *testing.T, test, tmp string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^"+test+"$")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestMainLeavesNothing(t *testing.T) {
	tmp := Dir(t)
	if out, code := program(t, "TestTheTemplateIsClosed", tmp); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	// The directory goes last, after the server has ended.
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestMainFailsWithItsTests(t *testing.T) {
	out, code := program(t, "TestTheTemplateIsClosed", "/nowhere")
	if code == 0 || !strings.Contains(out, "--- FAIL: TestTheTemplateIsClosed") || strings.Contains(out, "SKIP") {
		t.Errorf("without a place for the cluster: exit code %d:\n%s", code, out)
	}
}
