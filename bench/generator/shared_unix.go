//go:build unix

package generator

import (
	"fmt"
	"syscall"
	"unsafe"
)

// shared returns room for n numbers outside of Go's heap, accounted as shared
// memory: neither the pace of the garbage collector nor the anonymous memory of the
// process is that of the index. After free it must not be touched any more.
func shared[T uint32 | uint64](n int) (room []T, free func() error, err error) {
	var one T
	size := n * int(unsafe.Sizeof(one))
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n), func() error { return syscall.Munmap(b) }, nil
}
