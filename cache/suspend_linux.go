package cache

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootAhead is how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC; nothing but a
// suspension changes it. The former is read first: the time between the readings
// makes the result too small, never too large.
func bootAhead() (time.Duration, bool) {
	var boot, monotonic unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic) != nil {
		return 0, false
	}
	return time.Duration(boot.Nano() - monotonic.Nano()), true
}
