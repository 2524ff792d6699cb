package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// TestThreatModelNamesItsTests: what the page says is shown by a test, and the test is
// there.
func TestThreatModelNamesItsTests(t *testing.T) {
	root := moduleRoot(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "concepts", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, s := range sources(t, root) {
		if !s.test {
			continue
		}
		for _, f := range s.functions() {
			there[f.Name.Name] = true
		}
	}
	named := testName.FindAllStringSubmatch(string(page), -1)
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("docs/concepts/threat-model.md names %s, which is no test", m[1])
		}
	}
	if len(named) < 50 {
		t.Errorf("only %d tests are named: they were read wrongly", len(named))
	}
}
