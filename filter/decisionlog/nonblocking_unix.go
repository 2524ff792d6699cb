//go:build unix

package decisionlog

import "syscall"

const nonBlocking = syscall.O_NONBLOCK
