// Command matrix reads what "go test -json" reports and prints the compatibility
// matrix: each row, what must hold, its tests and whether they passed. It fails
// if a test has failed or a row has no test that passed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() { os.Exit(judge(os.Stdin, os.Stdout)) }

// event is a line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// report is what a run has said.
type report struct {
	verdicts map[string]string   // pass, fail or skip by package and test
	output   map[string][]string // what a test, a package or a build has printed
	order    []string            // tests in the order in which they began
	names    map[string]string   // of tests, by package and test
	failed   []string            // packages and builds
	noise    []string            // lines that are none of go test -json
}

// read takes in a run. What is not JSON is kept: it tells why there is none.
func read(in io.Reader) (*report, error) {
	r := &report{verdicts: map[string]string{}, output: map[string][]string{}, names: map[string]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20) // a test that fails may print a list of 3000
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			r.noise = append(r.noise, lines.Text())
			continue
		}
		r.take(e)
	}
	return r, lines.Err()
}

func (r *report) take(e event) {
	of := e.Package
	if of == "" {
		of = e.ImportPath // of a build
	}
	id := of
	if e.Test != "" {
		id += "." + e.Test
	}
	switch e.Action {
	case "run":
		r.order = append(r.order, id)
		r.names[id] = e.Test
	case "output", "build-output":
		r.output[id] = append(r.output[id], e.Output)
	case "pass", "fail", "skip", "build-fail":
		if e.Test != "" {
			r.verdicts[id] = e.Action
		} else if e.Action != "pass" && e.Action != "skip" {
			r.failed = append(r.failed, id)
		}
	}
}

// judge prints the matrix and returns the exit code.
func judge(in io.Reader, out io.Writer) int {
	r, err := read(in)
	if err != nil {
		fmt.Fprintln(out, "the report of go test ended early:", err)
		return 1
	}
	code := r.printFailures(out)
	fmt.Fprintf(out, "\n%-4s %-10s %-8s %-6s %s\n", "row", "dialect", "verdict", "tests", "what must hold")
	for _, row := range rows {
		tests := r.of(row.name)
		verdict, passed := r.verdict(tests)
		if verdict != "pass" {
			code = 1
		}
		fmt.Fprintf(out, "%-4s %-10s %-8s %-6s %s\n", row.name, row.dialect, verdict, fmt.Sprintf("%d/%d", passed, len(tests)), row.holds)
		for _, id := range tests {
			fmt.Fprintf(out, "       %-5s %s\n", r.say(id), r.names[id])
		}
	}
	if len(r.order) == 0 {
		fmt.Fprintln(out, "\nNo test has run. If the lines above name a module that could not be fetched, the Go proxy is not reachable from here.")
	}
	return code
}

// testName finds the row in the name of a test that is not a part of another.
var testName = regexp.MustCompile(`^Test([A-Z]\d)_[^/]*$`)

// of returns the tests of a row, in the order in which they began.
func (r *report) of(row string) (tests []string) {
	for _, id := range r.order {
		if found := testName.FindStringSubmatch(r.names[id]); found != nil && found[1] == row {
			tests = append(tests, id)
		}
	}
	return tests
}

// say is what became of a test; one that did not end has failed.
func (r *report) say(id string) string {
	if v := r.verdicts[id]; v != "" {
		return v
	}
	return "fail"
}

// verdict judges a row. Skipped tests count neither way: an SDK that cannot be
// fetched here is no proof, and no refutation of the others.
func (r *report) verdict(tests []string) (verdict string, passed int) {
	verdict = "none"
	for _, id := range tests {
		switch r.say(id) {
		case "pass":
			passed++
		case "fail":
			verdict = "FAIL"
		}
	}
	if verdict == "none" && passed > 0 {
		verdict = "pass"
	}
	return verdict, passed
}

// printFailures shows what the failed have printed and why others were skipped.
func (r *report) printFailures(out io.Writer) (code int) {
	for _, line := range r.noise {
		fmt.Fprintln(out, line)
	}
	shown := slices.Clone(r.failed)
	for _, id := range r.order {
		if r.say(id) == "fail" {
			shown = append(shown, id)
		}
	}
	if len(shown) > 0 {
		code = 1
	}
	for _, id := range r.order {
		if r.say(id) == "skip" {
			shown = append(shown, id)
		}
	}
	for _, id := range shown {
		if text := strings.Join(r.output[id], ""); text != "" {
			fmt.Fprintf(out, "\n--- %s\n%s", id, text)
		}
	}
	return code
}
