package observetest

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/deploy/observetest/harness"
)

var commands = regexp.MustCompile("(?s)```sh\n(.*?)```")

// follow does what a page tells who was woken: in the state that its alert warns
// of, the first of its queries shows something, and its commands on the process
// run. What they print is in the log of the test.
func follow(t *testing.T, w *harness.World, s *harness.Sidecar, slug string) {
	t.Helper()
	text, err := os.ReadFile(shipped(t, "..", "..", "docs", "runbooks", slug+".md"))
	if err != nil {
		t.Fatal(err)
	}
	queries := promql.FindAllStringSubmatch(string(text), -1)
	if len(queries) == 0 {
		t.Fatalf("%s.md has no query", slug)
	}
	for i, q := range queries {
		expr := strings.TrimSpace(q[1])
		if i == 0 {
			w.Prometheus.WaitQuery(t, expr)
		}
		got, err := w.Prometheus.Query(expr)
		if err != nil {
			t.Errorf("%s.md: %v", slug, err)
		}
		t.Logf("%s.md: %s\n  %d series %v", slug, expr, len(got), got)
	}
	ports := strings.NewReplacer(
		"127.0.0.1:7070", strings.TrimPrefix(s.URL("check"), "http://"),
		"127.0.0.1:7071", strings.TrimPrefix(s.URL("api"), "http://"),
		"127.0.0.1:7072", strings.TrimPrefix(s.URL("ops"), "http://"),
	)
	for _, block := range commands.FindAllStringSubmatch(string(text), -1) {
		out, err := exec.Command("bash", "-c", ports.Replace(block[1])).CombinedOutput()
		t.Logf("%s.md: %s  %v\n%s", slug, block[1], err, out)
		// A process that is dead answers nothing, and that is what is to be seen.
		if err != nil && slug != "scrape-missing" {
			t.Errorf("%s.md: %s: %v: %s", slug, block[1], err, out)
		}
	}
}
