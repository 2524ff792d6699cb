package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var shipped = filepath.Join("..", "dashboards")

// TestShippedIsGenerated: nobody edits the JSON by hand, and nobody forgets to
// write it.
func TestShippedIsGenerated(t *testing.T) {
	want, err := files()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(shipped)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s is shipped and not made by this package", e.Name())
		}
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(shipped, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, text) {
			t.Errorf("%s is not what this package makes: run make docs", name)
		}
	}
}

// read decodes the shipped files; a field that the model does not know is refused.
func read(t *testing.T) (list []dashboard) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(shipped, "*.json"))
	if err != nil || len(names) != 4 {
		t.Fatalf("%d dashboards are shipped, not 4 (%v)", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if filepath.Base(name) != d.UID+".json" {
			t.Errorf("%s holds the dashboard %s", name, d.UID)
		}
		var top map[string]json.RawMessage
		if err := json.Unmarshal(text, &top); err != nil {
			t.Fatal(err)
		}
		for _, none := range []string{"id", "version", "iteration", "gnetId", "__inputs"} {
			if _, ok := top[none]; ok {
				t.Errorf("%s has %q, which belongs to one Grafana", name, none)
			}
		}
		list = append(list, d)
	}
	return list
}

func TestEveryDashboardIsWhole(t *testing.T) {
	uids, titles := map[string]bool{}, map[string]bool{}
	list := read(t)
	for _, d := range list {
		if uids[d.UID] || titles[d.Title] || len(d.UID) > 40 || d.Description == "" || !slices.Contains(d.Tags, "sidegate") {
			t.Errorf("%q (uid %q): the uid and the title must be its own, a uid has 40 characters at most, and it needs a description and the tag", d.Title, d.UID)
		}
		uids[d.UID], titles[d.Title] = true, true
	}
	for _, d := range list {
		var led []string
		for _, l := range d.Links {
			if uid, ok := strings.CutPrefix(l.URL, "/d/"); ok {
				led = append(led, uid)
				if !uids[uid] || uid == d.UID || !l.IncludeVars || !l.KeepTime {
					t.Errorf("%s: the link %q leads nowhere, to itself, or loses the choices", d.UID, l.URL)
				}
			}
		}
		if len(led) != len(list)-1 {
			t.Errorf("%s links %v, not the three others", d.UID, led)
		}
		if len(d.Annotations.List) != 2 {
			t.Errorf("%s marks %d kinds of moments, not restarts and epochs", d.UID, len(d.Annotations.List))
		}
	}
}

// TestVariables: what an expression names can be chosen, and what can be chosen is
// used.
func TestVariables(t *testing.T) {
	builtIn := []string{"__rate_interval", "__range", "__interval"}
	name := regexp.MustCompile(`\$\{?(\w+)`)
	for _, d := range read(t) {
		offered := map[string]bool{}
		for i, v := range d.Templating.List {
			offered[v.Name] = true
			if (i == 0) != (v.Kind == "datasource") {
				t.Errorf("%s: the data source must be the first choice, and is not: %s", d.UID, v.Name)
			}
		}
		text, err := json.Marshal(d.Panels)
		if err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
			if !offered[m[1]] && !slices.Contains(builtIn, m[1]) {
				t.Errorf("%s uses $%s, which cannot be chosen", d.UID, m[1])
			}
		}
		for v := range offered {
			if !used[v] {
				t.Errorf("%s offers %s, which nothing depends on", d.UID, v)
			}
		}
	}
}

// TestPanelsDoNotOverlap: on the grid each cell has one panel at most, none hangs
// over the edge, and no panel has a gap to its left.
func TestPanelsDoNotOverlap(t *testing.T) {
	for _, d := range read(t) {
		for _, wrong := range misplaced(d.Panels) {
			t.Errorf("%s: %s", d.UID, wrong)
		}
	}
	for want, at := range map[string][]gridPos{
		"lies over":          {{H: 4, W: 12}, {H: 4, W: 12, X: 11}},
		"over the edge":      {{H: 4, W: 12}, {H: 4, W: 13, X: 12}},
		"gap":                {{H: 4, W: 8}, {H: 4, W: 8, X: 12}},
		"id must be its own": {{H: 4, W: 8}, {H: 4, W: 8, X: 8}, {H: 4, W: 8, X: 16}, {H: 4, W: 8, Y: 4}},
	} {
		var panels []panel
		for i, g := range at {
			panels = append(panels, panel{ID: 1 + i%3, Title: fmt.Sprint(i), GridPos: g})
		}
		if got := strings.Join(misplaced(panels), "; "); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want one with %q", at, got, want)
		}
	}
}

