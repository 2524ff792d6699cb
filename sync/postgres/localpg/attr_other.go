//go:build !linux

package localpg

import "syscall"

// dieWithParent does nothing where the kernel has no signal for it. The next
// Start on the directory finds the server that was left and says so.
func dieWithParent(*syscall.SysProcAttr) {}
