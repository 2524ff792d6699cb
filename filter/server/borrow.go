package server

import "unsafe"

// borrow views bytes of a request as a string without copying them. It is the
// only use of unsafe in this package, and its strings live by one rule
// (Invariant 10): they end with the handler. fasthttp overwrites the buffer with
// the next request of the connection, so a borrowed string that is kept, as a
// key, in a log line or by a goroutine, would silently become another tenant's
// text. Whoever keeps one clones it first.
//
// Borrowed strings go to three places: the fields of a [filter.Check], and the
// users that stand beside it in a request about many, which filter and its store
// read during the call only; the working
// space of a request for many decisions, which is cleared before the handler
// returns; and the details of problems, which are rendered by then.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
