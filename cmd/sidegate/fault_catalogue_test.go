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
	{test: "TestFaultFeedTrimmed", fault: "the change feed is trimmed past a sidecar that stands still (SIGSTOP)",
		must: "notice it in the very poll that would lack changes; read everything again"},
	{test: "TestFaultSlowDatabase", fault: "Postgres takes seconds for each statement",
		must: "answer from memory and say how old that is; call what is not in memory unknown, and let nobody wait for it"},
	{test: "TestFaultLoadsSaturated", fault: "every connection for reading lists hangs, and more reads want one",
		must: "keep the feed apart: it has a connection of its own"},
	{test: "TestFaultConnectionsUsedUp", fault: "others have taken every connection of the server",
		must: "answer from memory; take a connection when there is one"},
	{test: "TestFaultDiskFull", fault: "the disk with the lists is full",
		must: "refuse writes with `store_unavailable` and store nothing of them; read on"},
	{test: "TestFaultListLocked", fault: "a transaction holds the lock of one list",
		must: "refuse writes to that list after some tries, and to no other"},
	{test: "TestFaultLongTransaction", fault: "a transaction stays open while others write",
		must: "be no later, and read no more of the feed than what is new"},
	{test: "TestFaultNotificationsStuck", fault: "a listener of the hints is stuck in a transaction, so that they pile up",
		must: "depend on none of them"},
	{test: "TestFaultCommitUnanswered", fault: "connections break between the commit and its answer",
		must: "say `outcome_unknown`; repeating the request is safe"},
	{test: "TestFaultTerminated", fault: "sidecars are told to stop (SIGTERM) at random moments while they are written to",
		must: "end with exit code 0; store what was acknowledged, and nothing by halves"},
	{test: "TestFaultSharedLists", fault: "several clients write to the same lists through two sidecars while all this happens",
		must: "answer as if one request had been made after the other (porcupine)"},
	{test: "TestFaultHotOwner", fault: "one list is changed as fast as can be",
		must: "follow; hold no more than the list"},
	{test: "TestFaultMemoryShort", fault: "there is memory for a part of the lists",
		must: "keep within the budget, and not be killed"},
	{test: "TestFaultMalformedRows", fault: "rows that no program writes stand in the feed and in the table",
		must: "read the list again that they are about, count them, go on"},
	{test: "TestFaultRowsBehindTheTriggers", fault: "rows are written to a table that inherits from ours",
		must: "call lists unknown that are not what their headers say"},
	{fault: "the clock of the host jumps", must: "not notice: ages run on a clock that nobody sets, expiries on the database's",
		shown: "TestTheHostsClockJumps of the cache; a test of the program would have to set the clock of the machine, for a time namespace shifts only the clocks that nobody sets"},
	{fault: "ten thousand ask for the same list, which is not in memory", must: "read it once",
		shown: "TestOneReadForAllWhoWait of the cache: 10,000 callers, one read, counted at the store"},
	{fault: "the ids of two owners have the same hash", must: "answer none with the list of the other",
		shown: "TestOwnersWithOneHash of the cache: a second, seeded hash tells them apart; where that is the same, too, both are unknown"},
	{fault: "lists are written by hand, with INSERT, DELETE, COPY and UPDATE", must: "enforce that as if it had come by the API, the limit included",
		shown: "half of the writers of every test above write so; TestAcceptPlainSQL and TestAcceptLimitBindsSQL; an UPDATE of a key is refused: TestUpdateRules of the store"},
	{fault: "a relay is cut off, repeats, reorders, or starts again with a rewound stream", must: "find the gap by the chain of frames and catch up",
		shown: "not yet: every sidecar asks Postgres itself, there is no relay"},
}

// faultInstruments are the tests of what the tests of faults stand on.
var faultInstruments = map[string]bool{
	"TestFaultLostTailUnnoticed": true, "TestFaultAsyncCommitUnguarded": true,
	"TestFaultPage": true, "TestFaultNetwork": true, "TestFaultWaitsAreCounted": true, "TestFaultCheckerFindsSkippedChanges": true,
}
