// Package prober finds out from outside what the whole of API, database and
// sidecars promises: that a write which was acknowledged is in every answer, at
// the latest after the age that the answer itself admits.
//
// A [Prober] writes to lists of its own, one write at a time, and reads every
// target in turn, without a pause while the newest write is not there yet. Each
// answer is held against the writes:
//
//   - it must not be older than it says: a write that was acknowledged before the
//     read began, less the age claimed, must be in it;
//   - it must contain the write whose revision the question carried;
//   - it must not take back what the same target has shown before.
//
// All three are judged by the times of one monotonic clock, each taken to the
// side that accuses less: a write begins before its request is sent and is
// acknowledged when its answer has come, and so is a read. A prober that is
// frozen or short of processor time therefore accuses nobody; what it measures as
// windows grows, because the time at which it saw an answer is all it knows.
//
// # Its own lists
//
// The ids of all users that it writes begin with [Prefix], so no list of a user is
// touched. There are [Seats] sets of ids; a prober claims one by an entry that the
// database lets only one of them make, and writes five lists of that set, each of
// which has one entry or none. Every entry ends by itself after an hour, also if
// the prober is killed: at the end nothing is left but the (empty) heads of at
// most five lists a seat and their history. A write whose outcome nobody
// learnt may still happen, so the seat is left for good: the claim stays until it
// expires, and another seat is taken.
//
// On one list of the five every target is asked with the revision of the write. A
// sidecar reads the list at once for that, so the windows of that list mean
// nothing and are not counted. Another is written every third soft bound only, so that
// a target which is always too old is found out at any interval.
//
// # What it cannot see
//
// A target must be one process. Behind a balancer two replicas that are both right
// look like one that goes back and forth.
//
// Nothing here speaks HTTP or knows the configuration: a [Writer] writes and a
// [Target] answers. [Prober.Run] starts every goroutine and waits for it.
package prober
