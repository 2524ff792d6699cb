// Package generator stands where a sidecar has its Postgres: any number of lists,
// computed from a number, behind [cache.Loader], [cache.Sizer] and
// [blocksync.Source]. It exists because filling a Postgres with ten million lists
// takes longer than everything that is to be learnt from them. What is measured
// with it says so: it leaves out what a client of Postgres costs, the wire and the
// text of rows, and it never lets anybody wait.
//
// # The lists
//
// A [World] has the lists of a [seed.Shape]. Each has a version, 1 at first. A
// change adds one more entry, the guest, to a list, or takes it off: so that the
// version says all about the content, an odd one that the guest is not there. A
// changed list costs a few bytes, all others none.
//
// A range of owner hashes is read by way of an index: the numbers of all lists in
// the order of their hashes, four bytes each. It lies in memory that is shared with
// nobody but is accounted as shared, so that the resident memory of a process can
// be told apart from it.
//
// # Guarantee
//
// What is committed is seen by every read that begins afterwards, and by the next
// poll: a change is applied only when later reads see it, as with Postgres.
//
// # Concurrency
//
// All methods may be called from many goroutines, but Poll has one caller, the
// follower. [World.Run] is the only one that blocks; it ends with its context.
package generator
