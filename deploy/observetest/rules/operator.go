package rules

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Operator is operator/sidegate-rules.yaml: all files of rules as one object for
// the Prometheus operator. Their text is taken as it is, comments included.
func Operator(files map[string][]byte, names []string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(head + `#
# Everything in deploy/prometheus/rules. Give it the labels that the ruleSelector
# of your Prometheus asks for.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: sidegate
  labels:
    app.kubernetes.io/name: sidegate
spec:
  groups:
`)
	for _, name := range names {
		_, groups, found := strings.Cut(string(files[name]), "\ngroups:\n")
		if !found {
			return nil, fmt.Errorf("%s has no groups", name)
		}
		fmt.Fprintf(&b, "  # %s\n", name)
		for line := range strings.Lines(strings.TrimRight(groups, "\n") + "\n") {
			if strings.TrimSpace(line) != "" {
				b.WriteString("  ")
			}
			b.WriteString(line)
		}
	}
	return b.Bytes(), nil
}

// order is that of the files in the object.
var order = []string{"sidegate-recording.yaml", "sidegate-slo.yaml", "sidegate-alerts.yaml"}

// Files makes every file, by its path below deploy/prometheus, from the objectives
// and from the rules that were written by hand there.
func Files(dir string) (map[string][]byte, error) {
	slo, err := SLO()
	if err != nil {
		return nil, err
	}
	sloth, err := Sloth()
	if err != nil {
		return nil, err
	}
	texts := map[string][]byte{"sidegate-slo.yaml": slo}
	for _, name := range order {
		if texts[name] != nil {
			continue
		}
		if texts[name], err = os.ReadFile(filepath.Join(dir, "rules", name)); err != nil {
			return nil, err
		}
	}
	operator, err := Operator(texts, order)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"rules/sidegate-slo.yaml": slo, "slo/sidegate.sloth.yaml": sloth, "operator/sidegate-rules.yaml": operator,
	}, nil
}
