package filter

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/sidegate/sidegate/cache"
)

// maxWaiting bounds how many checks of one request wait for the database at the
// same time. It is twice the connections that page reads have, so that these are
// never idle, and far below the part of [cache.LoadLimits] that all such requests
// share.
const maxWaiting = 8

// request is what the checks of one request have in common beside their
// arguments.
type request struct {
	since  cache.Instant // the first of them began to wait
	server proof
	lobby  bool
}

// request says what a request has come to; from here on it waits.
func (e *evaluation) request() request {
	if !e.waiting {
		e.since = e.filter.cache.Now()
	}
	return request{since: e.since, server: e.server, lobby: e.lobby}
}

// resume readies an evaluation for a check that was postponed, and has been
// found to be one that can be evaluated.
func (e *evaluation) resume(f *Filter, check *Check, r request) {
	e.server, e.lobby, e.waiting, e.since, e.bulk = r.server, r.lobby, true, r.since, true
	e.begin(f, check, f.cache.Now())
}

// inTurns calls decide for every index of late, up to maxWaiting of them at the
// same time, and returns when all calls have. Two that wait for one page share
// its read, and who comes after finds it in memory. A panic goes on in the
// caller, which has somebody to catch it.
func (f *Filter) inTurns(late []int, decide func(i int)) {
	var (
		next     atomic.Int64
		waiting  sync.WaitGroup
		panicked atomic.Pointer[string]
	)
	for range min(maxWaiting, len(late)) {
		waiting.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					text := fmt.Sprintf("%v\n%s", v, debug.Stack())
					panicked.Store(&text)
				}
			}()
			for n := next.Add(1); int(n) <= len(late); n = next.Add(1) {
				decide(late[n-1])
			}
		})
	}
	waiting.Wait()
	if text := panicked.Load(); text != nil {
		panic(*text)
	}
}
