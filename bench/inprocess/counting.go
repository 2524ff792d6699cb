package inprocess

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/study"
)

// countingBenchmark is what counting adds to a check. It stands beside the code
// that it times, which nobody outside of that package can reach.
const countingBenchmark = "^BenchmarkCount$/^own-1$"

var countingLine = regexp.MustCompile(`(?m)^BenchmarkCount/own-1\S*\s.*\s([0-9.]+) cpu-ns/op`)

// counting measures what the metrics cost a check, by the benchmark of package
// filter.
func counting(ctx context.Context, env *study.Env) study.Row {
	row := study.Row{
		ID: "metrics-cost", What: "metrics of a check: dice, counter, and for one in 64 the clock and the histogram: CPU a check",
		Unit: "ns", AtMost: study.AtMost(25),
	}
	length := max(env.Round()/4, 100*time.Millisecond)
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", countingBenchmark,
		"-benchtime", length.String(), "-count", strconv.Itoa(env.Rounds()), "github.com/sidegate/sidegate/filter")
	out, err := cmd.CombinedOutput()
	if err != nil {
		row.Missing = fmt.Sprintf("go test: %v: %s", err, lastLine(string(out)))
		return row
	}
	row.Values = countingFigures(string(out))
	if len(row.Values) == 0 {
		row.Missing = "go test printed no figure"
	}
	return row
}

// countingFigures are those of each run that go test printed.
func countingFigures(printed string) (values []float64) {
	for _, m := range countingLine.FindAllStringSubmatch(printed, -1) {
		if v, err := strconv.ParseFloat(m[1], 64); err == nil {
			values = append(values, v)
		}
	}
	return values
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
