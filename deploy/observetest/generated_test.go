package observetest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/sidegate/sidegate/deploy/observetest/harness"
	"github.com/sidegate/sidegate/deploy/observetest/rules"
)

var update = flag.Bool("update", false, "write the files that are made")

// shipped is the path of something under deploy/prometheus.
func shipped(t testing.TB, path ...string) string {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root, "deploy", "prometheus"}, path...)...)
}

// TestGenerated: what is made from other files is what they say.
func TestGenerated(t *testing.T) {
	files, err := rules.Files(shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if *update {
			if err := os.WriteFile(shipped(t, name), want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(shipped(t, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("deploy/prometheus/%s is not up to date (%v): run make rules", name, err)
		}
	}
}
