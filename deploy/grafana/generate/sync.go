package main

// syncAndCache says whether memory equals the database, and what it holds.
func syncAndCache() page {
	return page{
		uid: "sidegate-sync", title: "sidegate / Sync & cache", short: "Sync & cache",
		about: "How fresh memory is, what it holds, and how the database answers.",
		from:  "now-1h", refresh: "30s",
		sections: []section{
			{"Now", syncNow()},
			{"Freshness", freshnessPanels()},
			{"As a prober sees it", probePanels()},
			{"Audits", auditPanels()},
			{"Following the feed", feedPanels()},
			{"What is in memory", memoryPanels()},
			{"Reading pages", loadPanels()},
			{"Connections to Postgres", poolPanels()},
		},
	}
}

// states are those of sidegate_sync_state from good to bad.
var states = []word{
	{Text: "synced", Color: "green"}, {Text: "starting", Color: "blue"}, {Text: "lagging", Color: "yellow"},
	{Text: "stale", Color: "orange"}, {Text: "wrong server", Color: "red"},
}

// state is a number for each process: the place of its state among states.
const state = `sum by (EACH) (sidegate_sync_state{WHERE,state="synced"}` +
	` or sidegate_sync_state{WHERE,state="starting"} * 2 or sidegate_sync_state{WHERE,state="lagging"} * 3` +
	` or sidegate_sync_state{WHERE,state="stale"} * 4 or sidegate_sync_state{WHERE,state="wrong_server"} * 5)`

// age is how old the last complete poll was when the process was scraped; for a
// process that has had none, how long it has been trying. The recording rule
// sidegate:sync_age:seconds is the same: this page works without rules.
const age = `clamp_min(timestamp(sidegate_sync_started_timestamp_seconds{WHERE})` +
	` - (sidegate_sync_last_success_timestamp_seconds{WHERE} > 0 or sidegate_sync_started_timestamp_seconds{WHERE}), 0)`

func syncNow() []panel {
	return []panel{
		stat(about{"Worst state", "The worst state that a process is in. lagging: the newest poll is a while ago; stale: too long ago to answer from memory; wrong server: the database is another one than before.", "not-synced"},
			plain, q(`max(`+state+`)`, "")).says(states).at("green", over(2, "blue"), over(3, "yellow"), over(4, "orange"), over(5, "red")).filled(),
		stat(about{"Oldest answer", "Time since the last complete poll, of the process that is furthest behind. From 2 s on answers carry stale_ms, from 5 min on (sync.hard_bound) they are unknown.", "sync-stalled"},
			seconds, q(`max(`+age+`)`, "")).at("green", over(2, "yellow"), over(30, "red")).filled().digits(1),
		stat(about{"p99 apply delay", "99 of 100 changes were in memory after this time from their commit.", "sync-lag-high"},
			seconds, q(`histogram_quantile(0.99, sum by (le) (rate(sidegate_sync_apply_delay_seconds_bucket{WHERE}[RATE])))`, "")).at("green", over(1, "yellow"), over(5, "red")),
		stat(about{"Found in memory", "Share of lists that decisions asked for and memory had.", "cache-thrash"},
			ratio, q(hits, "")).at("red", over(0.9, "yellow"), over(0.99, "green")).digits(2),
		stat(about{"Suspect pages", "Pages of an earlier epoch that wait to be read again. Back to 0 within seconds.", "resync-loop"},
			count, q(`sum(sidegate_cache_suspect_pages{WHERE})`, "")).at("green", over(1, "yellow")),
		stat(about{"Mismatches", "Lists in the selected time whose content did not have the digest that it should have had. Any is a bug, or a database that was changed behind its triggers.", "digest-mismatch"},
			count, q(`sum(increase(sidegate_digest_mismatches_total{WHERE}[$__range]))`, "")).at("green", over(1, "red")).filled().digits(0),
	}
}

