//go:build !linux

package propagation

import "time"

// nap pauses between two questions.
func nap() { time.Sleep(asking) }
