package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/study"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run the test with -update and read the difference):\n%s", path, got)
	}
}

// sample is a study with a row of every kind.
func sample() File {
	return File{
		Study: "beside", What: "checks beside what a team would use instead", Seconds: 61.4,
		Begun:   time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Machine: Machine{CPU: "A Processor", Cores: 2, System: "linux/amd64", Go: "go1.26.8", Commit: "0123456789ab", Changed: true},
		Result: study.Result{
			Rows: []study.Row{
				study.Row{ID: "redis-one-way", What: "rate, one way", Unit: "× go-redis", AtLeast: study.AtLeast(1.3)}.Ratio(
					study.Side{Name: "sidegate", Unit: "a second", Values: []float64{90_000, 100_000, 104_321}},
					study.Side{Name: "go-redis", Unit: "a second", Values: []float64{70_000, 70_000, 71_234}}),
				{ID: "redis-two-way", What: "rate, two way", Unit: "×", AtLeast: study.AtLeast(2), Values: []float64{1.5, 1.6, 1.7}},
				{ID: "postgres-cpu", What: "CPU beside Postgres", Unit: "×", AtMost: study.AtMost(1. / 4), Values: []float64{0.2, 0.21}},
				{ID: "opa-cpu", What: "CPU beside OPA", Unit: "×", AtMost: study.AtMost(1. / 10), Missing: "opa is not built"},
				{ID: "changes-stale", What: "stale answers", Unit: "answers", AtMost: study.AtMost(0), Values: []float64{2, 2}},
				{ID: "raw", What: "both sides by bare sockets", Unit: "×", Values: []float64{1.1}},
				{ID: "extra", What: "a bound of its own | with a bar", Unit: "ms", AtMost: study.AtMost(1), Values: []float64{3}},
			},
			Tables: []study.Table{{Title: "One operation", Head: []string{"server", "µs"}, Cells: [][]string{{"sidegate", "6.7"}, {"too", "many", "cells"}, {"few"}}}},
			Charts: []study.Chart{barChart(), lineChart()},
			Notes:  []string{"Everything ran on one machine.\n"},
		},
	}
}

func barChart() study.Chart {
	return study.Chart{
		ID: "beside", Title: "What one check costs the server", Note: "16 callers over loopback, in turn, medians of 7 rounds. The thin line is the middle half of the rounds.",
		X: study.Axis{Name: "server CPU, µs a check", Log: true},
		Bars: []study.Bar{
			{Name: "sidegate, HTTP", Value: 6.9, Low: 6.6, High: 7.4, Own: true}, {Name: "fasthttp no-op", Value: 6.7, Low: 6.6, High: 6.8},
			{Name: "Redis SISMEMBER <go-redis>", Value: 8, Low: 7.4, High: 8.3}, {Name: "Postgres EXISTS, pgx", Value: 39, Low: 35, High: 47},
			{Name: "OPA REST", Value: 80}, {Name: "OpenFGA Check, gRPC", Value: 121}, {Name: "OpenFGA Check, HTTP", Value: 253, Low: 240, High: 280},
		},
	}
}

func lineChart() study.Chart {
	return study.Chart{
		ID: "growth", Title: "CPU per check against the number of lists", X: study.Axis{Name: "lists", Log: true}, Y: study.Axis{Name: "server CPU, µs a check"},
		Lines: []study.Line{
			{Name: "from Postgres", Points: [][2]float64{{1e6, 7.2}, {1e5, 6.9}}},
			{Name: "from a generator", Points: [][2]float64{{1e5, 6.8}, {1e6, 7.1}, {1e7, 7.9}}},
		},
	}
}

// TestPage: everything that was measured and everything that was not is there.
func TestPage(t *testing.T) {
	early := File{Study: "writes", What: "writes.", Error: "start Postgres: no", Begun: sample().Begun, Seconds: 3, Machine: Machine{CPU: "A Processor", Cores: 1}}
	page := NewPage([]File{sample(), early}, func(id string) string {
		return map[string]string{"redis-two-way": "The kernel: 80 % of the profile. Tried: nothing."}[id]
	})
	golden(t, "RESULTS.md", page.Markdown())
	golden(t, "problems.txt", []byte(strings.Join(page.Problems(), "\n")+"\n"))
	for _, target := range Targets {
		if !bytes.Contains(page.Markdown(), []byte("| `"+target.ID+"` | "+target.What+" |")) {
			t.Errorf("target %s is not in the table", target.ID)
		}
	}
}

