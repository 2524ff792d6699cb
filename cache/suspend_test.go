package cache

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheMachineIsSuspended: a machine sleeps for an hour, which no clock that Go
// reads counts. Ages and the database's clock count it as soon as it is looked.
func TestTheMachineIsSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slept = time.Hour
		var log bytes.Buffer
		var asleep atomic.Int64
		asleep.Store(int64(5 * time.Hour)) // before the cache was made; none of its business
		db := newSimDB()
		c := newTestCache(t, db, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		c.suspended.begin(func() (time.Duration, bool) { return time.Duration(asleep.Load()), true })
		c.SetClockOffset(0)
		follow(c, db)
		runCache(t, c)
		before := c.databaseClock()
		time.Sleep(3 * suspendTick)
		if age := c.Age(); age != 3*suspendTick {
			t.Errorf("nothing was suspended, and the age is %v", age)
		}

		asleep.Add(int64(slept))
		if age := c.Age(); age >= slept {
			t.Errorf("the age is %v before anybody has looked: this test shows nothing", age)
		}
		time.Sleep(suspendTick)
		synctest.Wait()
		if age := c.Age(); age != slept+4*suspendTick {
			t.Errorf("after an hour of sleep the age is %v", age)
		}
		if off := c.databaseClock().Sub(before); off != slept+4*suspendTick {
			t.Errorf("the database's clock went on by %v", off)
		}
		if got := log.String(); strings.Count(got, "suspended") != 1 || !strings.Contains(got, "seconds=3600") {
			t.Errorf("the log: %q", got)
		}
		c.Fresh(c.Now())
		if age := c.Age(); age != 0 {
			t.Errorf("after the next poll the age is %v", age)
		}

		asleep.Add(-int64(slept / 2)) // a reading that comes late is too small
		time.Sleep(suspendTick)
		synctest.Wait()
		if age := c.Age(); age != suspendTick {
			t.Errorf("the clock was set back by %v", suspendTick-age)
		}
	})
}

// TestSuspensionIsCountedFromTheStart: the clocks of this system can be read, and
// nothing is found on a machine that is awake but what lies between two readings.
func TestSuspensionIsCountedFromTheStart(t *testing.T) {
	c := newTestCache(t, newSimDB())
	for range 1000 {
		c.suspended.look()
	}
	if d := time.Duration(c.suspended.total.Load()); d < 0 || d > time.Minute {
		t.Errorf("a machine that was awake was suspended for %v", d)
	}
	if _, ok := bootAhead(); !ok && runtime.GOOS == "linux" {
		t.Error("the clock that counts suspension cannot be read")
	}
}
