package generator

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
)

// World is a database that is computed.
type World struct {
	shape seed.Shape
	index *index

	mu       sync.RWMutex
	versions map[int]int64 // of the lists that have changed; all others have 1
	xid      uint64        // of the next change
	log      []committed   // what has not been polled, ascending

	pace chan int // changes a second, for Run
}

// identity is that of every world: a process has one.
var identity = cache.Identity{System: 1, Timeline: 1, Started: 1, Incarnation: [16]byte{1}, Relation: 1, Salt: 0x5eed}

// New makes the lists of a shape, which must leave each owner one user who is not
// on the list. It starts nothing. For ten million lists it takes some seconds, and
// about five bytes a list.
func New(shape seed.Shape) (*World, error) {
	roomier := shape
	roomier.Entries++
	if err := roomier.Valid(); err != nil {
		return nil, fmt.Errorf("generator: with a guest on each list: %w", err)
	}
	if shape.Lists <= Reserved || shape.Lists > math.MaxInt32 {
		return nil, fmt.Errorf("generator: %d lists, must be more than %d and at most %d", shape.Lists, Reserved, math.MaxInt32)
	}
	x, err := newIndex(shape.Lists, identity.Salt)
	if err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	return &World{
		shape: shape, index: x, versions: make(map[int]int64), xid: firstXid, pace: make(chan int),
	}, nil
}

// Shape returns what the lists are at first.
func (w *World) Shape() seed.Shape { return w.shape }

// Guest returns the number of the user who is put on list i, and taken off it, by
// its changes.
func Guest(shape seed.Shape, i int) int { return shape.Target(i, shape.Entries) }

// hosts reports whether the guest is on a list of a version.
func hosts(version int64) bool { return version%2 == 0 }

// Sizes implements [cache.Sizer].
func (w *World) Sizes(_ context.Context, app string, kind cache.Kind) (lists, entries int64, err error) {
	if app != seed.App || kind != cache.KindBlock {
		return 0, 0, nil
	}
	return int64(w.shape.Lists), int64(w.shape.Lists) * int64(w.shape.Entries), nil
}

// Load implements [cache.Loader]. The lists come in the order of their hashes.
func (w *World) Load(ctx context.Context, app string, kind cache.Kind, r cache.Range, into cache.Intake) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	count := 0
	if app == seed.App && kind == cache.KindBlock {
		count = w.hand(r, into)
	}
	into.Done(identity, count)
	return nil
}

// hand hands on the lists of a range, all of them as they are at one moment, and
// returns how many there are.
func (w *World) hand(r cache.Range, into cache.Intake) (count int) {
	m := maker{shape: w.shape}
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, i := range w.index.within(r) {
		m.reset()
		owner := m.id(int(i))
		if hash := cache.HashOwner(owner, identity.Salt); hash < r.Lo || hash > r.Hi {
			continue
		}
		l := m.list(int(i), owner, w.version(int(i)))
		into.List(cache.Header{Owner: bytesOf(l.Owner), Version: l.Version, Size: l.Size, Digest: l.Digest})
		for _, e := range l.Entries {
			into.Entry(bytesOf(e.Target), 0)
		}
		count++
	}
	return count
}

// version is that of list i; w.mu is held.
func (w *World) version(i int) int64 {
	if v := w.versions[i]; v != 0 {
		return v
	}
	return 1
}
