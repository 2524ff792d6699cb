package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests of faults write what they saw into docs/concepts/faults.md: a table
// between two marks, one row a fault, in the order of the catalogue. What stands
// outside of the marks is written by hand.

var chaos = flag.Bool("chaos", false, "let faults strike for as long as they do in make chaos, and write docs/concepts/faults.md")

// onlyChaos leaves a test to make chaos whose shortest form is too long for every
// day.
func onlyChaos(t *testing.T) {
	t.Helper()
	if !*chaos {
		t.Skip("runs with make chaos")
	}
}

// faultFigures is what a test of a fault saw. A figure that the test has no way to
// see stays 0.
type faultFigures struct {
	// Happened is one sentence, without what the figures say.
	Happened string
	Rounds   int
	Answers  int           // that were judged
	Oldest   time.Duration // the oldest age that an answer showed; 0 = none was past the soft bound
	Unknown  int           // answers that there is none
	Unclear  time.Duration // the longest time for which answers about one list were unknown
	Fresh    time.Duration // from the end of the fault until no answer was stale or unknown any more
	// Wrong answers beyond the age that they showed, acknowledged writes that were
	// lost, and lists over the limit: each fails the test.
	Wrong, Lost, Over int
}

// sightings is what the tests of this run have seen, by the name of the test.
var sightings struct {
	mu   sync.Mutex
	seen map[string]faultFigures
}

// reportRow fails the test if something was wrong, lost or over the limit, prints
// the figures, and keeps them for the page. A test reports once, under its own
// name: parts of a test report nothing.
func reportRow(t *testing.T, f faultFigures) {
	t.Helper()
	t.Logf("%s", &f)
	if f.Wrong > 0 || f.Lost > 0 || f.Over > 0 {
		t.Errorf("%d wrong answers, %d acknowledged writes lost, %d lists over the limit", f.Wrong, f.Lost, f.Over)
	}
	if catalogued(t.Name()) == nil {
		t.Errorf("the fault is not in the catalogue")
	}
	sightings.mu.Lock()
	defer sightings.mu.Unlock()
	if sightings.seen == nil {
		sightings.seen = map[string]faultFigures{}
	}
	sightings.seen[t.Name()] = f
}

func catalogued(test string) *faultRow {
	for i := range faultCatalogue {
		if faultCatalogue[i].test == test {
			return &faultCatalogue[i]
		}
	}
	return nil
}

const (
	faultPage  = "../../docs/concepts/faults.md"
	pageBegin  = "<!-- written by make chaos: begin -->\n"
	pageEnd    = "<!-- written by make chaos: end -->\n"
	pageColumn = "| fault | the program must | what happened | rounds | answers judged | oldest answer | unknown answers | longest | fresh again after | wrong | lost | over the limit |\n" +
		"|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
	elsewhereColumn = "| fault | the program must | shown by |\n|---|---|---|\n"
)

// writeFaultPage puts what was seen into the page, after the last test. The rows of
// tests that have not run, or have not come to their report, stay as they are.
func writeFaultPage() error {
	sightings.mu.Lock()
	defer sightings.mu.Unlock()
	if !*chaos || len(sightings.seen) == 0 {
		return nil
	}
	page, err := os.ReadFile(faultPage)
	if err != nil {
		return err
	}
	before, old, after, err := splitPage(string(page))
	if err != nil {
		return err
	}
	tables := faultTables(rowsOf(old), sightings.seen)
	for i := range faultCatalogue {
		if f, seen := sightings.seen[faultCatalogue[i].test]; seen {
			fmt.Printf("%s: %s\n    %s\n", faultCatalogue[i].test, faultCatalogue[i].fault, &f)
		}
	}
	fmt.Printf("%d of %d faults made to happen; docs/concepts/faults.md is written\n", len(sightings.seen), faultsHere())
	return os.WriteFile(faultPage, []byte(before+tables+after), 0o644)
}

