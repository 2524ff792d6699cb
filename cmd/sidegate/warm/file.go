package warm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/sidegate/sidegate/cache"
	blocksync "github.com/sidegate/sidegate/sync"
)

// Options configure a [File]. Path and Metrics are required.
type Options struct {
	// Path of the file, in a directory that exists. Beside it stand Path.lock and,
	// while one is written, Path.new.
	Path string
	// Interval is the time between two files while the process runs, varied by a
	// tenth. Default 5 min.
	Interval time.Duration
	// Ends returns by when the last file must be written once [File.Run] is told to
	// end. Default: 5 s after that.
	Ends    func() time.Time
	Metrics *Metrics
	Logger  *slog.Logger // default slog.Default()
}

const (
	defaultInterval = 5 * time.Minute
	defaultLast     = 5 * time.Second

	// stageTimeout is how long reading the file may take. Who starts cold is ready
	// after a poll; a disk that is that slow is of no help.
	stageTimeout = 30 * time.Second
)

// File is the warm file of a process. Open, Attach, Stage and Run are each called
// once, in this order; the follower calls Stage, Accept and Refuse.
type File struct {
	opts   Options
	log    *slog.Logger
	lock   *os.File // nil while another process has it
	file   *os.File // what is read, until it has been
	warm   *cache.WarmFile
	cache  *cache.Cache
	place  func() (cache.Identity, blocksync.Position, bool)
	staged cache.Warmth
	silent bool // the log has been told that writing fails
}

// New returns the warm file of a path. It touches nothing yet.
func New(opts Options) *File {
	if opts.Interval == 0 {
		opts.Interval = defaultInterval
	}
	if opts.Ends == nil {
		opts.Ends = func() time.Time { return time.Now().Add(defaultLast) }
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return &File{opts: opts, log: opts.Logger}
}

// Open takes the lock and reads the beginning of the file, for the options of the
// cache. It returns nil, and has said why, if the start is a cold one.
func (f *File) Open() *cache.WarmFile {
	err := f.open()
	switch {
	case err == nil:
		return f.warm
	case isMissing(err):
		f.log.Info("there is no warm file yet; starting cold", "path", f.opts.Path)
	default:
		f.refuse(causeOf(err), err)
	}
	f.close()
	return nil
}

func (f *File) open() (err error) {
	if err := f.takeLock(); err != nil {
		return err
	}
	if f.file, err = os.Open(f.opts.Path); err != nil {
		return err
	}
	info, err := f.file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", f.opts.Path)
	case info.Mode().Perm()&0o002 != 0:
		return fmt.Errorf("%s may be written by everybody (mode %#o), so it may say anything", f.opts.Path, info.Mode().Perm())
	}
	f.warm, err = cache.OpenWarm(f.file, info.Size())
	return err
}

// takeLock keeps other processes off the path as long as this one lives.
func (f *File) takeLock() error {
	if f.lock != nil {
		return nil
	}
	lock, err := os.OpenFile(f.opts.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		// The file says that it is the lock that is missing: not to be taken for a
		// warm file that is.
		return fmt.Errorf("lock the warm file: %s", err.Error())
	}
	if err := lockFile(lock); err != nil {
		return errors.Join(err, lock.Close())
	}
	f.lock = lock
	return nil
}

var errLocked = errors.New("another process uses the warm file; each needs one of its own")

func (f *File) close() {
	if f.file != nil {
		_ = f.file.Close() // it was only read
		f.file = nil
	}
	f.warm = nil
}

// Attach says whose memory it is and how far following has come.
func (f *File) Attach(c *cache.Cache, place func() (cache.Identity, blocksync.Position, bool)) {
	f.cache, f.place = c, place
}

// Stage implements [blocksync.Warm].
func (f *File) Stage(ctx context.Context) (left blocksync.Left, ok bool) {
	if f.warm == nil {
		return left, false
	}
	saved := f.warm.Saved()
	defer f.close()
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	begun := time.Now()
	at, got, err := f.cache.Stage(ctx)
	if err == nil {
		left, err = leftAt(at)
		if err != nil {
			f.cache.Discard()
		}
	}
	if err != nil {
		if !errors.Is(err, context.Canceled) { // the process is being ended
			f.refuse(causeOf(err), err)
		}
		return blocksync.Left{}, false
	}
	f.staged = got
	f.log.Info("the warm file is read; the database is asked what has changed since",
		"pages", got.Pages, "lists", got.Lists, "entries", got.Entries, "saved", saved, "seconds", time.Since(begun).Seconds())
	return left, true
}

// leftAt reads positions that passed a checksum and may still be nonsense.
func leftAt(at cache.Place) (left blocksync.Left, err error) {
	left.Server = at.Identity
	if left.Position, err = blocksync.ParsePosition(at.Position); err == nil {
		left.Through, err = blocksync.ParsePosition(at.Through)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", cache.ErrWarmDamaged, err)
	}
	return left, err
}

// Accept implements [blocksync.Warm].
func (f *File) Accept() {
	f.opts.Metrics.pages.Add(float64(f.staged.Pages))
	f.log.Info("started warm: what the process before this one knew is in memory and up to date",
		"pages", f.staged.Pages, "lists", f.staged.Lists, "entries", f.staged.Entries)
}

// Refuse implements [blocksync.Warm].
func (f *File) Refuse(cause string) {
	f.cache.Discard()
	f.refuse(cause, reasons[cause])
}

// reasons say what a cause of the follower means for the file.
var reasons = map[string]error{
	"identity": errors.New("the database is not the one that the file is of, or was restarted, restored or failed over since"),
	"rewound":  errors.New("the database has lost transactions since"),
	"trimmed":  errors.New("the database has thrown away part of what changed since"),
	"audit":    errors.New("a sample has found memory to be wrong"),
	"overflow": errors.New("more has changed since than one poll can carry"),
}

func (f *File) refuse(cause string, err error) {
	f.opts.Metrics.refused[cause].Inc()
	f.log.Warn("the warm file is not used; starting cold", "path", f.opts.Path, "cause", cause, "error", err)
}

// write writes a whole file and puts it in the place of the one before.
func (f *File) write(content func(io.Writer) error) (err error) {
	next := f.opts.Path + ".new"
	// What a process left that was killed, or somebody has laid there.
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = content(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(next, f.opts.Path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDirectory(f.opts.Path)
}
