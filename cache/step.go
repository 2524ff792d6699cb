package cache

import "slices"

// verdict says what a change did to a page.
type verdict uint8

const (
	stepped  verdict = iota // there is a new page
	known                   // the page holds the change, or a newer one, already
	gap                     // the page does not hold the version before it
	reload                  // the change does not say what changed
	mismatch                // same version or same step, other content
)

// step applies one change to a page. It returns the page to go on with, which
// is p itself unless the verdict is stepped. After gap, reload and mismatch the
// page must not be answered from any more.
//
// The epoch of the page stays: one owner's change proves nothing about the
// others (sync: "a delta lifts the page's suspicion" is a hole).
func (p *page) step(c *Change, off guards) (*page, verdict) {
	hash, check := HashOwner(c.Owner, p.salt), checkOf(c.Owner)
	var have record
	r := p.find(hash, check)
	if r != nil {
		have = *r
	}
	switch {
	case c.Version < have.version:
		return p, known
	case c.Version == have.version:
		if c.Digest != have.digest && !off.has(guardEqualDigest|guardDigest) {
			return p, mismatch
		}
		return p, known
	case c.Op == OpReload:
		return p, reload
	case c.Prev != have.version && !off.has(guardGap):
		return p, gap
	}
	next := lines{
		hash: hash, check: check, version: c.Version, allowlist: c.Allowlist,
		digest: have.digest,
	}
	if r != nil {
		prints, expiries := p.list(r)
		next.prints = append(make([]uint64, 0, len(prints)+len(c.Entries)), prints...)
		if expiries != nil {
			next.expiries = append(make([]uint64, 0, len(prints)+len(c.Entries)), expiries...)
		}
	}
	if have.has(flagAllowlist) != c.Allowlist {
		next.digest ^= allowlistDigest
	}
	for i := range c.Entries {
		if !next.edit(c.Op, c.Entries[i]) {
			return p, mismatch
		}
	}
	if !off.has(guardDigest) && (next.digest != c.Digest || len(next.prints) != c.Size) {
		return p, mismatch
	}
	next.digest = c.Digest
	return p.with(&next), stepped
}

// edit does to one list what op does with one entry and keeps the digest in
// step; false means that the list cannot have been what the change started
// from. The digest of what goes away is taken with the expiry that we hold, so
// that an expiry missed earlier is found here.
func (l *lines) edit(op Op, e Entry) bool {
	print := printOf(e.Target)
	i, found := slices.BinarySearch(l.prints, print)
	if found != (op != OpAdd) || op == OpMode {
		return false
	}
	if found {
		was := e
		was.Expires = 0
		if l.expiries != nil {
			was.Expires = int64(l.expiries[i])
		}
		l.digest ^= EntryDigest(was)
	}
	switch op {
	case OpRemove:
		l.prints = slices.Delete(l.prints, i, i+1)
		if l.expiries != nil {
			l.expiries = slices.Delete(l.expiries, i, i+1)
		}
		return true
	case OpAdd:
		l.prints = slices.Insert(l.prints, i, print)
		if l.expiries != nil {
			l.expiries = slices.Insert(l.expiries, i, uint64(0))
		}
	}
	if e.Expires != 0 && l.expiries == nil {
		l.expiries = make([]uint64, len(l.prints))
	}
	if l.expiries != nil {
		l.expiries[i] = uint64(e.Expires)
	}
	l.digest ^= EntryDigest(e)
	return true
}

// with returns a copy of the page in which l is the list of its owner.
func (p *page) with(l *lines) *page {
	// An owner none of whose entries expires any more pays for none.
	if l.expiries != nil && !slices.ContainsFunc(l.expiries, func(e uint64) bool { return e != 0 }) {
		l.expiries = nil
	}
	n := *p
	n.records = make([]record, 0, len(p.records)+1)
	i := p.place(l)
	var old record
	rest := p.records[i:]
	if len(rest) > 0 && rest[0].hash == l.hash && rest[0].check == l.check {
		old, rest = rest[0], rest[1:]
	}
	n.records = append(n.records, p.records[:i]...)
	n.records = append(n.records, record{})
	n.records = append(n.records, rest...)
	n.takeOut(p, &old, len(l.prints)+len(l.expiries))
	n.entries -= old.size()

	// add appends the record; move it to the place that was kept for it.
	n.add(l)
	last := len(n.records) - 1
	n.records[i] = n.records[last]
	n.records = n.records[:last]

	n.bytes = pageBytes + int64(len(n.records))*recordBytes + int64(len(n.words))*8
	for _, long := range n.long {
		n.bytes += sliceBytes + int64(len(long))*8
	}
	return &n
}

// place returns the index at which the record of l stands or would stand.
func (p *page) place(l *lines) int {
	i := p.search(0, len(p.records), l.hash)
	for i < len(p.records) && p.records[i].hash == l.hash && p.records[i].check < l.check {
		i++
	}
	return i
}

// takeOut gives n its own words and long lists, those of p without the list of
// old, and room for grow words more.
func (n *page) takeOut(p *page, old *record, grow int) {
	prints, expiries := []uint64(nil), []uint64(nil)
	if old.version != 0 {
		prints, expiries = p.list(old)
	}
	width := len(prints) + len(expiries)
	if width > 0 && old.has(flagLong) {
		n.long = slices.Delete(slices.Clone(p.long), int(old.offset), int(old.offset)+1)
		n.shift(flagLong, old.offset, 1)
		width = 0
	} else {
		n.long = slices.Clone(p.long)
	}
	n.words = make([]uint64, 0, len(p.words)-width+grow)
	if width == 0 {
		n.words = append(n.words, p.words...)
		return
	}
	n.words = append(n.words, p.words[:old.offset]...)
	n.words = append(n.words, p.words[int(old.offset)+width:]...)
	n.shift(0, old.offset, uint32(width))
}

// shift moves the offsets behind the one given back by width, for the long or
// the short lists.
func (n *page) shift(long uint16, behind, width uint32) {
	for i := range n.records {
		r := &n.records[i]
		if r.sizeAnd&flagLong == long && r.offset > behind {
			r.offset -= width
		}
	}
}

// split returns the page as the pages of a directory of 1<<to pages, which is
// more than the page was made for.
func (p *page) split(to uint8) []*page {
	children := make([]*page, 0, 1<<(to-p.bits))
	from := 0
	for i := range 1 << (to - p.bits) {
		no := p.key.number()<<(to-p.bits) | uint64(i)
		end := from
		var lists []lines
		for ; end < len(p.records) && p.records[end].hash>>(64-to) == no; end++ {
			lists = append(lists, p.lines(&p.records[end]))
		}
		from = end
		like := *p
		like.key, like.bits = makeKey(p.key.space(), to, no), to
		child, err := newPage(&like, lists)
		if err != nil {
			panic("cache: split of a valid page: " + err.Error()) // newPage accepted the same lists before
		}
		children = append(children, child)
	}
	return children
}

// lines is the inverse of add.
func (p *page) lines(r *record) lines {
	prints, expiries := p.list(r)
	return lines{
		hash: r.hash, check: r.check, version: r.version, digest: r.digest,
		allowlist: r.has(flagAllowlist), prints: prints, expiries: expiries,
	}
}