// faultsHere counts the faults that tests here make to happen.
func faultsHere() (n int) {
	for i := range faultCatalogue {
		if faultCatalogue[i].test != "" {
			n++
		}
	}
	return n
}

func splitPage(page string) (before, tables, after string, err error) {
	begin, end := strings.Index(page, pageBegin), strings.Index(page, pageEnd)
	if begin < 0 || end < begin {
		return "", "", "", fmt.Errorf("%s has not the two marks", faultPage)
	}
	begin += len(pageBegin)
	return page[:begin], page[begin:end], page[end:], nil
}

// rowsOf returns the rows of a table by their first cell.
func rowsOf(table string) map[string]string {
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, " | "); len(cells) > 2 {
			rows[strings.TrimPrefix(cells[0], "| ")] = line
		}
	}
	return rows
}

// faultTables renders both tables: what was made to happen here, and what is shown
// in another way.
func faultTables(old map[string]string, seen map[string]faultFigures) string {
	var here, elsewhere strings.Builder
	for i := range faultCatalogue {
		row := &faultCatalogue[i]
		f, fresh := seen[row.test]
		switch {
		case row.test == "":
			fmt.Fprintf(&elsewhere, "| %s | %s | %s |\n", row.fault, row.must, row.shown)
		case fresh:
			here.WriteString(f.row(row))
		default:
			here.WriteString(old[row.fault])
		}
	}
	return "\n" + pageColumn + here.String() + "\n" + elsewhereColumn + elsewhere.String() + "\n"
}

func (f *faultFigures) row(r *faultRow) string {
	return fmt.Sprintf("| %s | %s | %s | %d | %d | %s | %d | %s | %s | %d | %d | %d |\n", r.fault, r.must, f.Happened, f.Rounds, f.Answers,
		figure(f.Oldest), f.Unknown, figure(f.Unclear), figure(f.Fresh), f.Wrong, f.Lost, f.Over)
}

// String says the figures in one line.
func (f *faultFigures) String() string {
	return fmt.Sprintf("%s; %d rounds, %d answers judged, oldest %s, %d unknown (up to %s), fresh again after %s; %d wrong, %d lost, %d over the limit",
		f.Happened, f.Rounds, f.Answers, figure(f.Oldest), f.Unknown, figure(f.Unclear), figure(f.Fresh), f.Wrong, f.Lost, f.Over)
}

// figure writes a time with no more digits than mean something.
func figure(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

var faultTest = regexp.MustCompile(`(?m)^func (TestFault\w*)\(t \*testing\.T\)`)

// TestFaultPage: the catalogue and the tests are about the same faults, and the
// page has a row of each, in which nothing is wrong.
func TestFaultPage(t *testing.T) {
	if *chaos {
		t.Skip("this run writes the page anew")
	}
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), "fault_") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range faultTest.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
			if catalogued(m[1]) == nil && !faultInstruments[m[1]] {
				t.Errorf("%s: %s is not in the catalogue", f.Name(), m[1])
			}
		}
	}
	page, err := os.ReadFile(faultPage)
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _, err := splitPage(string(page))
	if err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(tables)
	for i := range faultCatalogue {
		row := &faultCatalogue[i]
		line := rows[row.fault]
		switch {
		case row.test != "" && !tests[row.test]:
			t.Errorf("%s: there is no %s", row.fault, row.test)
		case row.test == "" && row.shown == "":
			t.Errorf("%s: neither a test nor a reason", row.fault)
		case line == "":
			t.Errorf("%s: the page has no row of it; run make chaos", row.fault)
		case row.test != "" && !strings.HasSuffix(line, " | 0 | 0 | 0 |\n"):
			t.Errorf("the page says that something was wrong, lost or over the limit: %s", line)
		}
	}
	if want := faultTables(rows, nil); tables != want {
		t.Errorf("the tables of the page are not those of the catalogue; run make chaos")
	}
}
