package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/prober"
)

// staleAge is the age that an answer states.
func staleAge(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// print prints the summary of a run.
func (c *probeCmd) print(p *program, r *prober.Report) {
	if c.JSON {
		text, err := json.Marshal(probeJSONOf(r, c.App))
		if err == nil { // it has texts, numbers and yes or no in it
			p.say("%s", text)
		}
		return
	}
	p.say("%s", headline(r))
	p.say("%s", writesLine(r))
	p.say("")
	for _, line := range targetTable(r.Targets) {
		p.say("%s", line)
	}
	if worst := longest(r.Targets); worst != nil {
		p.say("")
		p.say("Longest: %s on %s, seen at %s.", prober.Shown(worst.Max), printable(worst.Name), clockTime(worst.MaxAt))
	}
	for i, v := range r.Violations {
		if i == 0 {
			p.say("\nWrong answers, the first %d:", len(r.Violations))
		}
		p.say("  %s  %s  %s", clockTime(v.At), printable(v.Target), v)
	}
	for _, t := range r.Targets {
		if t.Unreached > 0 || t.Silent {
			p.say("\n%s did not answer %d times; at last: %s", printable(t.Name), t.Unreached+t.Unknown, printableText(t.LastError))
		}
	}
}

// headline is the verdict.
func headline(r *prober.Report) string {
	wrong, behind, silent := 0, 0, 0
	for _, t := range r.Targets {
		wrong += t.Wrong()
		if t.Silent {
			silent++
		} else if t.Behind {
			behind++
		}
	}
	switch {
	case r.Verdict == prober.Wrong:
		return fmt.Sprintf("WRONG: %s contradict what was acknowledged.", counted(wrong, "answer"))
	case r.Writes.Acknowledged == 0:
		return "NOT REACHED: no write was acknowledged."
	case r.Verdict == prober.Unreached:
		return fmt.Sprintf("NOT REACHED: of %s %d did not answer at the end, and %d did not show the last writes. No answer was wrong.",
			counted(len(r.Targets), "target"), silent, behind)
	}
	most := time.Duration(0)
	if worst := longest(r.Targets); worst != nil {
		most = worst.Max
	}
	return fmt.Sprintf("CLEAN: every write was in the answers of %s within %s.", counted(len(r.Targets), "target"), prober.Shown(most))
}

func writesLine(r *prober.Report) string {
	text := fmt.Sprintf("%s acknowledged in %s", counted(r.Writes.Acknowledged, "write"), r.Took.Round(100*time.Millisecond))
	if r.Writes.Refused > 0 {
		text += fmt.Sprintf(", %d refused", r.Writes.Refused)
	}
	if r.Writes.Unknown > 0 {
		text += fmt.Sprintf(", %d of unknown outcome", r.Writes.Unknown)
	}
	text += "."
	if r.Writes.LastError != "" {
		text += " The last that failed: " + printableText(r.Writes.LastError)
	}
	return text
}

// counted is a number of things.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// targetTable is a row for each target, below its head.
func targetTable(targets []prober.TargetReport) []string {
	rows := [][]string{{"TARGET", "SEEN", "P50", "P95", "P99", "MAX", "READS", "NO ANSWER", "WRONG"}}
	for _, t := range targets {
		quantiles := []string{"-", "-", "-", "-"}
		if t.Windows > 0 {
			quantiles = []string{prober.Shown(t.P50), prober.Shown(t.P95), prober.Shown(t.P99), prober.Shown(t.Max)}
		}
		row := slices.Concat([]string{printable(t.Name), strconv.Itoa(t.Windows)}, quantiles,
			[]string{strconv.Itoa(t.Reads), strconv.Itoa(t.Unknown + t.Unreached), strconv.Itoa(t.Wrong())})
		rows = append(rows, row)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var lines []string
	for _, row := range rows {
		line := fmt.Sprintf("%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			line += fmt.Sprintf("  %*s", widths[i+1], cell)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// longest is the target with the longest window, nil if none was measured.
func longest(targets []prober.TargetReport) (worst *prober.TargetReport) {
	for i := range targets {
		if t := &targets[i]; t.Windows > 0 && (worst == nil || t.Max > worst.Max) {
			worst = t
		}
	}
	return worst
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// probeJSON is the summary as data; times in milliseconds.
type probeJSON struct {
	Verdict    prober.Verdict       `json:"verdict"`
	App        string               `json:"app"`
	Began      time.Time            `json:"began"`
	TookMS     float64              `json:"took_ms"`
	Writes     probeWritesJSON      `json:"writes"`
	Targets    []probeTargetJSON    `json:"targets"`
	Violations []probeViolationJSON `json:"violations"` // the first of them
}

type probeWritesJSON struct {
	Acknowledged int    `json:"acknowledged"`
	Refused      int    `json:"refused"`
	Unknown      int    `json:"unknown"`
	LastError    string `json:"last_error,omitempty"`
}

type probeTargetJSON struct {
	Target     string              `json:"target"`
	Seen       int                 `json:"seen"`
	P50MS      float64             `json:"p50_ms"`
	P95MS      float64             `json:"p95_ms"`
	P99MS      float64             `json:"p99_ms"`
	MaxMS      float64             `json:"max_ms"`
	MaxAgeMS   float64             `json:"max_age_ms"`
	Reads      int                 `json:"reads"`
	Unknown    int                 `json:"unknown"`
	Unreached  int                 `json:"unreached"`
	Behind     bool                `json:"behind"`
	Silent     bool                `json:"silent"`
	Violations map[prober.Kind]int `json:"violations"`
	LastError  string              `json:"last_error,omitempty"`
}

type probeViolationJSON struct {
	At     time.Time   `json:"at"`
	Target string      `json:"target"`
	Kind   prober.Kind `json:"kind"`
	What   string      `json:"what"`
}

func probeJSONOf(r *prober.Report, app string) probeJSON {
	out := probeJSON{
		Verdict: r.Verdict, App: app, Began: r.Began.UTC(), TookMS: milliseconds(r.Took), Writes: probeWritesJSON(r.Writes),
		Targets: []probeTargetJSON{}, Violations: []probeViolationJSON{},
	}
	for _, t := range r.Targets {
		out.Targets = append(out.Targets, probeTargetJSON{
			Target: t.Name, Seen: t.Windows, P50MS: milliseconds(t.P50), P95MS: milliseconds(t.P95), P99MS: milliseconds(t.P99), MaxMS: milliseconds(t.Max),
			MaxAgeMS: milliseconds(t.MaxAge), Reads: t.Reads, Unknown: t.Unknown, Unreached: t.Unreached, Behind: t.Behind, Silent: t.Silent,
			Violations: t.Violations, LastError: t.LastError,
		})
	}
	for _, v := range r.Violations {
		out.Violations = append(out.Violations, probeViolationJSON{v.At.UTC(), v.Target, v.Kind, v.String()})
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
