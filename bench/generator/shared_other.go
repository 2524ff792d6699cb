//go:build !unix

package generator

// sharedNumbers returns room for n numbers. Where memory cannot be accounted
// apart it is part of the process's, four bytes a list.
func sharedNumbers(n int) ([]uint32, error) { return make([]uint32, n), nil }
