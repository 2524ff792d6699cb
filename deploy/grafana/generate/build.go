package main

import (
	"fmt"
	"strings"
)

// The words that expressions are written with:
//
//	WHERE   the choices at the top of the dashboard, as matchers
//	JOBS    the same for what is recorded of all processes of a job together
//	EACH    the labels that tell one process from another
//	RATE    the window of a rate that fits the width of the picture
//	OURS    keeps of the series that every Go program has those of sidegate
//
// A label that a scrape does not set, such as pod outside Kubernetes, is in no
// way of any of them: "All" matches a missing label, and "by" ignores it.
var words = strings.NewReplacer(
	"WHERE", `job=~"$job",namespace=~"$namespace",pod=~"$pod",instance=~"$instance"`,
	"JOBS", `job=~"$job",namespace=~"$namespace"`,
	"EACH", "namespace, pod, instance",
	"RATE", "$__rate_interval",
	"OURS", `and on (job, namespace, pod, instance) sidegate_build_info`,
)

// each is the legend of what is grouped by EACH.
const each = "{{pod}} {{instance}}"

// Units, by Grafana's names.
const (
	seconds           = "s"
	bytesUnit         = "bytes"
	perSecond         = "ops"
	requestsPerSecond = "reqps"
	ratio             = "percentunit"
	count             = "short"
	plain             = "none"
)

var prometheus = datasource{Kind: "prometheus", UID: "${datasource}"}

// query is one expression of a panel and the name of each of its series.
type query struct{ expr, legend string }

func q(expr, legend string) query { return query{expr, legend} }

// about is what every panel says of itself.
type about struct {
	title   string
	what    string // what one sees, in full sentences
	runbook string // the page of docs/runbooks that helps
}

// runbooks is where the pages of docs/runbooks are read.
const runbooks = "https://github.com/sidegate/sidegate/blob/main/docs/runbooks/"

func newPanel(kind string, a about, unit string, queries []query) panel {
	p := panel{
		Kind: kind, PluginVersion: madeFor, Title: a.title, Datasource: &prometheus,
		Description: fmt.Sprintf("%s\n\nIf this looks wrong → runbook: [%s](%s%s.md)", a.what, a.runbook, runbooks, a.runbook),
		GridPos:     gridPos{W: 12, H: 8},
		FieldConfig: &fieldConfig{
			Defaults:  fieldDefaults{Unit: unit, Mappings: []mapping{}, Thresholds: from("green"), Color: &color{Mode: "palette-classic"}},
			Overrides: []override{},
		},
	}
	for i, one := range queries {
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i)), Datasource: prometheus, EditorMode: "code",
			Expr: words.Replace(one.expr), LegendFormat: one.legend, Format: "time_series", Range: true,
		})
	}
	return p
}

