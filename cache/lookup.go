package cache

import "math/bits"

// Lookup is one list asked for among others, see [Cache.FindAll].
type Lookup struct {
	Directory *Directory
	Owner     string
	// Target is whom the list will be asked about, 0 if that is not known yet.
	Target Print

	// View is the list if Found, which [Directory.Find] reports as its second
	// value. Both are set by FindAll.
	View  View
	Found bool

	touched uint64 // nothing that means something; it keeps the compiler from leaving loads out
}

// lookupBlock is how many lookups wait for memory together. It is above what a
// core can have under way, and what they bring fits into its first cache.
const lookupBlock = 32

// FindAll is [Directory.Find] for many lists, which may be of several
// directories of the cache. Lists lie anywhere in memory: a lookup alone waits for
// four lines, one after the other. Here a block of lookups takes each of these
// steps together, so that they wait together. It takes no lock, allocates nothing
// and never waits for anything else; it is safe for concurrent use with different
// lookups.
func (c *Cache) FindAll(lookups []Lookup) {
	now := c.feed.Load()
	if now == nil {
		for i := range lookups {
			lookups[i].View, lookups[i].Found = View{}, false
		}
		return
	}
	for len(lookups) > 0 {
		n := min(lookupBlock, len(lookups))
		c.findBlock(lookups[:n], now)
		lookups = lookups[n:]
	}
}

// findBlock takes each step of a lookup for all of a block before the next step.
func (c *Cache) findBlock(block []Lookup, now *feed) {
	asOf := now.asOf.Load() // before the pages: see View.asOf
	salt := now.identity.Salt
	var hashes [lookupBlock]uint64
	var slots [lookupBlock]*slot
	for i := range block {
		l := &block[i]
		hashes[i] = HashOwner(l.Owner, salt)
		slots[i] = l.Directory.shardOf(hashes[i]).table.Load().at(hashes[i])
	}
	misses := 0
	for i := range block {
		l := &block[i]
		p := slots[i].Load()
		l.Found = p != nil && p.salt == salt
		if !l.Found {
			l.View = View{}
			misses++
			c.acct.touch(l.Directory.keyOf(hashes[i]))
			continue
		}
		l.View = View{cache: c, pg: p}
		l.touched = p.ahead(hashes[i])
	}
	for i := range block {
		l := &block[i]
		if !l.Found {
			continue
		}
		p := l.View.pg
		l.View.nth, l.View.asOf = p.findOwner(hashes[i], l.Owner)+1, now.proved(p, asOf)
	}
	for i := range block {
		if v := block[i].View; v.nth > 0 {
			block[i].touched += v.pg.aheadOfList(v.nth-1, block[i].Target)
		}
	}
	last := c.reads.add(uint64(len(block)-misses), uint64(misses))
	if !c.acct.full.Load() {
		return
	}
	for i := range block {
		if block[i].Found && sampled(last-uint64(i)) {
			c.acct.touch(block[i].View.pg.key)
		}
	}
}

// ahead reads the words of a page that a search for a hash will probably come
// by, and returns something of them.
func (p *page) ahead(hash uint64) uint64 {
	if p.lists == 0 {
		return 0
	}
	const reach = 5 // half a line of marks, and a bit
	guess, _ := bits.Mul64(hash<<p.bits, uint64(p.lists))
	i, last := int(guess), int(p.lists)-1
	return p.data[max(0, i-reach)] + p.data[min(last, i+reach)] + p.data[last+1+i/2]
}

// aheadOfList is ahead for a fingerprint in list i.
func (p *page) aheadOfList(i int, target Print) uint64 {
	prints, _ := p.list(i)
	if len(prints) == 0 {
		return 0
	}
	const reach = 8 // a line of fingerprints
	guess, _ := bits.Mul64(uint64(target), uint64(len(prints)))
	at, last := int(guess), len(prints)-1
	return prints[max(0, at-reach)] + prints[min(last, at+reach)]
}
