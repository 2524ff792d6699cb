package cache

import (
	"testing"
	"time"
)

// TestTheHostsClockJumps: somebody sets the clock of the host while the database is
// away. Entries expire by the database's clock, as it was measured last, and go on
// doing so; the next poll measures anew and finds the same.
func TestTheHostsClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		c := newTestCache(t, newSimDB())
		c.SetClockOffset(0)
		before := c.databaseClock()
		near := func(when string) {
			t.Helper()
			if off := c.databaseClock().Sub(before); off > jump.Abs()/2 || off < 0 {
				t.Errorf("%s a jump of %v, the database's clock is off by %v", when, jump, off)
			}
		}
		c.wall = func() time.Time { return time.Now().Add(jump) }
		near("after")
		c.SetClockOffset(-jump)
		near("after the first poll after")

		// The guard is off: the host's clock itself, and what was measured before.
		if off := c.wall().Sub(before); off < jump.Abs()/2 && off > -jump.Abs()/2 {
			t.Errorf("a clock that follows the host's would be off by %v only", off)
		}
	}
}
