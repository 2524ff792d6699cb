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
	salt   int64
	bits   uint8    // of a hash that choose its bucket
	starts []uint32 // of the buckets, and the end of the last
	lists  []uint32
}

// bucketLists is about how many lists share a bucket.
const bucketLists = 8

// newIndex sorts n lists by their owners' hashes.
func newIndex(n int, salt int64) (*index, error) {
	x := &index{salt: salt, bits: uint8(bits.Len(uint(n / bucketLists)))}
	room, err := sharedNumbers(n + 1<<x.bits + 1)
	if err != nil {
		return nil, err
	}
	x.lists, x.starts = room[:n], room[n:]
	// Count, add up, and put in from the end: what is left in starts is where
	// each bucket begins.
	var id []byte
	for i := range n {
		id = seed.AppendID(id[:0], i)
		x.starts[x.bucket(x.hash(id))]++
	}
	sum := uint32(0)
	for b := range x.starts {
		sum += x.starts[b]
		x.starts[b] = sum
	}
	for i := range n {
		id = seed.AppendID(id[:0], i)
		b := x.bucket(x.hash(id))
		x.starts[b]--
		x.lists[x.starts[b]] = uint32(i)
	}
	x.sort()
	return x, nil
}

// sort brings the lists of each bucket into order.
func (x *index) sort() {
	type place struct {
		hash uint64
		list uint32
	}
	var id []byte
	var places []place
	for b := range len(x.starts) - 1 {
		lists := x.lists[x.starts[b]:x.starts[b+1]]
		places = places[:0]
		for _, i := range lists {
			id = seed.AppendID(id[:0], int(i))
			places = append(places, place{x.hash(id), i})
		}
		slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.hash, b.hash) })
		for k := range places {
			lists[k] = places[k].list
		}
	}
}

func (x *index) hash(id []byte) uint64 { return cache.HashOwner(string(id), x.salt) }

func (x *index) bucket(hash uint64) uint64 {
	return hash >> (64 - x.bits) // a shift by 64 gives 0, the only bucket
}

// within returns the lists of the buckets that a range touches, in the order of
// their hashes. If the range is narrower than a bucket there are others among them.
func (x *index) within(r cache.Range) []uint32 {
	return x.lists[x.starts[x.bucket(r.Lo)]:x.starts[x.bucket(r.Hi)+1]]
}
