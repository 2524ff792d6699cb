package main

// delivery is what the chat server's users feel.
func delivery() page {
	return page{
		uid: "sidegate-delivery", title: "sidegate / Delivery", short: "Delivery",
		about: "What was decided, how fast, and what could not be decided.",
		from:  "now-1h", refresh: "30s",
		sections: []section{
			{"Now", deliveryNow()},
			{"What was decided", decisionPanels()},
			{"How long a decision takes", latencyPanels()},
			{"Not decided by a list", undecidedPanels()},
			{"Block lists: writes and reads over HTTP", httpPanels()},
			{"Refused", refusedPanels()},
		},
	}
}

// answered is the rate of decisions by room and outcome, of checks of all doors.
const answered = `rate(sidegate_decisions_total{WHERE}[RATE])`

// denied is the share of decisions that were not a plain delivery, as the alert on a
// jump counts it; 0 while there are none.
const denied = `sum(rate(sidegate_decisions_total{WHERE,outcome=~"silent|reject|drop"}[RATE])) / (sum(rate(sidegate_decisions_total{WHERE,outcome!="unknown"}[RATE])) > 0) or on () vector(0)`

func deliveryNow() []panel {
	return []panel{
		stat(about{"Decisions", "Answers a second of all selected processes together: single checks, batches, and the members of fan-outs.", "scrape-missing"},
			perSecond, q(`sum(`+answered+`)`, "")),
		stat(about{"Denied", "Share of decisions that were not a plain delivery: dropped, rejected, or delivered without a push. A sudden change is a change of lists, of traffic or of configuration.", "deny-ratio-jump"},
			ratio, q(denied, "")).at("blue").digits(2),
		stat(about{"p99 of a decision", "99 of 100 decisions were quicker. Microseconds: from memory. Milliseconds: Postgres was read.", "decision-latency-burn"},
			seconds, q(`histogram_quantile(0.99, sum by (le) (rate(sidegate_decision_duration_seconds_bucket{WHERE}[RATE])))`, "")).
			at("green", over(0.001, "yellow"), over(0.01, "red")),
		stat(about{"Delivered unchecked", "Messages in the selected time that were delivered although a list was unknown, because on_unknown of the app says deliver. More than 0: somebody may have got a message of a person whom they blocked.", "fail-open-active"},
			count, q(`sum(increase(sidegate_decision_fail_mode_total{WHERE,mode="open"}[$__range]))`, "")).
			at("green", over(1, "red")).filled().digits(0),
		stat(about{"Unknown", "Share of decisions that needed a list that was neither in memory nor loadable.", "decision-error-burn"},
			ratio, q(`sum(rate(sidegate_decisions_total{WHERE,outcome="unknown"}[RATE])) / (sum(`+answered+`) > 0) or on () vector(0)`, "")).
			at("green", over(0.0001, "yellow"), over(0.001, "red")).filled().digits(3),
		stat(about{"API requests", "Reads and writes of lists a second, over all APIs.", "writes-failing"},
			requestsPerSecond, q(`sum(rate(sidegate_http_requests_total{WHERE}[RATE]))`, "")),
	}
}

func decisionPanels() []panel {
	return []panel{
		areas(about{"Decisions by outcome", "Decisions a second. deliver: handed over; silent: without a push; drop: the sender is not told; reject: the sender is told; unknown: a list was not known.", "deny-ratio-jump"},
			perSecond, q(`sum by (outcome) (`+answered+`)`, "{{outcome}}")).
			paint("deliver", "green", "silent", "blue", "drop", "orange", "reject", "yellow", "unknown", "red"),
		lines(about{"Deny ratio by room type", "Share of decisions that were not a plain delivery, by room type. In a default app a block drops a direct message and takes the push from one in a group; open rooms are not filtered.", "deny-ratio-jump"},
			ratio, q(`sum by (room) (rate(sidegate_decisions_total{WHERE,outcome=~"silent|reject|drop"}[RATE])) / (sum by (room) (rate(sidegate_decisions_total{WHERE,outcome!="unknown"}[RATE])) > 0)`, "{{room}}"),
			q(denied, "all")).paint("all", "text"),
		areas(about{"Decisions by door", "Decisions a second by the API that asked. native: one pair a request; batch: many pairs; fanout: one sender and the members of a room.", "scrape-missing"},
			perSecond, q(`sum by (api) (`+answered+`)`, "{{api}}")),
		areas(about{"Decisions by process", "Decisions a second of each process. A sidecar that gets none while its chat server is busy is not being asked.", "scrape-missing"},
			perSecond, q(`sum by (EACH) (`+answered+`)`, each)),
		areas(about{"Dry run: what would have been", "Decisions a second of apps with enforce: false that delivered where the policy would not have, by what it would have done. Enforce when this is what you expect.", "deny-ratio-jump"},
			perSecond, q(`sum by (direction) (rate(sidegate_shadow_mismatches_total{WHERE}[RATE]))`, "{{direction}}")).
			paint("silent", "blue", "drop", "orange", "reject", "yellow", "unknown", "red"),
		areas(about{"Decision log", "Records a second that were written, and those that were given up: rate is more than decision_log.rate allows, queue a disk or a reader that is too slow, write one that refuses. What is given up is missing from the log; the decisions were answered.", "deny-ratio-jump"},
			perSecond, q(`sum(rate(sidegate_decision_log_written_total{WHERE}[RATE])) or on () vector(0)`, "written"),
			q(`sum by (cause) (rate(sidegate_decision_log_dropped_total{WHERE}[RATE])) or on () vector(0)`, "given up: {{cause}}"),
			q(`sum(rate(sidegate_decision_log_errors_total{WHERE}[RATE])) or on () vector(0)`, "errors")).
			paint("written", "green", "errors", "red"),
	}
}

