package server

import (
	"context"
	"time"
)

// drainTick is how often connections are looked at that were busy before.
const drainTick = 5 * time.Millisecond

// drain waits until every connection has ended. Requests under way may finish.
// There is an order in what is done about those that do not, so that each still
// has the time to be told how far it came: at half of the time imports, which may
// take for hours, are ended where they are; a little before the end, cancel ends
// what the others wait for; at the end their connections are cut.
func (l *Listener) drain(cancel context.CancelFunc) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.served.Wait()
	}()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	begun := time.Now()
	half := time.After(l.opts.DrainTimeout / 2)
	late := time.After(l.opts.DrainTimeout - min(l.opts.DrainTimeout/10, farewell))
	over := time.After(time.Until(begun.Add(l.opts.DrainTimeout)))
	for {
		l.each((*conn).stop)
		if l.door.hurrying.Load() {
			l.each((*conn).hurry)
		}
		select {
		case <-ended:
			return
		case <-tick.C:
		case <-half:
			l.door.hurrying.Store(true)
		case <-late:
			cancel()
		case <-over:
			cancel()
			// Not what TLS makes of closing: it says goodbye, and waits for clients
			// that do not listen.
			l.each(func(c *conn) { _ = c.wire.Close() })
			<-ended
			return
		}
	}
}

// farewell is the most time that requests have for their answer when what they
// were waiting for has been ended.
const farewell = 250 * time.Millisecond

func (l *Listener) each(do func(*conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		do(c)
	}
}