func freshnessPanels() []panel {
	return []panel{
		timeline(about{"State", "The state of each process over time. A short blue at a start is normal; anything but synced for a minute is not.", "not-synced"},
			states, q(state, each)).at("green", over(2, "blue"), over(3, "yellow"), over(4, "orange"), over(5, "red")).size(24, 6),
		lines(about{"Age of the last complete poll", "How old answers may be. A line that climbs at 45° has lost Postgres; dashed: where answers begin to say that they are stale (2 s), and where the alert is (30 s).", "sync-stalled"},
			seconds, q(age, each)).at("green", over(2, "yellow"), over(30, "red")).drawn(),
		lines(about{"Age of the newest change", "Time since the newest change that was applied was made. It climbs when nobody changes a list, for all processes alike; one that stands out from the others has not heard of a change.", "replica-divergence"},
			seconds, q(`time() - (sidegate_sync_last_event_timestamp_seconds{WHERE} > 0) or sidegate_sync_last_event_timestamp_seconds{WHERE}`, each)),
		heat(about{"Apply delay", "Changes by the time from their commit until they were in memory, by the database's clock: the darker, the more. Below a poll interval (100 ms) is normal, and below 10 ms where hints arrive.", "sync-lag-high"},
			`sum by (le) (increase(sidegate_sync_apply_delay_seconds_bucket{WHERE}[RATE]))`),
		lines(about{"Apply delay: p50, p99", "The same as quantiles; dashed, where freshness is lost as its objective counts it (5 s).", "sync-lag-high"},
			seconds, q(`histogram_quantile(0.5, sum by (le) (rate(sidegate_sync_apply_delay_seconds_bucket{WHERE}[RATE])))`, "p50"),
			q(`histogram_quantile(0.99, sum by (le) (rate(sidegate_sync_apply_delay_seconds_bucket{WHERE}[RATE])))`, "p99")).at("green", over(5, "red")).drawn(),
	}
}

func probePanels() []panel {
	return []panel{
		lines(about{"Window: p50, p99", "From the acknowledgement of a write until a sidecar answered with it, as sidegate probe or probe.interval measured it from outside. About a poll interval (100 ms); nothing is shown while nobody probes.", "sync-lag-high"},
			seconds, q(`histogram_quantile(0.5, sum by (le, sidecar) (rate(sidegate_probe_window_seconds_bucket{WHERE}[RATE])))`, "{{sidecar}} p50"),
			q(`histogram_quantile(0.99, sum by (le, sidecar) (rate(sidegate_probe_window_seconds_bucket{WHERE}[RATE])))`, "{{sidecar}} p99")).size(12, 7),
		areas(about{"Wrong answers", "Answers that contradict an acknowledged write, by what is wrong with them. There must be none.", "probe-violation"},
			count, q(`sum by (sidecar, kind) (increase(sidegate_probe_violations_total{WHERE}[RATE]))`, "{{sidecar}} {{kind}}")).size(6, 7),
		areas(about{"Without an answer", "Share of the prober's questions that a sidecar did not answer, or answered with unknown.", "not-synced"},
			ratio, q(`sum by (sidecar) (rate(sidegate_probe_unanswered_total{WHERE}[RATE])) / sum by (sidecar) (rate(sidegate_probe_reads_total{WHERE}[RATE]))`, "{{sidecar}}")).upTo(1).size(6, 7),
	}
}

func auditPanels() []panel {
	return []panel{
		lines(about{"Compared", "Pages of memory a second that were read again and compared (audit.samples), and lists a second whose entries were compared with their header (audit.period).", "audit-overdue"},
			perSecond, q(`sum(rate(sidegate_audit_samples_total{WHERE}[RATE]))`, "pages of memory"), q(`sum(rate(sidegate_audit_errors_total{WHERE}[RATE]))`, "could not be read"),
			q(`sum(rate(sidegate_db_audit_lists_total{WHERE}[RATE]))`, "lists of the database")).paint("could not be read", "orange").size(8, 7),
		areas(about{"Found wrong", "Pages of memory that differed from the database, by how; and lists in the database that differed from their header or the feed, because somebody wrote past the triggers. There must be none of either.", "audit-mismatch"},
			count, q(`sum by (cause) (increase(sidegate_audit_mismatches_total{WHERE}[RATE]))`, "memory: {{cause}}"), q(`sum(increase(sidegate_db_audit_mismatches_total{WHERE}[RATE]))`, "database"),
			q(`sum(increase(sidegate_db_audit_repaired_total{WHERE}[RATE]))`, "database, repaired")).paint("database", "red", "database, repaired", "green").size(8, 7),
		lines(about{"Time since everything was compared", "Since the last complete round over the database, and audit.period: a round should be over within it. Nothing is shown where the audit is off.", "audit-overdue"},
			seconds, q(`time() - max(sidegate_db_audit_last_round_timestamp_seconds{WHERE} and sidegate_db_audit_period_seconds{WHERE} > 0)`, "last round"),
			q(`max(sidegate_db_audit_period_seconds{WHERE} > 0)`, "audit.period")).paint("audit.period", "text").size(8, 7),
	}
}

