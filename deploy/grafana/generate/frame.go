package main

import "strings"

// What all four dashboards have in common: the choices at the top, the marks, the
// links to each other.

// The model that the files are written in. Later versions of Grafana migrate it
// when they load it; a panel that does not say what it was made for would be
// migrated from the beginnings.
const (
	schemaVersion = 39
	madeFor       = "10.4.0"
)

// page is one of the dashboards before it is put into the frame.
type page struct {
	uid, title, short string // short is what links call it
	about             string
	from              string // the time that is shown first: "now-1h"
	refresh           string
	together          bool // about whole jobs: there is no single process to choose
	sections          []section
}

// pages are the dashboards, in the order of their links.
func pages() []page { return []page{delivery(), syncAndCache(), fleet(), slo()} }

// dashboards puts the pages into the frame.
func dashboards() (list []dashboard) {
	all := pages()
	for _, p := range all {
		list = append(list, dashboard{
			UID: p.uid, Title: p.title, Description: p.about, Tags: []string{"sidegate"},
			SchemaVersion: schemaVersion, Editable: true, GraphTooltip: 1, Refresh: p.refresh,
			Time:  timeRange{From: p.from, To: "now"},
			Links: links(all, p.uid), Templating: templating{List: p.variables()},
			Annotations: notes{List: p.annotations()}, Panels: layout(p.sections),
		})
	}
	return list
}

func links(all []page, self string) (list []link) {
	for _, p := range all {
		if p.uid == self {
			continue
		}
		list = append(list, link{
			Title: p.short, Kind: "link", Icon: "dashboard", URL: "/d/" + p.uid, Tooltip: p.about,
			Tags: []string{}, IncludeVars: true, KeepTime: true,
		})
	}
	return append(list, link{
		Title: "Runbooks", Kind: "link", Icon: "doc", URL: runbooks, Tooltip: "What to do, alert by alert",
		Tags: []string{}, TargetBlank: true,
	})
}

// variables are the same everywhere, so that a link carries all choices over. The
// data source has no preset: Grafana takes the first Prometheus that it knows.
func (p page) variables() []variable {
	list := []variable{
		{Name: "datasource", Label: "Data source", Kind: "datasource", Query: "prometheus", Refresh: 1},
		choice("job", "Job", ""),
		choice("namespace", "Namespace", `job=~"$job"`),
	}
	if p.together {
		return list
	}
	return append(list,
		choice("pod", "Pod", `job=~"$job",namespace=~"$namespace"`),
		choice("instance", "Instance", `job=~"$job",namespace=~"$namespace",pod=~"$pod"`))
}

// choice offers the values of a label of the running processes. Its "All" matches a
// label that is missing, too.
func choice(label, shown, within string) variable {
	metric := "sidegate_build_info"
	if within != "" {
		metric += "{" + within + "}"
	}
	values := "label_values(" + metric + ", " + label + ")"
	return variable{
		Name: label, Label: shown, Kind: "query", Datasource: &prometheus, Definition: values,
		Query:   variableQuery{Query: values, RefID: "choices"},
		Refresh: 2, // with the time range: pods come and go
		Sort:    1, Multi: true, IncludeAll: true, AllValue: ".*",
		Current: &current{Selected: true, Text: []string{"All"}, Value: []string{"$__all"}},
	}
}

// annotations mark what explains a jump in any panel.
func (p page) annotations() []note {
	where := "WHERE"
	if p.together {
		where = "JOBS"
	}
	mark := func(name, color, expr, text string) note {
		return note{
			Name: name, Datasource: prometheus, Enable: true, IconColor: color, Step: "60s",
			Expr: words.Replace(strings.Replace(expr, "WHERE", where, 1)), TitleFormat: name, TextFormat: text,
		}
	}
	return []note{
		mark("Restarts", "blue", `sum by (EACH) (changes(process_start_time_seconds{WHERE}[2m]) OURS) > 0`,
			each+" started again: its memory was empty and is loaded anew"),
		mark("New epochs", "orange", `sum by (EACH, cause) (increase(sidegate_sync_epochs_total{WHERE,cause!="start"}[2m])) > 0`,
			each+" began to follow anew ({{cause}}): every list is read again"),
	}
}
