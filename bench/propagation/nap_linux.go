package propagation

import "syscall"

// nap pauses between two questions. The timers of Go round up to a millisecond
// while nothing else happens, which would be most of what is measured.
func nap() {
	t := syscall.NsecToTimespec(asking.Nanoseconds())
	_ = syscall.Nanosleep(&t, nil) // a signal makes it shorter, which does no harm
}
