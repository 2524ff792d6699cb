package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options configure a [Cache]. Loader, MaxBytes and Apps are required.
type Options struct {
	// MaxBytes is the budget in bytes for everything that is kept: pages, what
	// ristretto adds to each, its counters, and the slots of the directories. See
	// [Stats]. Page reads under way and garbage come on top.
	MaxBytes int64
	// Apps are the tenants whose lists are kept from the start, see
	// [Cache.AddApps]. Changes of others are ignored.
	Apps []string
	// Loader reads pages.
	Loader Loader
	// Sizer counts what there is to hold, so that the number of pages fits
	// and everything is loaded ahead if there is room. If it is nil, nothing
	// is loaded ahead.
	Sizer Sizer
	// Warm is the memory of an earlier process, for [Cache.Stage]; nil = none. The
	// process takes its fingerprints over, so it is for the first cache of a process.
	Warm *WarmFile
	// Headers compares what a warm start has brought with the database, once all
	// is in memory; nil = not compared.
	Headers HeaderReader
	// LoadTimeout is the deadline of one shared page read. Default 150 ms:
	// a check that waits longer is better answered "unknown".
	LoadTimeout time.Duration
	// MaxLoads is how many page reads are under way at a time: as many as Loader
	// has connections for. Default 4. Others wait for their turn.
	MaxLoads int64
	// Loads bound the page reads that are asked for; see [Cache.SetLoadLimits].
	Loads LoadLimits
	// Metrics receives what happens; required. See [NewMetrics].
	Metrics *Metrics
	// Logger is told when pages cannot be read and when they can again.
	// Default slog.Default().
	Logger *slog.Logger
}

// Sizer counts the lists of a directory and their entries. The numbers choose
// how many pages there are; they may be rough.
type Sizer interface {
	Sizes(ctx context.Context, app string, kind Kind) (lists, entries int64, err error)
}

// HeaderReader reads the headers of all lists of a range from one snapshot, empty
// lists that have a version included. It keeps none of the bytes that each is handed.
type HeaderReader interface {
	Headers(ctx context.Context, app string, kind Kind, r Range, each func(Header)) error
}

const (
	defaultLoadTimeout = 150 * time.Millisecond
	defaultMaxLoads    = 4
)

func (o *Options) check() error {
	switch {
	case o.MaxBytes <= 0:
		return fmt.Errorf("MaxBytes is %d, must be at least 1", o.MaxBytes)
	case len(o.Apps) == 0:
		return errors.New("no apps")
	case len(slices.Compact(slices.Sorted(slices.Values(o.Apps)))) < len(o.Apps):
		return errors.New("an app is named twice")
	case o.Loader == nil:
		return errors.New("no loader")
	case o.Metrics == nil:
		return errors.New("no metrics")
	case o.LoadTimeout < 0 || o.MaxLoads < 0:
		return errors.New("LoadTimeout and MaxLoads must not be negative")
	case o.Warm != nil && !adoptSeed(o.Warm.head.Seed):
		return errors.New("a warm file is for the first cache of a process")
	}
	inUse.Store(true)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.LoadTimeout == 0 {
		o.LoadTimeout = defaultLoadTimeout
	}
	if o.MaxLoads == 0 {
		o.MaxLoads = defaultMaxLoads
	}
	return o.Loads.complete()
}

// Cache holds the lists of all apps in memory. All methods are safe for
// concurrent use, except where they say otherwise.
type Cache struct {
	opts    Options
	metrics *Metrics
	started time.Time
	wall    func() time.Time // the host's clock
	off     guards           // see guards.go

	adding  sync.Mutex // of apps
	tenants atomic.Pointer[tenants]
	slots   atomic.Int64 // of all directories

	feed        atomic.Pointer[feed] // nil until a server is followed
	clockOffset atomic.Int64         // nanoseconds from steady to the database's clock
	suspended   suspension
	acct        *accountant
	keeper      *keeper
	staged      *staged // before a server is followed, if there is a warm file
	preloaded   atomic.Bool
	asked       atomic.Int64 // pages that somebody waits for
	gate        *gate
	reads       counter
}

// New returns an empty cache. It starts nothing: [Cache.Run] keeps the budget.
func New(opts Options) (*Cache, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("cache: options: %w", err)
	}
	c := &Cache{
		opts: opts, metrics: opts.Metrics, started: time.Now(), wall: time.Now,
		gate: newGate(&opts),
	}
	c.suspended.begin(bootAhead)
	c.tenants.Store(&tenants{})
	c.acct = newAccountant(c)
	c.keeper = newKeeper(c)
	c.AddApps(opts.Apps...)
	opts.Metrics.observe(c)
	return c, nil
}