// TestPrint: a terminal sees every row and table.
func TestPrint(t *testing.T) {
	var out bytes.Buffer
	if err := Print(&out, sample().Result); err != nil {
		t.Fatal(err)
	}
	golden(t, "printed.txt", out.Bytes())
}

// TestShortRowsNeedAParagraph: the problem goes away with the paragraph, and with
// nothing else.
func TestShortRowsNeedAParagraph(t *testing.T) {
	file := File{Study: "httpcheck", Result: study.Result{Rows: []study.Row{{ID: "http-check-cpu", Unit: "×", AtMost: study.AtMost(1.10), Values: []float64{1.2}}}}}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "limits"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "limits", "http-check-cpu.md"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	problems := func() []string { return NewPage([]File{file}, Limits(dir)).Problems() }
	if got := problems(); len(got) != 1 || !strings.Contains(got[0], "bench/limits/http-check-cpu.md") {
		t.Errorf("without a paragraph: %q", got)
	}
	if write(" \n"); len(problems()) != 1 {
		t.Error("an empty paragraph is one")
	}
	if write("Parsing."); len(problems()) != 0 {
		t.Errorf("with a paragraph: %q", problems())
	}
	page := NewPage([]File{file}, Limits(dir))
	if !bytes.Contains(page.Markdown(), []byte("short by 9 %: Parsing.")) {
		t.Errorf("the paragraph is not shown:\n%s", page.Markdown())
	}
}