func latencyPanels() []panel {
	quantile := func(share string) string {
		return `histogram_quantile(` + share + `, sum by (le) (rate(sidegate_decision_duration_seconds_bucket{WHERE}[RATE])))`
	}
	return []panel{
		lines(about{"p50, p99, p99.9", "Time that decisions take, without HTTP. Of single checks one in 64 is timed; those of a fan-out or batch count as one. What is above a millisecond waited for a page to be read.", "decision-latency-burn"},
			seconds, q(quantile("0.5"), "p50"), q(quantile("0.99"), "p99"), q(quantile("0.999"), "p99.9")).
			log().at("green", over(0.01, "red")).drawn().paint("p50", "green", "p99", "yellow", "p99.9", "red").size(8, 8),
		lines(about{"p99 by door", "The same by the API that asked: a fan-out to a large room takes longer than one pair.", "decision-latency-burn"},
			seconds, q(`histogram_quantile(0.99, sum by (api, le) (rate(sidegate_decision_duration_seconds_bucket{WHERE}[RATE])))`, "{{api}}")).log().size(8, 8),
		heat(about{"Decision time", "Decisions by how long they took: the darker, the more. Two bands, microseconds and milliseconds: some are answered from memory and some by Postgres.", "decision-latency-burn"},
			`sum by (le) (increase(sidegate_decision_duration_seconds_bucket{WHERE}[RATE]))`).size(8, 8),
	}
}

func undecidedPanels() []panel {
	return []panel{
		areas(about{"Decisions by fail mode", "Decisions a second that on_unknown made in place of a list. open: delivered unchecked; closed: withheld unchecked. Zero is what it should be.", "fail-open-active"},
			perSecond, q(`sum by (mode, cause) (rate(sidegate_decision_fail_mode_total{WHERE}[RATE]))`, "{{mode}}: {{cause}}")).size(8, 8),
		areas(about{"Unknown by cause", "Decisions a second that needed a list that was unknown. not_synced: following has not begun; stale: memory is older than sync.hard_bound; not_loaded: the page could not be read; not_fresh_enough: a revision was asked for that did not come in time; the others are wrong requests.", "decision-error-burn"},
			perSecond, q(`sum by (cause) (rate(sidegate_unknown_total{WHERE}[RATE]))`, "{{cause}}")).size(8, 8),
		areas(about{"Page reads that failed or were shed", "Reads a second that ended without a page, and reads that were refused: rate, more than may begin while Postgres is slow; queue, too many waited; late, the turn would have come too late. Checks that needed them were unknown.", "loads-shed"},
			perSecond, q(`sum(rate(sidegate_load_errors_total{WHERE}[RATE]))`, "failed"), q(`sum by (cause) (rate(sidegate_loads_shed_total{WHERE}[RATE]))`, "shed: {{cause}}")).size(8, 8),
	}
}

func httpPanels() []panel {
	return []panel{
		areas(about{"Requests by status", "Requests a second to the api listener by class of status. Many 4xx: a client gets something wrong. 5xx: Postgres does not answer.", "writes-failing"},
			requestsPerSecond, q(`sum by (code) (rate(sidegate_http_requests_total{WHERE}[RATE])) or label_replace(vector(0), "code", "5xx", "", "")`, "{{code}}")).
			paint("2xx", "green", "4xx", "yellow", "5xx", "red").size(8, 8),
		areas(about{"Writes by route", "Changes of lists a second by route (PUT, POST, DELETE): the ten that are used most.", "writes-failing"},
			requestsPerSecond, q(`topk(10, sum by (method, route) (rate(sidegate_http_requests_total{WHERE,method=~"PUT|POST|DELETE"}[RATE])))`, "{{method}} {{route}}")).size(8, 8),
		lines(about{"Time of requests", "From the last byte of a request to the first of its answer. A write waits for Postgres to commit; a tail near two seconds means that connections are scarce.", "db-pool-saturated"},
			seconds, q(`histogram_quantile(0.5, sum by (le) (rate(sidegate_http_request_duration_seconds_bucket{WHERE}[RATE])))`, "p50"),
			q(`histogram_quantile(0.99, sum by (le) (rate(sidegate_http_request_duration_seconds_bucket{WHERE}[RATE])))`, "p99"),
			q(`histogram_quantile(0.99, sum by (le) (rate(sidegate_http_request_duration_seconds_bucket{WHERE,method=~"PUT|POST|DELETE"}[RATE])))`, "p99 of writes")).size(8, 8),
	}
}

func refusedPanels() []panel {
	return []panel{
		areas(about{"Rate limited", "Requests a second that were answered 429, by the API they came in by. An app or one of its users asks more often than its rate allows.", "writes-failing"},
			requestsPerSecond, q(`sum by (api) (rate(sidegate_rate_limited_total{WHERE}[RATE]))`, "{{api}}")).size(8, 6),
		areas(about{"List is full", "Writes a second that were refused because the list would have held more than its app allows.", "writes-failing"},
			perSecond, q(`sum(rate(sidegate_limit_refused_total{WHERE}[RATE]))`, "refused")).size(8, 6),
		areas(about{"Signed tokens refused", "Tokens a second that were refused, by the first thing that was wrong; 0 where no tokens are configured. Many unknown keys: the issuer changed its keys and they could not be fetched.", "signing-keys-stale"},
			perSecond, q(`sum by (cause) (rate(sidegate_jwt_refused_total{WHERE}[RATE])) or on () vector(0)`, "{{cause}}")).size(8, 6),
	}
}
