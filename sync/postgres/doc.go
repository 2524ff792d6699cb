// Package postgres is the store: every line of SQL that sidegate runs is here
// or in the folder migrations. It writes lists ([Store.Edit], [Store.Import]),
// reads them ([Store.List], [Store.Load], [Store.Export]), serves the change feed ([Store.Poll]) and keeps
// house ([Sweeper]). Writes and feed are in one package because one argument
// covers both.
//
// # What must hold
//
// P1. Every list has one linear history. Each statement that touches a list
// moves its version by a step whose prev is the version before, and leaves one
// row in sidegate.change. Statement triggers do this, so it holds for the
// functions of this package, for INSERT, DELETE and UPDATE by hand, for COPY,
// and for TRUNCATE, which starts a new incarnation instead. The header row in
// sidegate.owner is lock and counter in one: triggers create it, lock it and
// only then read it, in three statements, because a statement that waits for a
// lock reads with a snapshot taken before the wait.
//
// One function keeps the books of its own INSERT, add_each, and the trigger lets
// it: see sidegate.books_are_open for why nobody else can have that. It locks,
// asks and moves a header in one UPDATE. That is sound because everything it
// takes from the header is computed by that UPDATE from the row as it is once
// the lock is held: the new version is the old one and one more, which tells
// prev; its conditions on size and version are asked again after a wait. What is
// asked of other tables with the older snapshot, that the target is not on the
// list, is asked again by the primary key, whose refusal undoes the transaction.
// It never moves a header that is older than the floor of the versions, so a
// TRUNCATE, which it cannot meet in the middle since it holds the table, needs no
// second look.
//
// P2. Header and rows agree: size is the number of rows, digest the XOR of
// their hashes (see [cache.ListDigest]). Only bypassing the triggers can break
// it; [Store.Audit] finds that and [Store.Mend] mends it, see below.
//
// P3. No list grows beyond its app's limit, whoever writes: the limit is
// checked after the header is locked and moved. A lowered limit keeps what is
// there and refuses additions. Entries that have expired do not count; a write
// that meets the limit ends them first.
//
// P4. What became visible is durable: the triggers raise synchronous_commit to
// on at least. Otherwise a crash could take back a version that was seen, and
// the number would be given again to other content.
//
// P5. The feed never passes a commit that it has not seen. A position is a
// snapshot, not a number: a poll returns the changes of every transaction that
// the previous snapshot did not show as over, which is "at or above its xmax,
// or one of those that ran". Ids and timestamps are given out before the commit
// and therefore out of order; reading "greater than the last" loses rows for
// good. On a standby the list of running transactions is always empty, so a
// standby is refused, by every poll and every load.
//
// P6. Position, identity, schema and the oldest change still kept come from the
// same statement as the changes, and identity and header count from the same
// statement as a page: nothing can change between two reads if there is one.
//
// A page is read through the primary key of sidegate.block, in its order, and
// through the index of the entries that expire; the table itself is not needed as
// long as vacuum keeps the visibility map. The rows of a list lie in it in the
// order in which they were written, so that every entry would cost a block. All
// scans of a page are in one query of one function and so see one snapshot.
//
// P7. An error tells what is stored. Unless the code is
// [filter.CodeOutcomeUnknown], nothing is.
//
// P8. Reading on behind a place neither repeats nor loses what was there all the
// time. What an order sorts by never changes: created_at and place cannot be
// updated, and an interval has the same beginning before and after it ends.
// Between intervals that even began at one instant the id decides, which is given
// at the end; the one under way comes after all of them, so that its own end
// leaves it where it is. Nothing is ever counted off from the top.
//
// P9. Users are read through the view sidegate.profile alone, which a deployer may
// replace, and written only while that view reads sidegate.directory: no write is
// answered that nobody would see. An edit takes its users one after the other in
// the order of their ids, so that edits never wait for each other in a circle.
//
// P10. Additions that share a transaction do not share their fate. What is not
// plain is left out of it, by add_each under the lock, and an error of the server
// undoes all of it; in both cases each is then tried alone, and answered as if it
// had never been with others. A list that somebody holds locked costs them a
// twentieth of a second. Only a lost connection tells all of them the same, that
// nobody knows.
//
// P11. Nothing is followed, written to or read on a server that its cluster has
// left behind, once this process has seen the newer timeline, by any of its
// connections; see [lineage]. Before that it cannot know, and no client can: only
// fencing keeps others from the old primary. A connection that leads to an old
// primary, or to a standby, is closed, and the next one goes where the name leads.
//
// P12. A header may go, with its owner, and nobody writes on without it. Whoever
// waited for its lock finds it gone and is undone (40001), to begin anew: a header
// that is made then starts above the floor of the versions, which the one that
// removed it has raised in the same transaction, and which is read after the wait,
// or again. Sidecars are told to read the list again by a change one version further,
// for their record of it would otherwise outlive it. A header of version 0 has told
// nobody anything and counts as none.
//
// # Audit
//
// [Auditor] compares, piece by piece and once in a period, entries with headers and
// headers with the feed. Each comparison is one statement, thus one snapshot, in
// which a transaction has written all of these or none: a writer at the same time is
// never taken for damage, and none waits. That the header is not older than the feed
// is the only trace of a restore which set header and entries back together; beyond
// the feed there is none in the database.
//
// What is there is the truth: a repair counts and never adds or removes an entry.
// It moves the version by 2³², not by one. Whoever went past the triggers may have
// set versions back, and a sidecar that holds a higher one would take the correction
// for old news. Where headers are older than the feed, other lists may have been set
// back without a trace: then the incarnation is new, and everybody starts over.
//
// Of several processes one works at a time: a piece is a transaction that takes an
// advisory lock and leaves in sidegate.audit_round where it got to, so that neither a
// pooler nor a crash costs anything. The pace comes from the clock of the database
// and the size of the round before, and is thus the same however many processes ask.
//
// # Writes that share a transaction
//
// An addition of one entry goes through [together]: while one transaction is under
// way those that come wait for its end and share the next, at most 64 of one app.
// Nobody waits to be joined: a lone writer is a batch of one. Most of what a write
// costs is the start of a dozen statements and the commit, which a batch pays
// once. Measured on two cores with as many writers as there are places in a
// batch, an entry costs the database a fifth of what it costs alone; a second
// transaction beside the first made the batches smaller and everything slower,
// so one begins only when the first is slow.
//
// # Hints
//
// [Hints] asks other processes to poll at once. It carries no truth, comes after
// the commit, and is bounded by a rate, because a NOTIFY takes a lock of the whole
// cluster until its transaction ends: within the writing transaction it would
// serialise the writers. Listening comes before the first poll that it asks for,
// so that what is written in between is told or polled, never neither.
//
// # Poolers
//
// Every call is one statement outside a transaction block, only an export is a
// transaction that reads, and none leaves anything in the session, so the store works through a pooler in transaction mode. Where
// the pooler does not support prepared statements, add
// default_query_exec_mode=exec (or cache_describe) to the URL. Start-up
// parameters such as statement_timeout or options are refused by common poolers
// and SET would leak into other people's sessions, so the bounds are elsewhere:
// lock_timeout is attached to the functions that wait for locks, and every
// statement has a deadline here, at which a write is cancelled on the server.
// Migrations hold an advisory lock of the session and need a direct connection.
//
// # Concurrency and shutdown
//
// A [Store] is safe for concurrent use. It has four pools, so that a storm of
// loads cannot starve the feed or the writes, nor a slow export anybody. [Hints]
// has a connection of its own. [Open] starts the pools' own
// housekeeping and [Store.Close] ends it; the loops of this package are
// [Sweeper.Run], [Auditor.Run] and [Hints.Run], which block until their context ends.
//
// The package imports [cache] and [filter] for their types and [blocksync] for
// the position; it knows nothing of HTTP.
package postgres
