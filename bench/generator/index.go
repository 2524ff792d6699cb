package generator

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
)

// index finds the lists whose owner hash lies in a range. The lists stand in the
// order of their hashes; starts says where those begin that share their top bits.
type index struct {
	bits   uint8    // of a hash that choose its bucket
	starts []uint32 // of the buckets, and the end of the last
	lists  []uint32
}

// bucketLists is about how many lists share a bucket.
const bucketLists = 8

// newIndex sorts n lists by their owners' hashes. What it takes is never given back:
// a process has one world.
func newIndex(n int, salt int64) (*index, error) {
	x := &index{bits: uint8(bits.Len(uint(n / bucketLists)))}
	room, _, err := shared[uint32](n + 1<<x.bits + 1)
	if err != nil {
		return nil, err
	}
	x.lists, x.starts = room[:n], room[n:]
	hashes, free, err := shared[uint64](n)
	if err != nil {
		return nil, err
	}
	// Count, add up, and put in from the end: what is left in starts is where
	// each bucket begins.
	var id []byte
	for i := range hashes {
		id = seed.AppendID(id[:0], i)
		hashes[i] = cache.HashOwner(string(id), salt)
		x.starts[x.bucket(hashes[i])]++
	}
	sum := uint32(0)
	for b := range x.starts {
		sum += x.starts[b]
		x.starts[b] = sum
	}
	for i, hash := range hashes {
		b := x.bucket(hash)
		x.starts[b]--
		x.lists[x.starts[b]] = uint32(i)
	}
	for b := range len(x.starts) - 1 {
		slices.SortFunc(x.lists[x.starts[b]:x.starts[b+1]], func(a, b uint32) int {
			return cmp.Compare(hashes[a], hashes[b])
		})
	}
	return x, free()
}

func (x *index) bucket(hash uint64) uint64 {
	return hash >> (64 - x.bits) // a shift by 64 gives 0, the only bucket
}

// within returns the lists of the buckets that a range touches, in the order of
// their hashes. If the range is narrower than a bucket there are others among them.
func (x *index) within(r cache.Range) []uint32 {
	return x.lists[x.starts[x.bucket(r.Lo)]:x.starts[x.bucket(r.Hi)+1]]
}
