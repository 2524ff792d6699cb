package scaling

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
)

var small = seed.Shape{Lists: 500, Entries: 3, Idle: 500}

func newProcess(t *testing.T, s setup) *process {
	t.Helper()
	p, err := startProcess(t.Context(), s, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// TestSidecarOfItsOwn: it holds all lists, answers, checks in process, changes
// lists, says what it weighs, and leaves nothing behind.
func TestSidecarOfItsOwn(t *testing.T) {
	p := newProcess(t, setup{Shape: small, MaxBytes: budget(small)})
	if p.start.Wall <= 0 || p.start.CPU <= 0 {
		t.Errorf("it started in no time: %+v", p.start)
	}
	before, released, pages, err := p.weigh(t.Context())
	if err != nil || released <= 0 || pages <= 0 || before.Peak < before.Resident || before.Shared < 4*int64(small.Lists) {
		t.Errorf("%+v, %d released, pages of %d, %v", before, released, pages, err)
	}
	got, err := load.Turns(t.Context(), load.Plan{Rounds: 1, Each: 10 * time.Millisecond},
		p.contestant("checks", 2, requestsFor(small, 100)))
	if err != nil || got["checks"][0].Operations == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	within, err := p.inside(t.Context(), 2, 10*time.Millisecond)
	if err != nil || within.Checks == 0 || within.rate() <= 0 {
		t.Errorf("%+v, %v", within, err)
	}
	for k, want := range []written{{2, true}, {3, false}} {
		if done, err := p.commit(t.Context(), 7); err != nil || done != want {
			t.Errorf("change %d: %+v, %v", k, done, err)
		}
	}
	if err := p.pace(t.Context(), 100); err != nil {
		t.Error(err)
	}
	p.stop()
	p.stop()
	if _, err := os.Stat(p.setup.Control); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its socket is left behind: %v", err)
	}
}

// TestSidecarThatCannotBe says why.
func TestSidecarThatCannotBe(t *testing.T) {
	_, err := startProcess(t.Context(), setup{Shape: seed.Shape{Lists: 1, Entries: 1}, MaxBytes: 1}, 0)
	if err == nil || !strings.Contains(err.Error(), "generator") {
		t.Errorf("%v", err)
	}
}

// TestMissingListsAreAnError: what was not loaded would look light and quick.
func TestMissingListsAreAnError(t *testing.T) {
	p := newProcess(t, setup{Shape: small, MaxBytes: budget(small)})
	p.setup.Shape.Lists++
	if _, _, _, err := p.weigh(t.Context()); err == nil {
		t.Error("nobody misses a list")
	}
}

func TestHoldToCores(t *testing.T) {
	cmd := exec.Command("/bin/prog", "helper", "x")
	if err := cores(0).hold(cmd); err != nil || cmd.Path != "/bin/prog" || cmd.Env != nil {
		t.Errorf("%v, %v", cmd, err)
	}
	if taskset, err := exec.LookPath("taskset"); err == nil {
		err := cores(2).hold(cmd)
		if want := []string{taskset, "-c", "0-1", "/bin/prog", "helper", "x"}; err != nil || cmd.Path != taskset || !slices.Equal(cmd.Args, want) {
			t.Errorf("%v, %v", cmd.Args, err)
		}
		if !slices.Contains(cmd.Env, "GOMAXPROCS=2") {
			t.Error("GOMAXPROCS is not set")
		}
	}
	t.Setenv("PATH", "")
	if err := cores(1).hold(exec.Command("/bin/prog")); err == nil {
		t.Error("it is held without taskset")
	}
	if uneven(t.Context()) == nil {
		t.Error("one core and two are measured without taskset")
	}
}

func TestMemoryOfNobody(t *testing.T) {
	if _, err := memoryOf(1 << 30); err == nil {
		t.Error("a process that is not there has memory")
	}
}

func TestPreloaded(t *testing.T) {
	page := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) }))
	defer server.Close()
	ready := preloaded(t.Context(), server.Listener.Addr().String())
	for text, want := range map[string]error{
		"":                              errLoading,
		"# HELP " + preloadMetric + "x": errLoading,
		"a 1\n" + preloadMetric + "0\n": errLoading,
		"a 1\n" + preloadMetric + "1.7e+09\nb 0\n": nil,
	} {
		page = text
		if err := ready(); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
