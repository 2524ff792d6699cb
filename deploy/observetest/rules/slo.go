// Package rules makes the files under deploy/prometheus that are not written by
// hand: the recording rules and alerts of the objectives, the same objectives for
// those who run sloth, and the rules of all files as one object for the operator.
package rules

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"
)

// objective is a promise: the share of events that are good, over 30 days.
type objective struct {
	Name      string  // of the objective, as its label has it
	Alert     string  // the alert on its budget
	Page      string  // the runbook's file
	Objective float64 // percent
	Means     string  // one sentence
	Summary   string
	Says      string // what the value of the alert is, with the templates of Prometheus

	// Errors and Total count events over a window, which %s stands for. They are
	// summed by whatever is asked for.
	Errors, Total string
	// Enough is an expression that holds while there were events enough for a
	// share to mean something, empty if there always are.
	Enough string
}

// grouped is what every sum is by; see rules/sidegate-recording.yaml.
const grouped = "cluster, namespace, job"

const share = "{{ $value | humanizePercentage }} "

// objectives are the three that the service is held to.
var objectives = []objective{
	{
		Name: "decisions", Alert: "SidegateDecisionErrorBurn", Page: "decision-error-burn", Objective: 99.99,
		Means:   "A decision is made from the lists: it is not unknown, and on_unknown did not have to make it.",
		Summary: "Decisions are not made from the lists",
		Says:    share + "of the decisions of {{ $labels.job }} were unknown: on_unknown, or the chat server, decided without the lists.",
		// Questions about an app or a room type that does not exist are mistakes
		// of those who ask.
		Errors: `rate(sidegate_unknown_total{cause!~"unknown_app|invalid_room_type"}[%s])`,
		Total:  `rate(sidegate_decisions_total[%s])`,
		Enough: `sum by (` + grouped + `) (increase(sidegate_unknown_total{cause!~"unknown_app|invalid_room_type"}[1h])) > 5`,
	},
	{
		Name: "latency", Alert: "SidegateDecisionLatencyBurn", Page: "decision-latency-burn", Objective: 99.9,
		Means:   "A single decision takes at most 10 ms, without HTTP; one in 64 is timed.",
		Summary: "Decisions are slow",
		Says:    share + "of the decisions of {{ $labels.job }} took longer than 10 ms: lists had to be read from Postgres, or there was no CPU.",
		Errors: `(rate(sidegate_decision_duration_seconds_count{api="native"}[%[1]s]) - ignoring (le)` +
			` rate(sidegate_decision_duration_seconds_bucket{api="native",le="0.01"}[%[1]s]))`,
		Total:  `rate(sidegate_decision_duration_seconds_count{api="native"}[%s])`,
		Enough: `sum by (` + grouped + `) (increase(sidegate_decision_duration_seconds_count{api="native"}[1h])) > 100`,
	},
	{
		Name: "freshness", Alert: "SidegateFreshnessBurn", Page: "freshness-burn", Objective: 99.9,
		Means:   "Memory is at most 5 s behind the database, by the time that all processes run.",
		Summary: "Answers are not fresh",
		Says:    share + "of the time memory of {{ $labels.job }} was more than 5 s behind the database: new blocks were not enforced.",
		Errors:  `sum_over_time(sidegate:sync_stale:bool[%s])`,
		Total:   `count_over_time(sidegate:sync_stale:bool[%s])`,
	},
}

// windows are those that the alerts look at; 30d is recorded from the shortest.
var windows = []string{"5m", "30m", "1h", "6h", "3d"}

// burn is a rule of the SRE workbook: a budget that is spent so many times too
// quickly over the long window, and still over the short one.
type burn struct {
	Factor      float64
	Short, Long string
}

// severities are the alerts of an objective. The first spends 2 % of 30 days'
// budget in an hour or 5 % in six hours, the second 10 % in three days.
var severities = []struct {
	Severity, Speed, Verdict, Consequence string
	Burns                                 []burn
}{
	{
		"page", "fast", "burns fast", "If it goes on, the budget of 30 days is spent within two to five days.",
		[]burn{{14.4, "5m", "1h"}, {6, "30m", "6h"}},
	},
	{
		"ticket", "slow", "will not last", "Over the last three days more was bad than that allows.",
		[]burn{{1, "6h", "3d"}},
	},
}

// ID is the label sloth_id.
func (o objective) ID() string { return "sidegate-" + o.Name }

// Budget is the share of events that may be bad.
func (o objective) Budget() string { return decimal(1 - o.Objective/100) }

// Target is the share of events that must be good.
func (o objective) Target() string { return decimal(o.Objective / 100) }

func decimal(v float64) string {
	return strings.TrimRight(fmt.Sprintf("%.6f", v), "0")
}

// Ratio is the share of bad events over a window. Without events there is none.
func (o objective) Ratio(window string) string {
	return fmt.Sprintf("sum by (%s) (%s)\n  / (sum by (%s) (%s) > 0)",
		grouped, fill(o.Errors, window), grouped, fill(o.Total, window))
}

