package packagetest

import (
	"bytes"
	"os"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// lint reads a Dockerfile as BuildKit does and returns what its linter says of the
// instructions. What it says only when it resolves base images, nobody asks here.
func lint(t *testing.T, text []byte) (stages []instructions.Stage, warnings []string) {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		warnings = append(warnings, w.Short)
	}
	rules := linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, _ []parser.Range) { warnings = append(warnings, rule+": "+message) },
	})
	stages, _, err = instructions.Parse(parsed.AST, rules)
	if err != nil {
		t.Fatal(err)
	}
	return stages, warnings
}

func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages, warnings := lint(t, text)
	for _, w := range warnings {
		t.Error(w)
	}
	if len(stages) != 2 || stages[len(stages)-1].BaseName != "scratch" {
		t.Errorf("%d stages, the last from %s", len(stages), stages[len(stages)-1].BaseName)
	}
	// That the linter is awake.
	if _, warnings := lint(t, []byte("FROM scratch as x\nCOPY a /a\n")); len(warnings) == 0 {
		t.Error("the linter has nothing to say of a file that mixes cases")
	}
}