// misplaced returns what is wrong with where panels are and what they are called.
func misplaced(panels []panel) (wrong []string) {
	taken, ids, titles := map[[2]int]string{}, map[int]bool{}, map[string]bool{}
	for _, p := range panels {
		g := p.GridPos
		if ids[p.ID] || titles[p.Title] || p.ID == 0 || p.Title == "" {
			wrong = append(wrong, fmt.Sprintf("panel %d %q: its id must be its own, and so must its title", p.ID, p.Title))
		}
		ids[p.ID], titles[p.Title] = true, true
		if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > columns {
			wrong = append(wrong, fmt.Sprintf("%q hangs over the edge: %+v", p.Title, g))
		}
		for i := range g.W * g.H {
			cell := [2]int{g.X + i%g.W, g.Y + i/g.W}
			if other, ok := taken[cell]; ok {
				wrong = append(wrong, fmt.Sprintf("%q lies over %q", p.Title, other))
				break
			}
			taken[cell] = p.Title
		}
	}
	for _, p := range panels {
		if p.GridPos.X > 0 && taken[[2]int{p.GridPos.X - 1, p.GridPos.Y}] == "" {
			wrong = append(wrong, fmt.Sprintf("there is a gap to the left of %q", p.Title))
		}
	}
	return wrong
}

// knownUnits are ids of Grafana's units; another word would be shown as it is,
// behind the number.
var knownUnits = []string{seconds, bytesUnit, perSecond, requestsPerSecond, ratio, count, plain}

var closing = regexp.MustCompile(`(?s)^.{30,}[.]\n\nIf this looks wrong → runbook: \[([a-z-]+)\]\(` + regexp.QuoteMeta(runbooks) + `([a-z-]+)\.md\)$`)

// TestEveryPanelIsWhole: who is woken by an alert reads a panel for the first time.
func TestEveryPanelIsWhole(t *testing.T) {
	options := map[string][]string{ // what Grafana's own schema of a kind of panel requires
		"timeseries":     {"legend", "tooltip"},
		"stat":           {"colorMode", "graphMode", "justifyMode", "orientation", "reduceOptions", "textMode"},
		"heatmap":        {"calculate", "cellGap", "color", "filterValues", "legend", "rowsFrame", "showValue", "tooltip", "yAxis"},
		"state-timeline": {"alignValue", "legend", "mergeValues", "rowHeight", "showValue", "tooltip"},
		"table":          {"cellHeight", "footer", "showHeader"},
	}
	alerts := rules(t)
	for _, d := range read(t) {
		for _, p := range d.Panels {
			if p.Kind == "row" {
				continue
			}
			at := d.UID + ": " + p.Title
			for _, missing := range options[p.Kind] {
				if _, ok := p.Options[missing]; !ok {
					t.Errorf("%s: a %s needs the option %s", at, p.Kind, missing)
				}
			}
			if options[p.Kind] == nil {
				t.Errorf("%s: nothing is known of a panel of kind %q", at, p.Kind)
			}
			if m := closing.FindStringSubmatch(p.Description); m == nil || m[1] != m[2] {
				t.Errorf("%s: the description does not end with a runbook: %q", at, p.Description)
			} else if !strings.Contains(alerts, "/docs/runbooks/"+m[1]+".md\n") {
				t.Errorf("%s: no alert has the runbook %s", at, m[1])
			}
			if p.Datasource == nil || *p.Datasource != prometheus {
				t.Errorf("%s: the data source is not the one that is chosen", at)
			}
			checkFields(t, at, p)
			checkTargets(t, at, p)
		}
	}
}

// rules is the text of all alerts.
func rules(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", "prometheus", "rules", "*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no rules (%v)", err)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func checkFields(t *testing.T, at string, p panel) {
	t.Helper()
	f := p.FieldConfig
	if f == nil || !slices.Contains(knownUnits, f.Defaults.Unit) {
		t.Errorf("%s: no unit that Grafana knows", at)
		return
	}
	steps := f.Defaults.Thresholds.Steps
	for i, s := range steps {
		if (i == 0) != (s.Value == nil) || i > 1 && *s.Value <= *steps[i-1].Value {
			t.Errorf("%s: the thresholds do not begin without a value or do not ascend", at)
		}
	}
	if p.Kind == "heatmap" && p.Targets[0].Format != "heatmap" {
		t.Errorf("%s: buckets come as %s", at, p.Targets[0].Format)
	}
}

func checkTargets(t *testing.T, at string, p panel) {
	t.Helper()
	refs := map[string]bool{}
	if len(p.Targets) == 0 || len(p.Targets) > 26 {
		t.Errorf("%s: %d queries", at, len(p.Targets))
	}
	for _, q := range p.Targets {
		if refs[q.RefID] || q.Expr == "" || q.Range == q.Instant || q.Datasource != prometheus {
			t.Errorf("%s: query %s is not whole", at, q.RefID)
		}
		refs[q.RefID] = true
		if q.LegendFormat == "" && p.Kind != "stat" && p.Kind != "table" {
			t.Errorf("%s: the series of query %s have no name", at, q.RefID)
		}
		if left := regexp.MustCompile(`\b(WHERE|JOBS|EACH|RATE|OURS)\b`).FindString(q.Expr); left != "" {
			t.Errorf("%s: the word %s was not replaced in %s", at, left, q.Expr)
		}
	}
}
