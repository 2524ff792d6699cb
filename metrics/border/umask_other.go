//go:build !unix

package border

// restrictUmask does nothing where files have no umask: there the directory's
// access list decides who reaches a socket.
func restrictUmask() (restore func()) { return func() {} }