// fill puts a window into the places of an expression.
func fill(expr, window string) string {
	return strings.ReplaceAll(strings.ReplaceAll(expr, "%[1]s", window), "%s", window)
}

// Burning is the expression of an alert.
func (o objective) Burning(burns []burn) string {
	var sides []string
	for _, b := range burns {
		side := func(window string) string {
			return fmt.Sprintf(`slo:sli_error:ratio_rate%s{sloth_id="%s"} > %v * %s`, window, o.ID(), b.Factor, o.Budget())
		}
		sides = append(sides, fmt.Sprintf("max without (sloth_window) (%s)\n    and\n  max without (sloth_window) (%s)", side(b.Short), side(b.Long)))
	}
	expr := "(\n  " + strings.Join(sides, "\n)\nor\n(\n  ") + "\n)"
	if o.Enough != "" {
		expr = "(\n  " + strings.ReplaceAll(expr, "\n", "\n  ") + "\n)\nand on (" + grouped + ")\n" + o.Enough
	}
	return expr
}

const head = `# Made by "make rules" from deploy/observetest/rules; changes by hand are lost.
`

var sloTemplate = template.Must(template.New("slo").Funcs(template.FuncMap{
	"indent": func(n int, text string) string {
		return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", n))
	},
}).Parse(head + `#
# The objectives, named as sloth names them. Load it with the two files beside it.
groups:{{range $o := .Objectives}}
  # {{.Means}} Objective: {{.Objective}} % over 30 days.
  - name: sidegate-slo-{{.Name}}
    rules:{{range $.Windows}}
      - record: slo:sli_error:ratio_rate{{.}}
        expr: |
          {{$o.Ratio . | indent 10}}
        labels: {sloth_id: {{$o.ID}}, sloth_service: sidegate, sloth_slo: {{$o.Name}}, sloth_window: {{.}}}{{end}}
      - record: slo:sli_error:ratio_rate30d
        expr: |
          sum_over_time(slo:sli_error:ratio_rate5m{sloth_id="{{.ID}}"}[30d])
            / ignoring (sloth_window) count_over_time(slo:sli_error:ratio_rate5m{sloth_id="{{.ID}}"}[30d])
        labels: {sloth_id: {{.ID}}, sloth_service: sidegate, sloth_slo: {{.Name}}, sloth_window: 30d}
      - record: slo:objective:ratio
        expr: vector({{.Target}})
        labels: {sloth_id: {{.ID}}, sloth_service: sidegate, sloth_slo: {{.Name}}}
      - record: slo:error_budget:ratio
        expr: vector(1 - {{.Target}})
        labels: {sloth_id: {{.ID}}, sloth_service: sidegate, sloth_slo: {{.Name}}}
      - record: slo:time_period:days
        expr: vector(30)
        labels: {sloth_id: {{.ID}}, sloth_service: sidegate, sloth_slo: {{.Name}}}
      - record: slo:current_burn_rate:ratio
        expr: |
          max without (sloth_window) (slo:sli_error:ratio_rate5m{sloth_id="{{.ID}}"})
            / on (sloth_id, sloth_slo, sloth_service) group_left () slo:error_budget:ratio{sloth_id="{{.ID}}"}
        labels: {sloth_id: {{.ID}}, sloth_service: sidegate, sloth_slo: {{.Name}}}
      - record: slo:period_burn_rate:ratio
        expr: |
          max without (sloth_window) (slo:sli_error:ratio_rate30d{sloth_id="{{.ID}}"})
            / on (sloth_id, sloth_slo, sloth_service) group_left () slo:error_budget:ratio{sloth_id="{{.ID}}"}
        labels: {sloth_id: {{.ID}}, sloth_service: sidegate, sloth_slo: {{.Name}}}
      - record: slo:period_error_budget_remaining:ratio
        expr: 1 - slo:period_burn_rate:ratio{sloth_id="{{.ID}}"}
        labels: {sloth_id: {{.ID}}, sloth_service: sidegate, sloth_slo: {{.Name}}}{{range $.Severities}}

      - alert: {{$o.Alert}}
        expr: |
          {{$o.Burning .Burns | indent 10}}
        labels: {severity: {{.Severity}}, burn: {{.Speed}}}
        annotations:
          summary: {{$o.Summary}}, and the error budget {{.Verdict}} ({{"{{"}} $labels.job {{"}}"}}).
          description: >-
            {{$o.Says}}
            {{$o.Objective}} % must be good over 30 days. {{.Consequence}}
          runbook_url: https://github.com/sidegate/sidegate/blob/main/docs/runbooks/{{$o.Page}}.md{{end}}
{{end}}`))

// SLO is rules/sidegate-slo.yaml.
func SLO() ([]byte, error) {
	var b bytes.Buffer
	err := sloTemplate.Execute(&b, map[string]any{"Objectives": objectives, "Windows": windows, "Severities": severities})
	return b.Bytes(), err
}
