//go:build unix

package border

import "syscall"

// restrictUmask makes files private to this user until the returned function
// runs. The caller holds bindMu.
func restrictUmask() (restore func()) {
	old := syscall.Umask(0o177)
	return func() { syscall.Umask(old) }
}
