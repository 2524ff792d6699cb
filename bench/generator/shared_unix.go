//go:build unix

package generator

import (
	"fmt"
	"syscall"
	"unsafe"
)

// sharedNumbers returns room for n numbers outside of Go's heap, accounted as
// shared memory: neither the pace of the garbage collector nor the anonymous memory
// of the process is that of the index. It is never given back; a process has one
// world.
func sharedNumbers(n int) ([]uint32, error) {
	b, err := syscall.Mmap(-1, 0, 4*n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", 4*n, err)
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), n), nil
}
