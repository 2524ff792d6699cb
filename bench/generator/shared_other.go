//go:build !unix

package generator

// shared returns room for n numbers. Where memory cannot be accounted apart it is
// part of the process's.
func shared[T uint32 | uint64](n int) (room []T, free func() error, err error) {
	return make([]T, n), func() error { return nil }, nil
}
