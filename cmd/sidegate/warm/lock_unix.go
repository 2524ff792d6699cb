//go:build unix && !solaris && !aix

package warm

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock of a file without waiting for it. It ends with the process.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// ignoreUnsupported: some file systems cannot sync a directory and need not.
func ignoreUnsupported(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
