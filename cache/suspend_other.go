//go:build !linux

package cache

import "time"

// bootAhead knows nothing here: a suspension is not counted.
func bootAhead() (time.Duration, bool) { return 0, false }
