package main

// fleet compares the processes: which one is not like the others.
func fleet() page {
	return page{
		uid: "sidegate-fleet", title: "sidegate / Fleet", short: "Fleet",
		about: "One line for every process: version, freshness, memory, processor, restarts.",
		from:  "now-3h", refresh: "1m",
		sections: []section{
			{"Every process", fleetTable()},
			{"Together", spreadPanels()},
			{"Each", processPanels()},
		},
	}
}

// A cell is a column of the table: one number for each process.
type cell struct {
	title, expr, unit string
	colours           []step // from green on
}

// ofLimit is the share of the memory limit that is resident; 0 where there is none.
const ofLimit = `process_resident_memory_bytes{WHERE} / (sidegate_memory_limit_bytes{WHERE} > 0) or sidegate_memory_limit_bytes{WHERE}`

func cells() []cell {
	return []cell{
		{"State", state, plain, []step{over(2, "blue"), over(3, "yellow"), over(4, "orange"), over(5, "red")}},
		{"Answers' age", `max by (EACH) (` + age + `)`, seconds, []step{over(2, "yellow"), over(30, "red")}},
		{"Schema", `max by (EACH) (sidegate_schema_version{WHERE})`, plain, nil},
		{"Decisions", `sum by (EACH) (` + answered + `)`, perSecond, nil},
		{"Lists", `sum by (EACH) (sidegate_block_sets{WHERE})`, count, nil},
		{"Memory", `sum by (EACH) (process_resident_memory_bytes{WHERE} OURS)`, bytesUnit, nil},
		{"of its limit", `max by (EACH) (` + ofLimit + `)`, ratio, []step{over(0.8, "yellow"), over(0.9, "red")}},
		{"Processor", `sum by (EACH) (rate(process_cpu_seconds_total{WHERE}[RATE]) OURS)`, plain, nil},
		{"Goroutines", `sum by (EACH) (go_goroutines{WHERE} OURS)`, count, nil},
		{"Up for", `time() - max by (EACH) (process_start_time_seconds{WHERE} OURS)`, seconds, nil},
		{"Restarts", `sum by (EACH) (changes(process_start_time_seconds{WHERE}[$__range]) OURS)`, count, []step{over(1, "yellow")}},
	}
}

func fleetTable() []panel {
	queries := []query{q(`max by (EACH, version, revision, goversion) (sidegate_build_info{WHERE})`, "")}
	for _, c := range cells() {
		queries = append(queries, q(c.expr, ""))
	}
	p := newPanel("table", about{"Processes",
		"One line for each process that was scraped. Look for the one that differs: another version after a roll-out, an older age, a memory that is not like its neighbours'.", "replica-divergence"},
		plain, queries)
	p.FieldConfig.Defaults.Color = &color{Mode: "thresholds"}
	p.FieldConfig.Defaults.Custom = map[string]any{"align": "auto", "filterable": true, "cellOptions": map[string]any{"type": "auto"}}
	p.Options = map[string]any{"showHeader": true, "cellHeight": "sm", "footer": map[string]any{"show": false, "reducer": []string{"sum"}, "countRows": false, "fields": ""}}
	for i := range p.Targets {
		p.Targets[i].Format, p.Targets[i].Range, p.Targets[i].Instant = "table", false, true
	}
	names := map[string]string{"namespace": "Namespace", "pod": "Pod", "instance": "Instance", "version": "Version", "revision": "Revision", "goversion": "Go"}
	hidden := map[string]bool{"Time": true, "Value #A": true}
	order := []string{"namespace", "pod", "instance", "version"}
	for i, c := range cells() {
		column := "Value #" + p.Targets[i+1].RefID
		names[column], order = c.title, append(order, column)
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, c.override())
	}
	index := map[string]int{}
	for i, column := range append(order, "revision", "goversion") {
		index[column] = i
	}
	p.Transformations = []transformation{
		{ID: "merge", Options: map[string]any{}},
		{ID: "organize", Options: map[string]any{"excludeByName": hidden, "indexByName": index, "renameByName": names}},
	}
	return []panel{p.size(24, 9)}
}

// override gives a column its unit and its colours, and the states their words.
func (c cell) override() override {
	properties := []property{{ID: "unit", Value: c.unit}}
	if c.unit == seconds || c.unit == ratio {
		properties = append(properties, property{ID: "decimals", Value: 1})
	}
	if c.colours != nil {
		properties = append(properties,
			property{ID: "thresholds", Value: from("green", c.colours...)},
			property{ID: "custom.cellOptions", Value: map[string]any{"type": "color-text"}})
	}
	if c.title == "State" {
		properties = append(properties, property{ID: "mappings", Value: panel{FieldConfig: &fieldConfig{}}.says(states).FieldConfig.Defaults.Mappings})
	}
	return override{Matcher: matcher{ID: "byName", Options: c.title}, Properties: properties}
}

// known is whether each process that has answered within the hour answers now.
const known = `up{WHERE} and on (job, EACH) last_over_time(sidegate_build_info{WHERE}[1h])`

