package localpg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// process is one line of the process table.
type process struct {
	pid, ppid int
	state     byte   // as ps prints it: R, S, T (stopped), Z (zombie) …
	name      string // of the program
	started   string // tells two users of one pid apart; empty where unknown
}

// dead is true for what only waits for its parent to take notice; it holds no
// memory and no file any more.
func (p process) dead() bool { return p.state == 'Z' || p.state == 'X' }

// descendants returns the children of a process and theirs, without those that
// have ended. An archive command's shell is a grandchild.
func descendants(root int) ([]process, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	found := []process{{pid: root}}
	for i := 0; i < len(found); i++ {
		for _, p := range all {
			if p.ppid == found[i].pid && !p.dead() {
				found = append(found, p)
			}
		}
	}
	return found[1:], nil
}

// signalAll sends a signal to each process; one that has ended in the meantime is
// no error.
func signalAll(procs []process, sig syscall.Signal) error {
	var errs []error
	for _, p := range procs {
		if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("localpg: signal process %d: %w", p.pid, err))
		}
	}
	return errors.Join(errs...)
}

// awaitAll waits until every one of procs has ended or is seen in a state that
// holds for good. A process id that was given to another process counts as ended.
func awaitAll(ctx context.Context, procs []process, holds func(process) bool) error {
	var failed error
	err := until(ctx, func() bool {
		var all []process
		if all, failed = processes(); failed != nil {
			return true
		}
		return !slices.ContainsFunc(procs, func(want process) bool {
			i := slices.IndexFunc(all, func(p process) bool { return p.pid == want.pid })
			return i >= 0 && !all[i].dead() && (want.started == "" || all[i].started == want.started) && !holds(all[i])
		})
	})
	return errors.Join(failed, err)
}

func never(process) bool { return false }

func stopped(p process) bool { return p.state == 'T' || p.state == 't' }
