package main

// faultRow is one fault that the program has to survive.
type faultRow struct {
	test  string // makes it happen; empty = see shown
	fault string
	must  string
	shown string // how it is shown instead, or why it cannot be
}

// faultCatalogue is in the order of the page.
var faultCatalogue = []faultRow{
	{test: "TestFaultBackendKilled", fault: "a backend is killed (`kill -9`)",
		must: "ask again; Postgres ends all sessions and recovers under the same postmaster"},
	{test: "TestFaultAsyncCommit", fault: "a session writes with `synchronous_commit = off`, and a backend is killed (`kill -9`)",
		must: "lose nothing that anybody has seen"},
	{test: "TestFaultPostmasterKilled", fault: "the postmaster is killed (`kill -9`) and started again",
		must: "answer from memory and say how old that is; read everything again"},
	{test: "TestFaultRestartLoop", fault: "Postgres is restarted in good order, over and over",
		must: "the same, with fewer errors; refuse writes with `store_unavailable`"},
	{test: "TestFaultFailover", fault: "failover to a standby that has everything",
		must: "notice the new timeline and read everything again"},
	{test: "TestFaultFailoverLosesTail", fault: "failover to a standby that lacks the last writes, and new ones reach the same versions",
		must: "the same: versions alone tell nothing"},
	{test: "TestFaultSplitBrain", fault: "a standby is promoted and the old primary still takes writes (split brain)",
		must: "believe no page of another server than the feed's; write to no server whose timeline is older than one it has seen"},
	{test: "TestFaultStandby", fault: "the name of the database leads to a standby",
		must: "refuse to follow it, at the start and while running"},
	{test: "TestFaultRestoredBackup", fault: "a base backup takes the place of the server (point-in-time recovery, or just started)",
		must: "notice the timeline or the start; refuse an older timeline than it has seen until going back is said to be meant"},
	{test: "TestFaultDumpRestored", fault: "a dump is restored into a new cluster (`pg_restore`)",
		must: "notice the system identifier; numbers of transactions begin anew"},
	{test: "TestFaultDataOnlyRestore", fault: "data is restored into the same tables with the triggers off (`pg_restore --data-only --disable-triggers`)",
		must: "find it by the audit, within `audit.period`; repair it and read those lists again"},
	{test: "TestFaultTruncate", fault: "`TRUNCATE`",
		must: "notice the new incarnation"},
	{test: "TestFaultServerFrozen", fault: "Postgres stands still and keeps its connections (SIGSTOP)",
		must: "answer from memory; call a write whose outcome is not known by that name"},
	{test: "TestFaultNetworkSwallows", fault: "the network swallows everything, for one sidecar or for all",
		must: "notice it within a poll's deadline; answer from memory"},
	{test: "TestFaultConnectionsHalfOpen", fault: "connections are half open",
		must: "miss each once and take new ones"},
	{test: "TestFaultSidecarFrozen", fault: "a sidecar stands still (SIGSTOP) while others write",
		must: "know after the thaw how old memory is"},
	{test: "TestFaultTwoVersions", fault: "the schema is migrated while everybody works, and two versions of the program serve at once",
		must: "work with a newer schema that serves it; stop following one that does not, and go on answering from memory"},
	{test: "TestFaultFeedTrimmed", fault: "the change feed is trimmed past a sidecar that stands still (SIGSTOP)",
		must: "notice it in the very poll that would lack changes; read everything again"},
	{test: "TestFaultTerminated", fault: "sidecars are told to stop (SIGTERM) at random moments while they are written to",
		must: "end with exit code 0; store what was acknowledged, and nothing by halves"},
	{test: "TestFaultSharedLists", fault: "several clients write to the same lists through two sidecars while all this happens",
		must: "answer as if one request had been made after the other (porcupine)"},
	{fault: "a relay is cut off, repeats, reorders, or starts again with a rewound stream", must: "find the gap by the chain of frames and catch up",
		shown: "not yet: every sidecar asks Postgres itself, there is no relay"},
}

// faultInstruments are the tests of what the tests of faults stand on.
var faultInstruments = map[string]bool{
	"TestFaultLostTailUnnoticed": true, "TestFaultAsyncCommitUnguarded": true, "TestFaultDataOnlyRestoreUnaudited": true,
	"TestFaultPage": true, "TestFaultNetwork": true, "TestFaultWaitsAreCounted": true, "TestFaultCheckerFindsSkippedChanges": true,
}
