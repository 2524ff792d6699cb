package main

import "fmt"

// slo says whether it is good enough, over weeks. It shows what the recording rules
// of deploy/prometheus/rules/sidegate-slo.yaml make, and nothing without them.
func slo() page {
	sections := []section{{"Now", budgets()}}
	for _, o := range objectives {
		sections = append(sections, section{o.title, o.panels()})
	}
	return page{
		uid: "sidegate-slo", title: "sidegate / SLO", short: "SLO",
		about: "What is left of the error budgets of thirty days, and how fast they burn.",
		from:  "now-7d", refresh: "1m", together: true,
		sections: sections,
	}
}

// objective is one of those that the rules record.
type objective struct {
	slo     string // its sloth_slo
	title   string
	short   string
	good    string // what counts as good, and how much of it there must be
	runbook string
}

var objectives = []objective{
	{"decisions", "Decisions are made from the lists", "decisions", "A decision is good if it was made from the lists: it was not unknown, and on_unknown did not have to make it. 99.99 % must be.", "decision-error-burn"},
	{"latency", "Decisions are quick", "latency", "A decision is good if it took 10 ms at most. 99.9 % must be; one single check in 64 is timed.", "decision-latency-burn"},
	{"freshness", "Answers are fresh", "freshness", "A moment of a process is good if its memory was at most 5 s behind the database. 99.9 % must be.", "freshness-burn"},
}

// of returns the series of the objective that a rule records for the chosen jobs.
func (o objective) of(rule string) string {
	return fmt.Sprintf(`%s{JOBS,sloth_service="sidegate",sloth_slo=%q}`, rule, o.slo)
}

// left is the share of the budget that is not spent.
func (o objective) left() string { return o.of("slo:period_error_budget_remaining:ratio") }

// burn is how many times as fast as the budget allows something was bad within a
// window, in the job where it was worst.
func (o objective) burn(window string) string {
	return fmt.Sprintf(`max(%s) / scalar(max(slo:error_budget:ratio{sloth_service="sidegate",sloth_slo=%q}))`, o.of("slo:sli_error:ratio_rate"+window), o.slo)
}

func budgets() (panels []panel) {
	for _, o := range objectives {
		panels = append(panels, stat(about{"Budget left: " + o.short, o.good + " Shown is what is left of what may be bad in 30 days, where it is least. Below zero the objective is missed.", o.runbook},
			ratio, q(`min(`+o.left()+`)`, "")).at("red", over(0.1, "orange"), over(0.5, "green")).filled().digits(1).size(8, 5))
	}
	for _, o := range objectives {
		panels = append(panels, stat(about{"Burn rate: " + o.short, "How many times as fast as it may the budget was spent in the last hour. At 1 it lasts just 30 days; from 14.4 on somebody is woken.", o.runbook},
			plain, q(o.burn("1h"), "")).at("green", over(1, "yellow"), over(6, "orange"), over(14.4, "red")).digits(2).size(8, 4))
	}
	return panels
}

func (o objective) panels() []panel {
	return []panel{
		lines(about{"Budget of 30 days: " + o.short, o.good + " Shown is what is left, for each job. A step down is an incident; a slope is a fault that nobody was woken for.", o.runbook},
			ratio, q(o.left(), "{{namespace}} {{job}}")).below().at("red", over(0, "green")).drawn().size(8, 8),
		lines(about{"Burn rates: " + o.short, "How many times as fast as it may the budget was spent, over windows of five lengths, in the job where it was worst. Somebody is woken if 5 m and 1 h are above 14.4, or 30 m and 6 h above 6; a ticket is for 6 h and 3 d above 1.", o.runbook},
			plain, q(o.burn("5m"), "5 m"), q(o.burn("1h"), "1 h"), q(o.burn("30m"), "30 m"), q(o.burn("6h"), "6 h"), q(o.burn("3d"), "3 d")).
			at("green", over(1, "yellow"), over(6, "orange"), over(14.4, "red")).drawn().size(8, 8),
		lines(about{"Bad of all: " + o.short, "Share that was bad within five minutes, for each job, and the share that may be. " + o.good, o.runbook},
			ratio, q(o.of("slo:sli_error:ratio_rate5m"), "{{namespace}} {{job}}"),
			q(fmt.Sprintf(`max(slo:error_budget:ratio{sloth_service="sidegate",sloth_slo=%q})`, o.slo), "allowed")).
			paint("allowed", "red").digits(3).size(8, 8),
	}
}
