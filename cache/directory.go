package cache

import (
	"context"
	"sync"
	"sync/atomic"
)

const (
	// shardBits is how many of the top bits of an owner hash choose the
	// shard: the lock, the loads under way and the part of the directory. It
	// is never the page number, so that all page counts share the locks. A
	// directory has at least one page a shard, so few shards keep an app
	// without lists cheap.
	shardBits = 4
	shards    = 1 << shardBits

	// maxBits bounds the pages of a directory: one list a page at four
	// billion lists.
	maxBits = 32
)

// pageKey names a page over all directories and all page counts: ristretto
// compares nothing but this number, so page 5 of two apps, or of two sizes of
// one directory, must not be one key. The lowest 33 bits are a one, followed by
// as many bits of page number as the directory had; above is the space.
type pageKey uint64

const spaceShift = maxBits + 1

func makeKey(space int, bits uint8, no uint64) pageKey {
	return pageKey(uint64(space)<<spaceShift | 1<<bits | no)
}

func (k pageKey) space() int { return int(k >> spaceShift) }

func (k pageKey) bits() uint8 {
	low := uint64(k) & (1<<spaceShift - 1)
	n := uint8(0)
	for low > 1 {
		low >>= 1
		n++
	}
	return n
}

func (k pageKey) number() uint64 {
	return uint64(k) & (1<<spaceShift - 1) &^ (1 << k.bits())
}

// Directory holds the lists of one (app, kind): a flat array of slots per
// shard. It is safe for concurrent use.
type Directory struct {
	cache  *Cache
	app    string
	kind   Kind
	space  int
	shards [shards]shard
}

// shard is the part of a directory that one lock guards. Slots are filled only
// under the lock, by publish and apply; anybody may clear one.
type shard struct {
	table      atomic.Pointer[table]
	mu         sync.Mutex
	flights    []*flight // registered loads; their ranges do not overlap
	registered uint64    // how many there have been
	erased     []erasure // the last ones, see late; guarded by mu
	erasures   int       // how many there have been
}

// table is the slots of a shard; a change of their number swaps it whole.
type table struct {
	bits  uint8 // of the whole directory
	slots []slot
}

func newTable(bits uint8) *table {
	return &table{bits: bits, slots: make([]slot, 1<<(bits-shardBits))}
}

// at returns the slot of a hash.
func (t *table) at(hash uint64) *slot {
	return &t.slots[hash>>(64-t.bits)&uint64(len(t.slots)-1)]
}

func newDirectory(c *Cache, app string, kind Kind, space int) *Directory {
	d := &Directory{cache: c, app: app, kind: kind, space: space}
	for i := range d.shards {
		d.shards[i].table.Store(newTable(shardBits))
	}
	c.slots.Add(shards)
	return d
}

func (d *Directory) shardOf(hash uint64) *shard { return &d.shards[hash>>(64-shardBits)] }

// rangeOf is the range of the page that holds a hash.
func rangeOf(hash uint64, bits uint8) Range {
	width := uint64(1) << (64 - bits)
	lo := hash &^ (width - 1)
	return Range{Lo: lo, Hi: lo + (width - 1)}
}

func (r Range) holds(hash uint64) bool { return r.Lo <= hash && hash <= r.Hi }

func (r Range) overlaps(o Range) bool { return r.Lo <= o.Hi && o.Lo <= r.Hi }

// slotOf finds the slot of a key, nil if the directory has another number of
// pages by now. It takes no lock: ristretto's callbacks use it.
func (c *Cache) slotOf(k pageKey) *slot {
	spaces := c.spaces()
	if k.space() >= len(spaces) {
		return nil
	}
	d := spaces[k.space()]
	bits := k.bits()
	if bits < shardBits {
		return nil
	}
	hash := k.number() << (64 - bits)
	t := d.shardOf(hash).table.Load()
	if t.bits != bits {
		return nil
	}
	return t.at(hash)
}

// grow gives the directory 1<<bits pages in all, splitting those it holds, shard
// by shard; a directory never shrinks. Readers do not wait; the lock of a shard is
// held for about a copy of its pages. Loads under way are found by their range,
// whatever the number of pages. It returns early if ctx ends; then some shards
// have grown and some have not, which is as good.
func (d *Directory) grow(ctx context.Context, bits uint8) {
	for i := range d.shards {
		// Let the children of the shard before be paid.
		if !d.cache.acct.drained(ctx) {
			return
		}
		d.shards[i].grow(d.cache, bits)
	}
}

func (s *shard) grow(c *Cache, bits uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table.Load()
	if bits <= old.bits {
		return
	}
	next := newTable(bits)
	var parents []pageKey
	var born []*page
	paid := int64(0)
	for i := range old.slots {
		p := old.slots[i].Load()
		if p == nil {
			continue
		}
		parents = append(parents, p.key)
		children := p.split(bits)
		// Children weigh more than their parent, and the difference needs room
		// like any new page. The rest is paid for as the parent is.
		was := p.bytes + ristrettoBytes
		more := -was
		for _, child := range children {
			more += child.bytes + ristrettoBytes
		}
		if !c.acct.reserve(max(more, 0)) {
			c.metrics.unpublished.Inc()
			continue // read again when it is asked for
		}
		paid += min(was, was+more)
		for _, child := range children {
			next.at(child.key.firstHash()).Store(child)
		}
		born = append(born, children...)
	}
	// The parents' payment ends and may be spent on others before the children
	// are booked. Until then these count as unpaid: nothing else is let in.
	c.acct.owe(paid)
	s.table.Store(next)
	c.slots.Add(int64(len(next.slots) - len(old.slots)))
	c.acct.retire(parents)
	// Not before: the accountant would look for the children, find that the
	// directory has no such pages, and never look again.
	for _, child := range born {
		c.acct.mark(child.key, child.bytes+ristrettoBytes)
	}
	if len(born) == 0 {
		c.acct.poke()
	}
}

// firstHash is the lowest hash of the page's range.
func (k pageKey) firstHash() uint64 { return k.number() << (64 - k.bits()) }
