package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse says that another process runs a server on the directory.
var ErrInUse = errors.New("the data directory is in use")

// orphanPatience is how long a server whose program was killed may take to end: an
// immediate shutdown kills what has not ended after 5 s
// (SIGKILL_CHILDREN_AFTER_SECS in PostgreSQL's postmaster.c).
const orphanPatience = 7 * time.Second

// lockDir takes the directory for this process, or for this Server within it. The
// kernel frees the lock when the holder dies, so there is no stale lock to judge.
func lockDir(l layout) (*os.File, error) {
	f, err := os.OpenFile(l.lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	closeErr := f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: another sidegate runs a server in %s: stop it, or use another data directory", ErrInUse, l.root)
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", l.lock(), err), closeErr)
}

// unlockDir gives the directory back. The lock is dropped explicitly: closing does
// not drop it while a process that is just being forked holds a copy of the file,
// which it does until it has become another program.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// awaitOrphans waits until nothing of an earlier server runs on the directory,
// whose lock we hold. After a kill its processes need a moment, and a new server
// is refused while they hold the shared memory of the old one.
func awaitOrphans(ctx context.Context, l layout) error {
	ctx, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	var left []int
	if err := until(ctx, func() bool {
		left = serversOn(l)
		return len(left) == 0
	}); err != nil {
		return fmt.Errorf("%w: a PostgreSQL that sidegate did not start, or could not stop, runs in %s as process %d: "+
			"stop it with `kill -INT %d`, or use another data directory", ErrInUse, l.data(), left[0], left[0])
	}
	return dropReusedPID(l)
}

// dropReusedPID removes a pid file whose process id now belongs to somebody else:
// PostgreSQL would take that process for its predecessor and refuse to start. It
// does judge an id that no longer exists by itself. Call it only when serversOn
// has found nothing.
func dropReusedPID(l layout) error {
	pid, ok := pidFile(l)
	if !ok || syscall.Kill(pid, 0) != nil {
		return nil
	}
	if err := os.Remove(l.pid()); err != nil {
		return fmt.Errorf("stale pid file: %w", err)
	}
	return nil
}

// pidFile returns the process id in the pid file, if there is one to read.
func pidFile(l layout) (int, bool) {
	text, err := os.ReadFile(l.pid())
	if err != nil {
		return 0, false
	}
	return parsePIDFile(string(text))
}

// parsePIDFile reads the first line of postmaster.pid, the process id; a
// standalone backend writes it negative.
func parsePIDFile(text string) (int, bool) {
	line, _, _ := strings.Cut(text, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid == 0 {
		return 0, false
	}
	if pid < 0 {
		pid = -pid
	}
	return pid, pid > 0 // the most negative int has no positive twin
}

// until calls ok, at first every millisecond and then ever more slowly down to
// every 50, until it returns true; it returns the cause when ctx ends before.
func until(ctx context.Context, ok func() bool) error {
	for wait := time.Millisecond; ; wait = min(wait*2, 50*time.Millisecond) {
		if ok() {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}
