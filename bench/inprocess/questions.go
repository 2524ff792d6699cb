package inprocess

import (
	"strings"

	"github.com/sidegate/sidegate/bench/seed"
)

// questions are who sends to whom, one behind the other in one text.
type questions struct {
	text string
	n    int // a power of two
}

var idWidth = len(seed.ID(0))

func draw(shape seed.Shape, n int) questions {
	var text strings.Builder
	text.Grow(2 * n * idWidth)
	for _, p := range shape.Pairs(uint64(n), n) {
		text.WriteString(seed.ID(p.Sender))
		text.WriteString(seed.ID(p.Recipient))
	}
	return questions{text.String(), n}
}

// at returns a question; behind the last one comes the first.
func (q questions) at(i int) (sender, recipient string) {
	i &= q.n - 1
	pair := q.text[2*i*idWidth : 2*(i+1)*idWidth]
	return pair[:idWidth], pair[idWidth:]
}

// flatIndex is the floor of a lookup: no pages, no versions, nothing that could
// change. An owner's hash leads to a place, the place to fingerprints.
type flatIndex struct {
	slots  []flatSlot
	prints []uint64
	mask   uint64
	size   int
}

type flatSlot struct {
	hash uint64
	at   uint32
	set  bool
}

func newFlatIndex(c *crowd) *flatIndex {
	size := 1
	for size*3 < len(c.owners)*4 {
		size *= 2
	}
	f := &flatIndex{slots: make([]flatSlot, size), mask: uint64(size - 1), size: c.shape.Entries}
	for _, o := range c.owners {
		i := o.hash & f.mask
		for f.slots[i].set {
			i = (i + 1) & f.mask
		}
		f.slots[i] = flatSlot{o.hash, uint32(len(f.prints)), true}
		for j := range c.shape.Entries {
			f.prints = append(f.prints, printOf(seed.ID(c.shape.Target(o.user, j))))
		}
	}
	return f
}

func (f *flatIndex) has(sender, recipient string) bool {
	hash := hashOf(recipient)
	for i := hash & f.mask; f.slots[i].set; i = (i + 1) & f.mask {
		if f.slots[i].hash == hash {
			print := printOf(sender)
			for _, p := range f.prints[f.slots[i].at:][:f.size] {
				if p == print {
					return true
				}
			}
			return false
		}
	}
	return false
}

// splitIDs is the floor of reading a fan-out: it finds the ids between quotes and
// looks at each byte once.
func splitIDs(body []byte, ids [][]byte) [][]byte {
	ids = ids[:0]
	from := -1
	for i, b := range body {
		switch {
		case b != '"':
		case from < 0:
			from = i + 1
		default:
			ids = append(ids, body[from:i])
			from = -1
		}
	}
	return ids
}