func feedPanels() []panel {
	return []panel{
		lines(about{"Changes applied", "Changes a second that were handed to memory, by the feed and by own writes. All processes see the same changes.", "sync-stalled"},
			perSecond, q(`sum by (EACH) (rate(sidegate_sync_events_total{WHERE}[RATE]))`, each)).size(8, 7),
		lines(about{"Hints", "Hints of writes a second, sent and heard. Sent but never heard: the connection goes through a pooler that keeps no session, and changes come with the poll only.", "sync-lag-high"},
			perSecond, q(`sum(rate(sidegate_sync_hints_sent_total{WHERE}[RATE]))`, "sent"), q(`sum(rate(sidegate_sync_hints_received_total{WHERE}[RATE]))`, "heard")).size(8, 7),
		areas(about{"Failed polls and reconnects", "Polls a second that failed, by cause, and successes after a failure.", "sync-stalled"},
			perSecond, q(`sum by (cause) (rate(sidegate_sync_errors_total{WHERE}[RATE]))`, "{{cause}}"), q(`sum(rate(sidegate_sync_reconnects_total{WHERE}[RATE]))`, "reconnected")).size(8, 7),
		areas(about{"Epochs", "Times that following began anew, by cause; each reads every list again. start: the process began; identity or rewound: the database is another one or was set back; trimmed or overflow: the feed was behind for too long; audit: samples found too much wrong.", "resync-loop"},
			count, q(`sum by (cause) (increase(sidegate_sync_epochs_total{WHERE}[RATE]))`, "{{cause}}")).size(8, 7),
		areas(about{"Gaps and mismatches", "Changes that did not follow the version in memory, whose page is read again; and lists that did not have their digest, of which there must be none.", "digest-mismatch"},
			count, q(`sum(increase(sidegate_sync_gaps_total{WHERE}[RATE]))`, "gaps"), q(`sum(increase(sidegate_digest_mismatches_total{WHERE}[RATE]))`, "digest mismatches")).
			paint("digest mismatches", "red").size(8, 7),
		lines(about{"Clock offset", "How far the database's clock is ahead of that of each process. Expiries are corrected by it; more than seconds means that a machine has no time service.", "clock-skew"},
			seconds, q(`sidegate_clock_offset_seconds{WHERE}`, each)).below().size(8, 7),
	}
}

// hits is the share of lists that were in memory; 1 while none is asked for.
const hits = `sum(rate(sidegate_cache_hits_total{WHERE}[RATE])) / (sum(rate(sidegate_cache_requests_total{WHERE}[RATE])) > 0) or on () vector(1)`