// Run keeps the byte budget, loads ahead what fits, reads suspect pages again and
// watches for suspensions of the machine, until ctx ends; then it returns nil. Reads go on working afterwards,
// but nothing is evicted any more. Call it once.
func (c *Cache) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.acct.run(ctx) })
	g.Go(func() error { return c.keeper.run(ctx) })
	g.Go(func() error { return c.watchSuspension(ctx) })
	return g.Wait()
}

// tenants are the apps with their directories. It is never changed, only replaced
// by one that has more: a space, once given, is in every page's key.
type tenants struct {
	apps   map[string]*[Kinds]*Directory
	spaces []*Directory // by Directory.space
}

// spaces are the directories of all apps.
func (c *Cache) spaces() []*Directory { return c.tenants.Load().spaces }

// AddApps keeps the lists of more apps from now on; those that are there stay as
// they are. Nothing of them is in memory at first: what is asked for is read, and
// [Cache.Run] loads the rest ahead if there is room. What an app has cannot be
// dropped again, only evicted. No change is missed: one that was applied before
// the app was there was committed before, so every read of the app contains it.
func (c *Cache) AddApps(names ...string) {
	c.adding.Lock()
	defer c.adding.Unlock()
	old := c.tenants.Load()
	next := &tenants{apps: maps.Clone(old.apps), spaces: slices.Clone(old.spaces)}
	if next.apps == nil {
		next.apps = make(map[string]*[Kinds]*Directory, len(names))
	}
	for _, app := range names {
		if next.apps[app] != nil {
			continue
		}
		var dirs [Kinds]*Directory
		for k := range Kind(Kinds) {
			dirs[k] = newDirectory(c, app, k, len(next.spaces))
			next.spaces = append(next.spaces, dirs[k])
		}
		next.apps[app] = &dirs
	}
	c.tenants.Store(next)
	if len(old.spaces) > 0 && len(next.spaces) > len(old.spaces) {
		c.keeper.poke()
	}
}

// Directory returns the lists of an app, nil if the app is not configured.
func (c *Cache) Directory(app string, kind Kind) *Directory {
	dirs := c.tenants.Load().apps[app]
	if dirs == nil || kind >= Kinds {
		return nil
	}
	return dirs[kind]
}

// Apps returns the names of the apps whose lists are kept, sorted.
func (c *Cache) Apps() []string { return slices.Sorted(maps.Keys(c.tenants.Load().apps)) }

// sampleHits is how rarely a hit is told to ristretto: one in 16 gives the same
// hit ratio as each one, at no cost on the path. Every miss is told. While there is
// room for everything no hit is: nothing has to be chosen between.
const sampleHits = 16

// Find returns the owner's list from memory. It takes no lock, allocates
// nothing and never waits; false means that the page is not in memory, which
// says nothing about the list (Invariant 1). The owner string is not kept.
func (d *Directory) Find(owner string) (View, bool) {
	c := d.cache
	now := c.feed.Load()
	if now == nil {
		return View{}, false
	}
	asOf := now.asOf.Load() // before the page: see View.asOf
	hash := HashOwner(owner, now.identity.Salt)
	p := d.shardOf(hash).table.Load().at(hash).Load()
	// A page of another salt files the owner elsewhere: it cannot be asked.
	if p == nil || p.salt != now.identity.Salt {
		c.reads.add(0, 1)
		c.acct.touch(d.keyOf(hash))
		return View{}, false
	}
	v := View{cache: c, pg: p, nth: p.findOwner(hash, owner) + 1, asOf: now.proved(p, asOf)}
	if n := c.reads.add(1, 0); sampled(n) && c.acct.full.Load() {
		c.acct.touch(p.key)
	}
	return v, true
}

// keyOf returns the key that the page of a hash has, or would have.
func (d *Directory) keyOf(hash uint64) pageKey {
	bits := d.shardOf(hash).table.Load().bits
	return makeKey(d.space, bits, hash>>(64-bits))
}

// SetClockOffset tells how far the database's clock is ahead of this host's, as
// measured at a poll. Expiries are compared with the database's clock. What is kept
// is how far that is from a clock which nobody sets: if the host's jumps, an entry
// expires neither sooner nor later, however long it takes until the next poll.
func (c *Cache) SetClockOffset(ahead time.Duration) {
	c.clockOffset.Store(int64(ahead + c.wall().Round(0).Sub(c.steady())))
}

// steady is the host's clock as it would be now if nobody had set it since the
// cache was made. Without its monotonic part it is compared by what it shows.
func (c *Cache) steady() time.Time { return c.started.Add(c.elapsed()).Round(0) }

func (c *Cache) databaseClock() time.Time {
	return c.steady().Add(time.Duration(c.clockOffset.Load()))
}