// TestBoundsAreThoseOfTheTargets: a study cannot ask less of itself.
func TestBoundsAreThoseOfTheTargets(t *testing.T) {
	for name, c := range map[string]struct {
		row      study.Row
		problems int
	}{
		"the same":             {study.Row{ID: "pipelined-cpu", Unit: "µs", AtMost: study.AtMost(2.1), Values: []float64{1}}, 0},
		"in another unit":      {study.Row{ID: "pipelined-cpu", Unit: "ns", AtMost: study.AtMost(2100), Values: []float64{1}}, 0},
		"looser":               {study.Row{ID: "pipelined-cpu", Unit: "µs", AtMost: study.AtMost(2.2), Values: []float64{1}}, 1},
		"none":                 {study.Row{ID: "pipelined-cpu", Unit: "µs", Values: []float64{1}}, 1},
		"on the other side":    {study.Row{ID: "pipelined-cpu", Unit: "µs", AtLeast: study.AtLeast(2.1), Values: []float64{3}}, 1},
		"nothing at all":       {study.Row{ID: "changes-stale", Unit: "answers", AtMost: study.AtMost(0), Values: []float64{0}}, 0},
		"set by its study":     {study.Row{ID: "growth-memory", Unit: "×", AtMost: study.AtMost(1.1), Values: []float64{1}}, 0},
		"a row without target": {study.Row{ID: "whatever", Unit: "×", AtMost: study.AtMost(9), Values: []float64{1}}, 0},
	} {
		file := File{Study: "s", Result: study.Result{Rows: []study.Row{c.row}}}
		if got := NewPage([]File{file}, Limits(t.TempDir())).Problems(); len(got) != c.problems {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestTheStudyOfATargetCounts: another study may have a row of the same name.
func TestTheStudyOfATargetCounts(t *testing.T) {
	row := func(v float64) study.Result {
		return study.Result{Rows: []study.Row{{ID: "growth-cpu", Unit: "×", AtMost: study.AtMost(1.3), Values: []float64{v}}}}
	}
	for _, files := range [][]File{
		{{Study: "other", Result: row(9)}, {Study: "scaling", Result: row(1.25)}},
		{{Study: "scaling", Result: row(1.25)}, {Study: "other", Result: row(9)}},
		{{Study: "other", Result: row(1.25)}},
	} {
		page := string(NewPage(files, Limits(t.TempDir())).Markdown())
		if !strings.Contains(page, "1 met, 0 short") {
			t.Errorf("%v: the row of another study counts", files)
		}
	}
}

func TestTargetsAreNamedOnce(t *testing.T) {
	var seen []string
	for _, target := range Targets {
		if slices.Contains(seen, target.ID) || !names.MatchString(target.ID) || target.What == "" || !names.MatchString(target.Study) {
			t.Errorf("target %+v", target)
		}
		seen = append(seen, target.ID)
	}
}

// TestSaveAndLoad: what is read is what was written, charts of earlier runs go.
func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	first := sample()
	if err := first.Save(dir); err != nil {
		t.Fatal(err)
	}
	second := sample()
	second.Result.Charts = second.Result.Charts[:1]
	if err := errors.Join(second.Save(dir), File{Study: "alpha", Begun: first.Begun}.Save(dir), File{Study: "zeta", Begun: first.Begun}.Save(dir)); err != nil {
		t.Fatal(err)
	}
	files, err := Load(dir, []string{"zeta", "beside"})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, f := range files {
		order = append(order, f.Study)
	}
	if !slices.Equal(order, []string{"zeta", "beside", "alpha"}) {
		t.Errorf("in the order %q", order)
	}
	none := func(string) string { return "" }
	if got, want := NewPage(files[1:2], none).Markdown(), NewPage([]File{second}, none).Markdown(); !bytes.Equal(got, want) {
		t.Errorf("read:\n%s\nwritten:\n%s", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "results", "beside.svg")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "results", "growth.svg")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a chart that is no more: %v", err)
	}
	if bars := files[1].Result.Charts[0].Bars; bars[0].Low != 6.6 || bars[0].High != 7.4 {
		t.Errorf("the range of a bar is lost: %+v", bars[0])
	}
	if err := os.WriteFile(filepath.Join(dir, "results", "broken.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, nil); err == nil || !strings.Contains(err.Error(), "broken.json") {
		t.Errorf("a broken file: %v", err)
	}
}

// TestWhatCannotBeKept: a mistake of a study is found before it is written.
func TestWhatCannotBeKept(t *testing.T) {
	row := func(r study.Row) File { return File{Study: "s", Result: study.Result{Rows: []study.Row{r}}} }
	chart := func(c study.Chart) File { return File{Study: "s", Result: study.Result{Charts: []study.Chart{c}}} }
	for want, f := range map[string]File{
		"lower-case":      {Study: "../s"},
		"no number":       row(study.Row{ID: "a", Values: []float64{math.Inf(1)}}),
		"neither a value": row(study.Row{ID: "a"}),
		`"A b"`:           row(study.Row{ID: "A b", Values: []float64{1}}),
		"neither a bar":   chart(study.Chart{ID: "c"}),
		"has no point":    chart(study.Chart{ID: "c", Lines: []study.Line{{Name: "l"}}}),
		"not positive":    chart(study.Chart{ID: "c", X: study.Axis{Log: true}, Bars: []study.Bar{{Value: 0}}}),
		"told apart":      chart(study.Chart{ID: "c", Lines: make([]study.Line, 7)}),
	} {
		dir := t.TempDir()
		if err := f.Save(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: something was written", want)
		}
	}
}

// TestCharts: the pictures are well-formed and hold every name and value.
func TestCharts(t *testing.T) {
	for _, c := range []study.Chart{barChart(), lineChart()} {
		picture := SVG(c)
		golden(t, c.ID+".svg", picture)
		decoder := xml.NewDecoder(bytes.NewReader(picture))
		text := ""
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", c.ID, err)
			}
			if chars, is := token.(xml.CharData); is {
				text += string(chars) + "\n"
			}
		}
		words := []string{c.Title, c.X.Name}
		for _, b := range c.Bars {
			words = append(words, b.Name, Figure(b.Value))
		}
		for _, l := range c.Lines {
			words = append(words, l.Name)
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is not in the picture", c.ID, w)
			}
		}
	}
}

// TestEveryTargetIsShownOnTheTerminal: none is left out, measured or not.
func TestEveryTargetIsShownOnTheTerminal(t *testing.T) {
	shown := string(NewPage(nil, func(string) string { return "" }).Targets())
	lines := strings.Split(strings.TrimSpace(shown), "\n")
	if len(lines) != len(Targets) {
		t.Fatalf("%d lines for %d targets", len(lines), len(Targets))
	}
	for i, target := range Targets {
		if fields := strings.Fields(lines[i]); fields[0] != target.ID || !strings.Contains(lines[i], "not measured: ") {
			t.Errorf("%q stands for %s", lines[i], target.ID)
		}
	}
}
