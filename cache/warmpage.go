package cache

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"
)

var (
	littleEndian = binary.LittleEndian
	nativeEndian = binary.NativeEndian
)

// bytesOf lends words as the bytes that they are in memory.
func bytesOf(words []uint64) []byte {
	if len(words) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*8)
}

// recordWords is what stands before the words of a page in a warm file: directory and
// number of long lists, number of the page, lists and entries, words and bits.
const recordWords = 4

// appendTo appends the page as it lies in memory: its block, then its long lists,
// the lengths of these before both.
func (p *page) appendTo(words []uint64, directory uint32) []uint64 {
	words = append(words,
		uint64(directory)|uint64(len(p.long))<<32,
		p.key.number(),
		uint64(p.lists)|uint64(p.entries)<<32,
		uint64(len(p.data))|uint64(p.bits)<<56)
	for _, l := range p.long {
		words = append(words, uint64(len(l)))
	}
	words = append(words, p.data...)
	for _, l := range p.long {
		words = append(words, l...)
	}
	return words
}

// cutter cuts words off a block; short says that there were too few.
type cutter struct {
	rest  []uint64
	short bool
}

func (c *cutter) cut(n uint64) []uint64 {
	if n > uint64(len(c.rest)) {
		c.short = true
		return nil
	}
	out := c.rest[:n]
	c.rest = c.rest[n:]
	return out
}

// keep copies words into a block of their own.
func (c *cutter) keep(n uint64) []uint64 {
	words := c.cut(n)
	return append(allocate(len(words))[:0], words...)
}

// readPage is the inverse of appendTo: it takes the first page off the words, which
// are not kept. Nothing is believed of it: a page that is returned can be looked up
// in, stepped and split like one that was made here. Its key, salt and epoch are the
// caller's to set.
func readPage(words []uint64) (p *page, directory uint32, number uint64, rest []uint64, err error) {
	c := &cutter{rest: words}
	record := c.cut(recordWords)
	if c.short {
		return nil, 0, 0, nil, fmt.Errorf("%w: half a page", ErrWarmDamaged)
	}
	directory, number = uint32(record[0]), record[1]
	p = &page{lists: uint32(record[2]), entries: uint32(record[2] >> 32), bits: uint8(record[3] >> 56)}
	lengths := c.cut(record[0] >> 32)
	p.data = c.keep(record[3] & (1<<56 - 1))
	if len(lengths) > 0 && !c.short {
		p.long = make([][]uint64, len(lengths))
	}
	for i := range p.long {
		p.long[i] = c.keep(lengths[i])
	}
	if c.short {
		return nil, 0, 0, nil, fmt.Errorf("%w: half a page", ErrWarmDamaged)
	}
	if err := p.check(number); err != nil {
		return nil, 0, 0, nil, err
	}
	p.weigh()
	return p, directory, number, c.rest, nil
}

// check holds a page against everything that is taken for granted of one.
func (p *page) check(number uint64) error {
	wrong := func(what string) error { return fmt.Errorf("%w: a page with %s", ErrWarmDamaged, what) }
	if p.bits < shardBits || p.bits > maxBits || number>>p.bits != 0 {
		return wrong("another number than it can have")
	}
	n := int(p.lists)
	if n == 0 {
		if len(p.data)+len(p.long)+int(p.entries) > 0 {
			return wrong("content and no list")
		}
		return nil
	}
	room := len(p.data) - p.base() - 2*n
	if n > len(p.data) || room < 0 || p.edge(0) != 0 || p.edge(n) != room {
		return wrong("lists that do not fill it")
	}
	used := make([]bool, len(p.long))
	entries := 0
	for i := range n {
		if p.data[i]>>(64-p.bits) != number || i > 0 && p.data[i-1] >= p.data[i] {
			return wrong("a list that is not in its place")
		}
		if p.edge(i) > p.edge(i+1) || p.edge(i+1) > room {
			return wrong("lists that overlap")
		}
		size, ok := p.checkList(i, used)
		if !ok {
			return wrong("a list that is not one")
		}
		entries += size
	}
	for i, l := range p.long {
		if !used[i] && len(l) > 0 {
			return wrong("a list that is nobody's")
		}
		if !used[i] {
			p.long[i] = nil
		}
	}
	if entries != int(p.entries) {
		return wrong("another number of entries")
	}
	return nil
}

// checkList returns the number of entries of list i, whose room lies within the page.
func (p *page) checkList(i int, used []bool) (entries int, ok bool) {
	words := p.edge(i+1) - p.edge(i)
	long := p.flagged(i, flagLong)
	if long {
		if words != 1 {
			return 0, false
		}
		at := p.data[p.base()+p.edge(i)]
		if at >= uint64(len(p.long)) || used[at] {
			return 0, false
		}
		used[at] = true
		words = len(p.long[at])
	}
	if p.flagged(i, flagExpiring) && words%2 != 0 {
		return 0, false
	}
	prints, _ := p.list(i)
	return len(prints), long == (len(prints) > longList) && len(prints) <= maxRead && slices.IsSorted(prints)
}