// lines is a chart over time, from zero up.
func lines(a about, unit string, queries ...query) panel {
	p := newPanel("timeseries", a, unit, queries)
	p.FieldConfig.Defaults.Min = number(0)
	p.FieldConfig.Defaults.Custom = map[string]any{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": false,
		"stacking":        map[string]any{"mode": "none", "group": "A"},
		"thresholdsStyle": map[string]any{"mode": "off"},
	}
	p.Options = map[string]any{
		"legend":  map[string]any{"showLegend": true, "displayMode": "table", "placement": "bottom", "calcs": []string{"mean", "max", "lastNotNull"}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	return p
}

// areas is a chart whose series add up to something.
func areas(a about, unit string, queries ...query) panel {
	p := lines(a, unit, queries...)
	p.FieldConfig.Defaults.Custom["stacking"] = map[string]any{"mode": "normal", "group": "A"}
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 35
	return p
}

// stat is one figure, the latest, with its course behind it.
func stat(a about, unit string, queries ...query) panel {
	p := newPanel("stat", a, unit, queries)
	p.GridPos = gridPos{W: 4, H: 4}
	p.FieldConfig.Defaults.Color = &color{Mode: "thresholds"}
	p.Options = map[string]any{
		"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	for i := range p.Targets {
		if strings.Contains(p.Targets[i].Expr, "$__range") { // of the whole time: it has no course
			p.Targets[i].Range, p.Targets[i].Instant = false, true
			p.Options["graphMode"] = "none"
		}
	}
	return p
}

// heat is a histogram over time; the expression is of its classic buckets by le.
func heat(a about, expr string) panel {
	p := newPanel("heatmap", a, plain, []query{q(expr, "{{le}}")})
	p.Targets[0].Format = "heatmap"
	p.Options = map[string]any{
		"calculate": false, "cellGap": 1, "showValue": "never",
		"cellValues":   map[string]any{"unit": plain},
		"color":        map[string]any{"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "fill": "dark-orange", "steps": 64, "reverse": false},
		"exemplars":    map[string]any{"color": "rgba(255,0,255,0.7)"},
		"filterValues": map[string]any{"le": 1e-9},
		"legend":       map[string]any{"show": true},
		"rowsFrame":    map[string]any{"layout": "auto"},
		"tooltip":      map[string]any{"mode": "single", "yHistogram": true},
		"yAxis":        map[string]any{"axisPlacement": "left", "unit": seconds},
	}
	return p
}

// timeline is a band for each series, in the colour of its state.
func timeline(a about, states []word, queries ...query) panel {
	p := newPanel("state-timeline", a, plain, queries)
	p.FieldConfig.Defaults.Color = &color{Mode: "thresholds"}
	p.FieldConfig.Defaults.Custom = map[string]any{"lineWidth": 0, "fillOpacity": 75}
	p.Options = map[string]any{
		"mergeValues": true, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9,
		"legend":  map[string]any{"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []string{}},
		"tooltip": map[string]any{"mode": "single", "sort": "none"},
	}
	return p.says(states)
}

// says shows numbers as words: the first word is 1.
func (p panel) says(states []word) panel {
	options := map[string]word{}
	for i, w := range states {
		w.Index = i
		options[fmt.Sprint(i+1)] = w
	}
	p.FieldConfig.Defaults.Mappings = []mapping{{Kind: "value", Options: options}}
	return p
}

// at colours what is shown by its value: a colour, then others from a value up.
func (p panel) at(first string, rest ...step) panel {
	p.FieldConfig.Defaults.Thresholds = from(first, rest...)
	return p
}

func from(first string, rest ...step) *thresholds {
	return &thresholds{Mode: "absolute", Steps: append([]step{{Color: first}}, rest...)}
}

// over is the colour from a value up.
func over(value float64, color string) step { return step{Color: color, Value: &value} }

// drawn shows the thresholds as lines in a chart.
func (p panel) drawn() panel {
	p.FieldConfig.Defaults.Custom["thresholdsStyle"] = map[string]any{"mode": "dashed"}
	return p
}

// upTo is the end of the axis.
func (p panel) upTo(v float64) panel {
	p.FieldConfig.Defaults.Max = number(v)
	return p
}

// size is how many columns and rows a panel takes.
func (p panel) size(w, h int) panel {
	p.GridPos.W, p.GridPos.H = w, h
	return p
}

// below lets the axis begin under zero.
func (p panel) below() panel {
	p.FieldConfig.Defaults.Min = nil
	return p
}

// log draws a logarithmic axis, which begins where the values do.
func (p panel) log() panel {
	p.FieldConfig.Defaults.Min = nil
	p.FieldConfig.Defaults.Custom["scaleDistribution"] = map[string]any{"type": "log", "log": 10}
	return p
}

// digits fixes how many decimals are shown.
func (p panel) digits(n int) panel {
	p.FieldConfig.Defaults.Decimals = &n
	return p
}

// filled colours the ground of a stat.
func (p panel) filled() panel {
	p.Options["colorMode"] = "background"
	return p
}

// paint gives series of these names a colour that means what it says: pairs of
// name and colour.
func (p panel) paint(pairs ...string) panel {
	for i := 0; i < len(pairs); i += 2 {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{
			Matcher:    matcher{ID: "byName", Options: pairs[i]},
			Properties: []property{{ID: "color", Value: color{Mode: "fixed", FixedColor: pairs[i+1]}}},
		})
	}
	return p
}

func number(v float64) *float64 { return &v }
