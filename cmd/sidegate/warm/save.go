package warm

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Run writes the file at every interval until ctx ends, and once more then. It
// returns nil: a file that cannot be written costs the next start its warmth. To get
// all that has been applied into the last file, ctx ends after following has.
func (f *File) Run(ctx context.Context) error {
	defer f.unlock()
	for {
		tenth := f.opts.Interval / 10
		timer := time.NewTimer(f.opts.Interval - tenth/2 + rand.N(tenth+1)) // processes that were started together do not write together
		select {
		case <-timer.C:
			f.save(ctx, &pace{})
		case <-ctx.Done():
			timer.Stop()
		}
		if ctx.Err() != nil {
			break
		}
	}
	last, cancel := context.WithDeadline(context.WithoutCancel(ctx), f.opts.Ends())
	defer cancel()
	f.save(last, nil)
	return nil
}

// pace keeps writing to a fifth of a core and of the disk.
type pace struct{ last time.Time }

const idleShare = 4

func (p *pace) wait(ctx context.Context) error {
	if p == nil {
		return ctx.Err()
	}
	if !p.last.IsZero() {
		timer := time.NewTimer(idleShare * time.Since(p.last))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	p.last = time.Now()
	return ctx.Err()
}

// save writes the file and tells how that went.
func (f *File) save(ctx context.Context, slowly *pace) {
	server, at, ok := f.place()
	if !ok {
		return // nothing is known yet: the file that is there knows more
	}
	begun := time.Now()
	got, err := f.saveAt(ctx, slowly, cache.Place{Identity: server, Position: at.String()})
	switch {
	case errors.Is(err, cache.ErrMoved), errors.Is(err, context.Canceled):
		return // the next one is on its way
	case err != nil:
		f.opts.Metrics.errors.Inc()
		if !f.silent {
			f.log.Warn("the warm file cannot be written; the one before it stays", "path", f.opts.Path, "error", err)
		}
		f.silent = true
		return
	}
	f.silent = false
	f.opts.Metrics.bytes.Set(float64(got.Bytes))
	f.opts.Metrics.saved.SetToCurrentTime()
	f.log.Info("the warm file is written", "pages", got.Pages, "lists", got.Lists, "entries", got.Entries,
		"bytes", got.Bytes, "seconds", time.Since(begun).Seconds())
}

// saveAt writes a file that is up to a place. The place was reached before this
// call: whatever page is met from now on holds everything up to it.
func (f *File) saveAt(ctx context.Context, slowly *pace, place cache.Place) (got cache.Warmth, err error) {
	if err := f.takeLock(); err != nil {
		return got, err
	}
	err = f.write(func(to io.Writer) (err error) {
		got, err = f.cache.Save(ctx, to, cache.SaveOptions{
			Place: place, Pause: slowly.wait,
			Through: func() (string, bool) {
				server, at, ok := f.place()
				return at.String(), ok && server == place.Identity
			},
		})
		return err
	})
	return got, err
}

// unlock gives the path to the next process.
func (f *File) unlock() {
	f.close()
	if f.lock != nil {
		_ = f.lock.Close() // nothing was written to it
		f.lock = nil
	}
}

// syncDirectory makes a rename last.
func syncDirectory(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(ignoreUnsupported(dir.Sync()), dir.Close())
}
