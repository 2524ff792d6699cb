package observetest

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sidegate/sidegate/deploy/observetest/harness"
)

// rule is one of the shipped rules.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
	file                     string
}

// ruleFile is a file of rules; the operator's object holds the same groups.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
	Spec struct{ Groups []any }
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func glob(t *testing.T, path ...string) []string {
	t.Helper()
	files, err := filepath.Glob(shipped(t, path...))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing at %v (%v)", path, err)
	}
	return files
}

func allRules(t *testing.T) (list []rule) {
	t.Helper()
	for _, file := range glob(t, "rules", "*.yaml") {
		var f ruleFile
		readYAML(t, file, &f)
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				r.file = filepath.Base(file)
				list = append(list, r)
			}
		}
	}
	return list
}

const runbooks = "https://github.com/sidegate/sidegate/blob/main/docs/runbooks/"

// headings are those of every page.
var headings = []string{"**How urgent.** ", "**Users:** ", "## See it", "## Why, the likely first", "## Do\n", "## When it is over", "## Do not"}

// TestEveryAlertIsWhole: what wakes somebody says what is the matter, and there is
// a page for it; and no page is left of an alert that is gone.
func TestEveryAlertIsWhole(t *testing.T) {
	pages := map[string]string{}
	for _, file := range glob(t, "..", "..", "docs", "runbooks", "*.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[strings.TrimSuffix(filepath.Base(file), ".md")] = string(text)
	}
	index := pages["README"]
	delete(pages, "README")
	used := map[string]bool{}
	for _, r := range allRules(t) {
		if r.Alert == "" {
			continue
		}
		for name, missing := range map[string]bool{
			"a name that begins with Sidegate": !strings.HasPrefix(r.Alert, "Sidegate"),
			"a severity, page or ticket":       r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket",
			"a summary, one sentence":          !strings.HasSuffix(r.Annotations["summary"], ".") || strings.Contains(r.Annotations["summary"], "\n"),
			"a description with a value in it": !strings.Contains(r.Annotations["description"], "{{") && r.Alert != "SidegateAllMissing",
			"a runbook_url":                    !strings.HasPrefix(r.Annotations["runbook_url"], runbooks),
		} {
			if missing {
				t.Errorf("%s lacks %s", r.Alert, name)
			}
		}
		slug := strings.TrimSuffix(strings.TrimPrefix(r.Annotations["runbook_url"], runbooks), ".md")
		used[slug] = true
		page := pages[slug]
		if !strings.HasPrefix(page, "# "+r.Alert+"\n") {
			t.Errorf("the runbook %s.md is not there, or not that of %s", slug, r.Alert)
		}
		for _, h := range headings {
			if !strings.Contains(page, h) {
				t.Errorf("%s.md lacks %q", slug, strings.TrimSpace(h))
			}
		}
		if !strings.Contains(index, "| ["+r.Alert+"]("+slug+".md) |") {
			t.Errorf("the index of the runbooks does not list %s", r.Alert)
		}
	}
	for slug := range pages {
		if !used[slug] {
			t.Errorf("%s.md is the page of no alert", slug)
		}
	}
}