func spreadPanels() []panel {
	return []panel{
		lines(about{"Processes by version", "Running processes by the version that they have. Two lines: a roll-out is under way, or has stopped half way.", "scrape-missing"},
			count, q(`count by (version) (sidegate_build_info{WHERE})`, "{{version}}")).digits(0).size(8, 7),
		lines(about{"Schema: there and needed", "Version of the schema that the processes found in the database, and that which they need. Below what is needed: sidegate migrate up has not run. Above: the program is older than the database.", "migration-pending"},
			plain, q(`max(sidegate_schema_version{WHERE})`, "there"), q(`max(sidegate_schema_version_needed{WHERE})`, "needed, most"), q(`min(sidegate_schema_version_needed{WHERE})`, "needed, least")).size(8, 7),
		lines(about{"Answering scrapes", "Processes that Prometheus knows of, and those that answered. Those that do not answer may be working still: nobody can tell.", "scrape-missing"},
			count, q(`count(`+known+`)`, "known"), q(`sum(`+known+`)`, "answering")).digits(0).size(8, 7),
		lines(about{"Spread of answers' age", "The time between the process that is furthest behind and the one that is furthest ahead. More than seconds: the same question gets different answers, depending on who is asked.", "replica-divergence"},
			seconds, q(`max(`+age+`) - min(`+age+`)`, "last complete poll"),
			q(`max(sidegate_sync_last_event_timestamp_seconds{WHERE}) - min(sidegate_sync_last_event_timestamp_seconds{WHERE})`, "newest change")).at("green", over(5, "red")).drawn().size(8, 7),
		lines(about{"Transactions behind", "How far each process is behind the one that is furthest ahead on the same server, in transactions of that server. Spikes are normal where it writes much; a line that stays up is a process that misses changes.", "replica-divergence"},
			count, q(`max by (server) (`+position+`) - on (server) group_right () `+position, each)).size(8, 7),
		lines(about{"Servers of a database", "Database servers that are followed, for each database. More than one: after a failover some processes still follow the old server, and do not see the same blocks.", "replica-split"},
			count, q(`count by (database) (count by (database, server) (sidegate_sync_server_info{WHERE} == 1))`, "{{database}}")).digits(0).size(8, 7),
	}
}

// position is how far each process has come, with the server that it follows.
const position = `(sidegate_sync_position{WHERE} * on (job, EACH) group_left (server) (sidegate_sync_server_info{WHERE} == 1))`

// ending counts the certificates that end within so many days.
func ending(days string) string {
	return `count((sidegate_tls_certificate_not_after_timestamp_seconds{WHERE} > 0) - time() < ` + days + ` * 86400) or on () vector(0)`
}

func processPanels() []panel {
	return []panel{
		lines(about{"Memory", "Resident bytes of each process; red, the smallest limit that one of them has. It rises with the lists until all are there and stays.", "memory-near-limit"},
			bytesUnit, q(`process_resident_memory_bytes{WHERE} OURS`, each), q(`min(sidegate_memory_limit_bytes{WHERE} > 0) or on () vector(0)`, "smallest limit (0 = none)")).paint("smallest limit (0 = none)", "red").size(8, 7),
		lines(about{"Memory of its limit", "Resident bytes as a share of the limit of the container or unit; 0 for a process without one. At 100 % it is killed.", "memory-near-limit"},
			ratio, q(ofLimit, each)).at("green", over(0.8, "yellow"), over(0.9, "red")).drawn().size(8, 7),
		lines(about{"Processor", "Cores that each process uses. It follows the checks and the changes; one without a load of its own that is busy is collecting garbage under a memory limit that is too tight.", "decision-latency-burn"},
			plain, q(`rate(process_cpu_seconds_total{WHERE}[RATE]) OURS`, each)).size(8, 7),
		lines(about{"Goroutines", "Goroutines of each process. One a connection and a few dozen besides; a line that climbs without end is a leak.", "memory-near-limit"},
			count, q(`go_goroutines{WHERE} OURS`, each)).size(8, 7),
		lines(about{"Open files", "Share of the file descriptors that a process may open which are open: connections, mostly.", "memory-near-limit"},
			ratio, q(`(process_open_fds{WHERE} / process_max_fds{WHERE}) OURS`, each)).at("green", over(0.8, "red")).drawn().size(8, 7),
		lines(about{"Garbage collection", "The longest pause of the newest collections, of each process.", "decision-latency-burn"},
			seconds, q(`go_gc_duration_seconds{WHERE,quantile="1"} OURS`, each)).size(8, 7),
		lines(about{"Configuration in force", "1 for a process whose last reload, or start, took the configuration; 0 for one that goes on with an older one because the file is wrong. It would not come up with that file.", "config-reload-failed"},
			plain, q(`sidegate_config_last_reload_successful{WHERE}`, each)).upTo(1).digits(0).size(8, 7),
		lines(about{"Certificates that end soon", "Certificates that listeners show and that end within thirty days, within seven, or have ended: nobody renews them, or the renewed one was not taken. 0 also where no listener speaks TLS.", "certificate-expiring"},
			count, q(ending("30"), "within 30 days"), q(ending("7"), "within 7 days"), q(ending("0"), "ended")).
			paint("within 30 days", "yellow", "within 7 days", "orange", "ended", "red").digits(0).size(8, 7),
		areas(about{"Restarts", "Times that a process started again within the width of a point. A sidecar that restarts in a loop is out of memory, or its configuration is wrong.", "restart-loop"},
			count, q(`changes(process_start_time_seconds{WHERE}[RATE]) OURS`, each)).digits(0).size(8, 7),
	}
}
