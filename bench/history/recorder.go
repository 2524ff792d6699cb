package history

import (
	"slices"
	"sync"
	"time"
)

// Recorder collects a history. It is safe for concurrent use.
type Recorder struct {
	started time.Time

	mu      sync.Mutex
	history History
}

// NewRecorder returns an empty recorder; its clock begins to run.
func NewRecorder() *Recorder { return &Recorder{started: time.Now()} }

// Now reads the clock of the history, which is monotonic: take it before a
// request is sent and after its answer has come. Any other order would make the
// system look better or worse than it is.
func (r *Recorder) Now() time.Duration { return time.Since(r.started) }

// Write records a write that has ended.
func (r *Recorder) Write(w Write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Writes = append(r.history.Writes, w)
}

// Read records a read that has ended.
func (r *Recorder) Read(rd Read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Reads = append(r.history.Reads, rd)
}

// History returns what has been recorded. A write that is still under way is not
// in it and would make an answer that shows it impossible: let the writers end
// before.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return History{Writes: slices.Clone(r.history.Writes), Reads: slices.Clone(r.history.Reads)}
}