func memoryPanels() []panel {
	return []panel{
		lines(about{"Bytes held", "Bytes of all that is kept, and the budget (cache.max_bytes). Near the budget pages leave, and checks read Postgres.", "cache-thrash"},
			bytesUnit, q(`sidegate_cache_cost_bytes{WHERE}`, each), q(`max(sidegate_cache_capacity_bytes{WHERE})`, "largest budget")).paint("largest budget", "red").size(8, 7),
		lines(about{"Lists and entries", "Lists in memory that have a version, and the entries of all of them: the most of any process.", "cache-thrash"},
			count, q(`max(sidegate_block_sets{WHERE})`, "lists"), q(`max(sidegate_blocks{WHERE})`, "entries"), q(`max(sidegate_cache_pages{WHERE})`, "pages")).size(8, 7),
		lines(about{"Hit ratio", "Share of lists that were in memory. 100 % where all lists fit; less right after a start.", "cache-thrash"},
			ratio, q(`sum by (EACH) (rate(sidegate_cache_hits_total{WHERE}[RATE])) / (sum by (EACH) (rate(sidegate_cache_requests_total{WHERE}[RATE])) > 0)`, each), q(hits, "all")).upTo(1).paint("all", "text").size(8, 7),
		lines(about{"Loaded ahead", "Share of the pages to be held that are there and current; 100 % also where lists do not fit and nothing is loaded ahead.", "not-synced"},
			ratio, q(`sidegate_cache_preload_ratio{WHERE}`, each)).upTo(1).size(8, 7),
		areas(about{"Evictions and rejected sets", "Pages a second that had to leave memory, bookings that ristretto dropped (each is repeated), pages that were answered from but not kept, and pages whose account was put right.", "cache-thrash"},
			perSecond, q(`sum(rate(sidegate_cache_evictions_total{WHERE}[RATE]))`, "evictions"), q(`sum(rate(sidegate_cache_rejected_sets_total{WHERE}[RATE]))`, "rejected sets"),
			q(`sum(rate(sidegate_cache_unpublished_pages_total{WHERE}[RATE]))`, "not kept"), q(`sum(rate(sidegate_cache_reconciled_total{WHERE}[RATE]))`, "put right")).size(8, 7),
		lines(about{"Suspect pages by process", "Pages of an earlier epoch, which are answered from by their own age until they are read again.", "resync-loop"},
			count, q(`sidegate_cache_suspect_pages{WHERE}`, each)).size(8, 7),
	}
}

func loadPanels() []panel {
	return []panel{
		areas(about{"Page reads", "Pages a second that were read because they were asked for, or ahead of that. After a start there are many, then next to none if all lists fit.", "cache-thrash"},
			perSecond, q(`sum(rate(sidegate_load_duration_seconds_count{WHERE}[RATE]))`, "read"), q(`sum(rate(sidegate_load_errors_total{WHERE}[RATE]))`, "failed"),
			q(`sum(rate(sidegate_loads_shed_total{WHERE}[RATE]))`, "shed"), q(`sum(rate(sidegate_preload_errors_total{WHERE}[RATE]))`, "loading ahead failed")).
			paint("failed", "red", "shed", "orange").size(12, 7),
		heat(about{"Time of a page read", "Page reads by how long they took in the database: the darker, the more. Nothing is shown while nothing is read.", "db-pool-saturated"},
			`sum by (le) (increase(sidegate_load_duration_seconds_bucket{WHERE}[RATE]))`).size(12, 7),
	}
}

func poolPanels() []panel {
	return []panel{
		lines(about{"Connections in use", "Share of the connections that a pool may open which are in use, of the process with the most. At 100 % callers wait.", "db-pool-saturated"},
			ratio, q(`max by (pool) (sidegate_db_pool_connections{WHERE,state="acquired"} / ignoring (state) sidegate_db_pool_max_connections{WHERE})`, "{{pool}}")).upTo(1).at("green", over(0.9, "red")).drawn().size(8, 7),
		lines(about{"Wait for a connection", "Time that callers waited, a connection handed out. Milliseconds are normal where it had to be opened first.", "db-pool-saturated"},
			seconds, q(`sum by (pool) (rate(sidegate_db_pool_acquire_wait_seconds_total{WHERE}[RATE])) / (sum by (pool) (rate(sidegate_db_pool_acquires_total{WHERE}[RATE])) > 0)`, "{{pool}}")).size(8, 7),
		areas(about{"Given up, and opened", "Callers a second who gave up waiting for a connection, and attempts a second to open one. Opened without end: connections break.", "db-pool-saturated"},
			perSecond, q(`sum by (pool) (rate(sidegate_db_pool_canceled_acquires_total{WHERE}[RATE]))`, "{{pool}} gave up"), q(`sum by (pool) (rate(sidegate_db_pool_opened_connections_total{WHERE}[RATE]))`, "{{pool}} opened")).size(8, 7),
	}
}