// TestEveryAlertIsTested: promtool sees each of them fire and not fire.
func TestEveryAlertIsTested(t *testing.T) {
	type promtest struct {
		Tests []struct {
			Checks []struct {
				Alertname string `yaml:"alertname"`
				Expect    []struct {
					Labels map[string]string `yaml:"exp_labels"`
				} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range glob(t, "tests", "*.yaml") {
		var f promtest
		readYAML(t, file, &f)
		for _, test := range f.Tests {
			for _, c := range test.Checks {
				severities := []string{"page", "ticket"}
				for _, a := range c.Expect {
					fires[c.Alertname+" "+a.Labels["severity"]] = true
					severities = slices.DeleteFunc(severities, func(s string) bool { return s == a.Labels["severity"] })
				}
				for _, s := range severities {
					silent[c.Alertname+" "+s] = true
				}
			}
		}
	}
	alerts := 0
	for _, r := range allRules(t) {
		if r.Alert == "" {
			continue
		}
		alerts++
		if key := r.Alert + " " + r.Labels["severity"]; !fires[key] || !silent[key] {
			t.Errorf("%s: a test shows it firing: %t, and silent: %t; both are needed in deploy/prometheus/tests", key, fires[key], silent[key])
		}
	}
	if alerts < 20 {
		t.Errorf("only %d alerts were found: the test reads the wrong files", alerts)
	}
}

var ours = regexp.MustCompile(`\bsidegate_[a-z_]+[a-z]`)

// TestEveryMetricExists: what the rules and the pages ask for is what the program
// exports, by the generated reference.
func TestEveryMetricExists(t *testing.T) {
	reference, err := os.ReadFile(shipped(t, "..", "..", "docs", "reference", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := func(name string) bool {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			base, ok := strings.CutSuffix(name, suffix)
			if ok && strings.Contains(string(reference), "| `"+base+"` |") {
				return true
			}
		}
		return false
	}
	look := func(where, text string) {
		for _, name := range ours.FindAllString(text, -1) {
			if !known(name) {
				t.Errorf("%s asks for %s, which the program does not export", where, name)
			}
		}
	}
	for _, r := range allRules(t) {
		look(r.Alert+r.Record, r.Expr)
	}
	for _, b := range promqlOfPages(t) {
		look(b.page, b.expr)
	}
}

// query is an expression of a page.
type query struct{ page, expr string }

var promql = regexp.MustCompile("(?s)```promql[^\n]*\n(.*?)```")

func promqlOfPages(t *testing.T) (list []query) {
	t.Helper()
	for _, file := range append(glob(t, "..", "..", "docs", "runbooks", "*.md"), shipped(t, "..", "..", "docs", "how-to", "monitor.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range promql.FindAllStringSubmatch(string(text), -1) {
			list = append(list, query{filepath.Base(file), strings.TrimSpace(block[1])})
		}
	}
	return list
}

// TestQueriesOfThePages: what somebody pastes at night is understood by a
// Prometheus with these rules.
func TestQueriesOfThePages(t *testing.T) {
	w := harness.Shared(t)
	list := promqlOfPages(t)
	if len(list) < 40 {
		t.Fatalf("only %d queries were found", len(list))
	}
	for _, q := range list {
		if _, err := w.Prometheus.Query(q.expr); err != nil {
			t.Errorf("%s: %v", q.page, err)
		}
	}
}

// TestOperator: the object for the operator holds the same rules, in groups of the
// same names.
func TestOperator(t *testing.T) {
	var want []any
	for _, name := range []string{"sidegate-recording.yaml", "sidegate-slo.yaml", "sidegate-alerts.yaml"} {
		var f struct{ Groups []any }
		readYAML(t, shipped(t, "rules", name), &f)
		want = append(want, f.Groups...)
	}
	var object struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Spec       struct{ Groups []any }
	}
	readYAML(t, shipped(t, "operator", "sidegate-rules.yaml"), &object)
	if object.Kind != "PrometheusRule" || object.APIVersion != "monitoring.coreos.com/v1" || !reflect.DeepEqual(object.Spec.Groups, want) {
		t.Errorf("%s %s holds %d groups, not the %d of the files", object.APIVersion, object.Kind, len(object.Spec.Groups), len(want))
	}
}

// TestPromtool has the shipped files checked and the tests of the rules run.
func TestPromtool(t *testing.T) {
	promtool := harness.NeedTool(t, "promtool", "prometheus")
	dir := shipped(t)
	harness.Tool(t, dir, promtool, append([]string{"check", "rules"}, glob(t, "rules", "*.yaml")...)...)
	harness.Tool(t, dir, promtool, "check", "config", "prometheus.yml")
	for _, file := range glob(t, "tests", "*.yaml") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			harness.Tool(t, dir, promtool, "test", "rules", file)
		})
	}
}

// TestRouting: the example is understood, and brings pages to who is on call and
// everything else to the queue.
func TestRouting(t *testing.T) {
	amtool := harness.NeedTool(t, "amtool", "prometheus-alertmanager")
	harness.Tool(t, shipped(t), amtool, "check-config", "alertmanager.yml")
	names := map[string]bool{}
	for _, r := range allRules(t) {
		if r.Alert == "" {
			continue
		}
		names[r.Alert] = true
		receiver := map[string]string{"page": "on-call", "ticket": "tickets"}[r.Labels["severity"]]
		harness.Tool(t, shipped(t), amtool, "config", "routes", "test", "--config.file=alertmanager.yml",
			"--verify.receivers="+receiver, "alertname="+r.Alert, "severity="+r.Labels["severity"])
	}
	// An inhibition that names an alert wrongly inhibits nothing, and nobody sees.
	text, err := os.ReadFile(shipped(t, "alertmanager.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`Sidegate[A-Za-z]+`).FindAllString(string(text), -1) {
		if !names[name] {
			t.Errorf("alertmanager.yml names %s, which is no alert", name)
		}
	}
	if len(names) == 0 {
		t.Error(fmt.Sprint("no alerts in ", shipped(t)))
	}
}
