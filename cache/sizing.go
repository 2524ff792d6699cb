package cache

import (
	"context"
	"math/bits"
)

// How many pages a directory has is chosen from what there is to hold and from
// the budget. Few lists a page waste room on each page's own cost; many waste it
// on lists that came along with the one that is asked for. A page is also what a
// change copies, without its long lists, and what a miss reads, with them.
const (
	// pageLists is the most lists that a page is planned for: about so many, if
	// everything fits and they are short.
	pageLists = 128
	// copyGoal and readGoal are the bytes to copy and to read from which more
	// lists in a page hardly make an entry cheaper, but each change or miss dearer.
	copyGoal = 16 << 10
	readGoal = 64 << 10
	// pageCost is what a page costs beside its lists.
	pageCost = pageBytes + ristrettoBytes

	// fitShare of the budget, in percent, may be planned full: lists grow. The
	// rest is what may be unpaid for a moment, and ristretto's counters.
	fitShare = 85
	// fullShare of the budget, in percent, is when what was planned to fit is
	// looked at again.
	fullShare = 90
	// mallocShare: malloc rounds blocks up, by a sixteenth on average.
	mallocShare = 16
	// slotShare of the budget may be spent on slots.
	slotShare = 4

	// outgrown is by how much lists may exceed what was known when the number of
	// pages was chosen, before it is chosen again.
	outgrown = 4
)

// demand is what there is to hold in one directory.
type demand struct{ lists, entries int64 }

// each is what a list weighs in its page.
func (d demand) each() int64 {
	if d.lists == 0 {
		return recordBytes
	}
	return recordBytes + d.entries*8/d.lists
}

// bytes is what all of it weighs in pages of about perPage lists.
func (d demand) bytes(perPage int64) int64 {
	lists := d.lists * d.each()
	return lists + lists/mallocShare + pageCost<<bitsFor(d.lists, perPage)
}

// roomy is how many lists a page should hold if everything fits.
func (d demand) roomy() int64 {
	copied := d.each()
	if d.entries > longList*d.lists {
		copied = recordBytes + sliceBytes
	}
	return max(1, min(pageLists, copyGoal/copied, readGoal/d.each()))
}

// tight is how many lists a page should hold if only a share of everything does:
// as many as make the pages' own cost an eighth of what is missing. With less, pages
// crowd out lists; with more, lists that nobody asks for do. This is near the best
// for requests that are drawn by Zipf's law, and the best is flat: see DESIGN.md.
// A little more than the best is chosen, because few pages are told apart sooner.
func (d demand) tight(share float64) int64 {
	share = min(max(share, 0.01), 0.99)
	per := 8 * float64(pageCost) / float64(d.each()) * share / (1 - share)
	return min(max(int64(per), 1), d.roomy())
}

// plan is the number of pages of each directory.
type plan struct {
	fits   bool    // everything has room, and is loaded ahead
	bits   []uint8 // by space
	weight []int64 // by space: bytes that a page will have
}

// planFor chooses the number of pages for a budget in bytes.
func planFor(budget int64, demands []demand) plan {
	p := plan{bits: make([]uint8, len(demands)), weight: make([]int64, len(demands))}
	need := int64(0)
	for _, d := range demands {
		need += d.bytes(d.roomy())
	}
	p.fits = need <= budget/100*fitShare
	slots := int64(0)
	for i, d := range demands {
		per := d.roomy()
		if !p.fits {
			per = d.tight(float64(budget) * fitShare / 100 / float64(need))
		}
		p.bits[i] = bitsFor(d.lists, per)
		slots += 1 << p.bits[i]
	}
	for slots*slotBytes > budget/slotShare { // half as many where there are most
		most := 0
		for i := range p.bits {
			if p.bits[i] > p.bits[most] {
				most = i
			}
		}
		if p.bits[most] == shardBits {
			break
		}
		p.bits[most]--
		slots -= 1 << p.bits[most]
	}
	for i, d := range demands {
		p.weight[i] = pageCost + d.lists*d.each()>>p.bits[i]
	}
	return p
}

// bitsFor returns how many bits of page number give about perPage lists a page:
// at most so many, and more than half.
func bitsFor(lists, perPage int64) uint8 {
	if lists <= perPage<<shardBits {
		return shardBits
	}
	return uint8(min(maxBits, bits.Len64(uint64((lists-1)/perPage))))
}

// size asks how much there is and chooses the number of pages.
func (k *keeper) size(ctx context.Context) error {
	c := k.cache
	if c.opts.Sizer == nil {
		return nil
	}
	known := make([]demand, len(k.spaces))
	for i, d := range k.spaces {
		var err error
		if was, ok := k.inherited[d]; ok {
			known[i] = was
			continue
		}
		if known[i].lists, known[i].entries, err = c.opts.Sizer.Sizes(ctx, d.app, d.kind); err != nil {
			return err
		}
	}
	p := planFor(c.opts.MaxBytes, known)
	// Lists may weigh more than was planned: a Sizer counts no expiries. What was
	// planned to fit and does not is not planned so again, or it would be counted
	// and read at every tick from then on, page displacing page.
	p.fits = p.fits && !k.isCrowded()
	k.known, k.fits, k.weight, k.inherited = known, p.fits, p.weight, nil
	k.sizes.Store(&known)
	for i, d := range k.spaces {
		d.grow(ctx, p.bits[i])
	}
	return nil
}

// hasOutgrown reports whether there is far more than when the number of pages was
// chosen, or what was planned to fit is about not to. Of what is not in memory it
// knows nothing, so it takes the pages that are for all.
func (k *keeper) hasOutgrown() bool {
	c := k.cache
	if !k.sized || c.opts.Sizer == nil {
		return false
	}
	for i, d := range k.spaces {
		s := d.stats(c.epochNow())
		if s.Pages == 0 {
			continue
		}
		known := k.known[i]
		if s.Lists*s.Slots/s.Pages > outgrown*max(known.lists, pageLists<<shardBits) ||
			s.Entries*s.Slots/s.Pages > outgrown*max(known.entries, copyGoal/8<<shardBits) {
			return true
		}
	}
	return k.isCrowded()
}

// isCrowded reports whether what was planned to fit is about not to.
func (k *keeper) isCrowded() bool {
	c := k.cache
	return k.fits && c.Stats().Bytes > c.opts.MaxBytes/100*fullShare
}
