package border

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrSocketInUse: another process answers on the socket.
var ErrSocketInUse = errors.New("another process answers on this socket")

// answerTime is how long a process that owns a socket has to accept a
// connection. The kernel accepts on its behalf, so that even a frozen owner
// answers at once, unless its backlog is full.
const answerTime = time.Second

// bindMu serialises binds: the umask belongs to the whole process.
var bindMu sync.Mutex

func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := bindPrivate(path)
	if err != nil {
		return nil, err
	}
	// Until here nobody but this user could connect. Widening comes last: the
	// other order would leave a window in which anybody can.
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func bindPrivate(path string) (net.Listener, error) {
	bindMu.Lock()
	defer bindMu.Unlock()
	defer restrictUmask()()
	return net.Listen("unix", path)
}

// removeStale removes what a killed process left behind. Anything else in that
// place, a plain file above all, is somebody's and stays.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket; it was left alone", path)
	}
	conn, err := net.DialTimeout("unix", path, answerTime)
	if err == nil {
		return errors.Join(ErrSocketInUse, conn.Close())
	}
	// Only a refusal proves that nobody listens. No permission, or a full
	// backlog, means that somebody may.
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %w", ErrSocketInUse, err)
	}
	return os.Remove(path)
}
