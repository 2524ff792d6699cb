package decisionlog

import (
	"context"
	"time"
)

const (
	// bufferSize is how much text is handed to the operating system at once, if
	// there is so much to say.
	bufferSize = 64 << 10

	// flushTime is how long what is left may take to be written when the log is
	// stopped.
	flushTime = 2 * time.Second
)

// Run opens the file, unless Open has, and writes until ctx ends; then it writes
// what is left in the queue and closes the file. It returns an error only if the
// file cannot be opened: one that cannot be written to later may be writable again.
func (l *Log) Run(ctx context.Context) error {
	if err := l.sink.open(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.write(ctx)
	}()
	select {
	case <-ended:
		return l.sink.close()
	case <-ctx.Done():
	}
	patience := time.NewTimer(flushTime)
	defer patience.Stop()
	select {
	case <-ended:
		return l.sink.close()
	case <-patience.C:
	}
	// The writer stands in a write that does not return. It ends with that if the
	// system can break it off. If not, as with a pipe on the standard output whose
	// reader has stopped, nobody can end it but the end of the process, which
	// follows.
	if l.sink.breakOff() {
		<-ended
		return l.sink.close()
	}
	return nil
}

// write writes what comes until ctx ends, and then what is left.
func (l *Log) write(ctx context.Context) {
	w := writer{log: l, text: make([]byte, 0, bufferSize+4<<10)}
	for {
		select {
		case r := <-l.queue:
			w.add(r)
			w.rest()
		case <-l.wake:
			w.flush()
		case <-ctx.Done():
			w.rest()
			return
		}
	}
}

// writer gathers lines.
type writer struct {
	log   *Log
	text  []byte
	lines int
}

// rest writes what is in the queue: a burst costs few system calls, and a single
// line is not kept waiting for others.
func (w *writer) rest() {
	for {
		select {
		case r := <-w.log.queue:
			w.add(r)
		default:
			w.flush()
			return
		}
	}
}

func (w *writer) add(r *record) {
	w.text = r.append(w.text, w.log.opts.Names)
	w.lines++
	w.log.reuse(r)
	if len(w.text) >= bufferSize {
		w.flush()
	}
}

func (w *writer) flush() {
	if w.log.reopen.Swap(false) {
		w.log.sink.renew()
	}
	if w.lines > 0 {
		w.log.sink.write(w.text, w.lines)
	}
	w.text, w.lines = w.text[:0], 0
}
