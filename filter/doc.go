// Package filter decides whether a message may be delivered and owns the block
// lists that the decision rests on.
//
// [Filter.CanDeliver] is a pure function of a [Check], the [Policy] of its app
// and the lists in package cache. Its rules stand in rules.go, in the order in
// which they are asked; the first that matches decides. [Blocks] is the service
// behind every door by which people edit lists: it checks what came in, has a
// [BlockStore] write it and brings the change to the local cache before it
// answers. [Users] is the same for the directory of users, which decides nothing.
// [Transfer] moves the lists of a whole app in and out, line by line.
//
// # What must hold
//
//   - A list that a rule does not need is not read, and one that is not needed
//     never makes the answer unknown.
//   - What is not known is not taken for "not blocked": such a decision has
//     [ReasonUnknown], and the app's [OnUnknown] says what becomes of it.
//   - The age of an answer is bounded and shown: past the soft bound it is in
//     [Decision.Stale], past the hard bound there is no answer.
//   - A check that finds its lists in memory takes no lock, allocates nothing,
//     calls through no interface of ours and starts no goroutine.
//   - Strings of a Check are read during the call only. Strings handed to
//     Blocks are copied before anything keeps them; Users keeps none.
//   - No text of the database is in the Detail of an [Error].
//
// # Concurrency and shutdown
//
// Filter, Blocks and Users are safe for concurrent use and need no closing. A check that
// has to read a page waits for it in the caller's goroutine. Whatever decides many
// at once and has to read several waits in a bounded number of goroutines, all of
// which have ended when it returns. Nothing else is started.
//
// # Allowed imports
//
// Of this module only package cache; no I/O, no SQL, no HTTP.
package filter
