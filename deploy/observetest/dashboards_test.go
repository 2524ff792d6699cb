package observetest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sidegate/sidegate/deploy/observetest/harness"
)

// asked is an expression that we ship, and where.
type asked struct {
	where string
	expr  string // with the variables of Grafana in it, if it is a dashboard's
	panel bool   // of a panel: it must have an answer
	table bool   // with a line for each process
}

// A dashboard, as far as these tests look at it.
type dashboard struct {
	UID    string
	Panels []struct {
		Type, Title string
		Targets     []struct{ RefID, Expr string }
	}
	Annotations struct{ List []struct{ Name, Expr string } }
	Templating  struct {
		List []struct{ Name, Definition string }
	}
}

// dashboards returns every expression of deploy/grafana.
func dashboards(t *testing.T) (list []asked) {
	t.Helper()
	names := glob(t, "deploy", "grafana", "dashboards", "*.json")
	if len(names) != 4 {
		t.Fatalf("there are %d dashboards, not 4", len(names))
	}
	for _, name := range names {
		var d dashboard
		if err := json.Unmarshal(read(t, name), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, d.asked()...)
	}
	return list
}

// labelValues is what Grafana asks for the values of a label with.
var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

func (d dashboard) asked() (list []asked) {
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			list = append(list, asked{where: fmt.Sprintf("%s: %s, query %s", d.UID, p.Title, q.RefID), expr: q.Expr, panel: true, table: p.Type == "table"})
		}
	}
	for _, n := range d.Annotations.List {
		list = append(list, asked{where: d.UID + ": annotation " + n.Name, expr: n.Expr})
	}
	for _, v := range d.Templating.List {
		if m := labelValues.FindStringSubmatch(v.Definition); m != nil {
			list = append(list, asked{where: d.UID + ": variable " + v.Name, expr: "count by (" + m[2] + ") (" + m[1] + ")"})
		} else if v.Name != "datasource" {
			list = append(list, asked{where: d.UID + ": variable " + v.Name, expr: v.Definition}) // which no parser will take
		}
	}
	return list
}

// shippedRules returns every expression of deploy/prometheus/rules, and the names that
// recording rules make.
func shippedRules(t *testing.T) (list []asked, recorded map[string]bool) {
	t.Helper()
	recorded = map[string]bool{}
	for _, name := range glob(t, "deploy", "prometheus", "rules", "*.yaml") {
		var file struct {
			Groups []struct {
				Rules []struct{ Record, Alert, Expr string }
			}
		}
		if err := yaml.Unmarshal(read(t, name), &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				list = append(list, asked{where: filepath.Base(name) + ": " + r.Record + r.Alert, expr: r.Expr})
				if r.Record != "" {
					recorded[r.Record] = true
				}
			}
		}
	}
	return list, recorded
}

// block is PromQL in a page of the documentation.
var block = regexp.MustCompile("(?ms)^ *```promql[^\n]*\n(.*?)^ *```")

// pages returns every block of PromQL under docs and deploy.
func pages(t *testing.T) (list []asked) {
	t.Helper()
	for _, dir := range []string{"docs", "deploy"} {
		err := filepath.WalkDir(filepath.Join(root(t), dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".md" {
				return err
			}
			for i, m := range block.FindAllStringSubmatch(string(read(t, path)), -1) {
				list = append(list, asked{where: fmt.Sprintf("%s, block %d", filepath.Base(path), i+1), expr: m[1]})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// row is a metric in the reference: its name, its kind, its labels.
var row = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| \\w+ \\| ([^|]*) \\|")

// reference returns the metrics of docs/reference/metrics.md with their labels.
func reference(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(read(t, filepath.Join(root(t), "docs", "reference", "metrics.md"))), -1) {
		known[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return strings.ContainsRune("`, ", r) })
	}
	if len(known) < 50 {
		t.Fatalf("the reference lists only %d metrics: it is read wrongly", len(known))
	}
	return known
}

// everything is all that is shipped.
func everything(t *testing.T) (list []asked, recorded map[string]bool) {
	t.Helper()
	list, recorded = shippedRules(t)
	return append(append(list, dashboards(t)...), pages(t)...), recorded
}

// chosen puts values in place of Grafana's variables: the choices, and a window
// that a test has time for.
func chosen(expr string, choices map[string]string) string {
	pairs := []string{"$__rate_interval", "5s", "$__range", "2m"}
	for _, name := range []string{"job", "namespace", "pod", "instance"} {
		value := choices[name]
		if value == "" {
			value = ".*" // "All"
		}
		pairs = append(pairs, "$"+name, value)
	}
	return strings.NewReplacer(pairs...).Replace(expr)
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func glob(t *testing.T, path ...string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(append([]string{root(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
