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
	at := p.find(hash, check)
	var have lines
	if at >= 0 {
		have = p.lines(at)
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
	next.prints = append(make([]uint64, 0, len(have.prints)+len(c.Entries)), have.prints...)
	if have.expiries != nil {
		next.expiries = append(make([]uint64, 0, len(have.prints)+len(c.Entries)), have.expiries...)
	}
	if have.allowlist != c.Allowlist {
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
	mark := markOf(l.hash, l.check)
	i := p.locate(mark)
	behind := i // the first list of p that stays behind l
	if i < int(p.lists) && p.data[i] == mark {
		behind++
	}
	n := *p
	n.lists += uint32(1 + i - behind)
	at, end := p.edge(i), p.edge(behind)
	n.data = allocate(n.base() + p.edge(int(p.lists)) - (end - at) + l.words() + 2*int(n.lists))
	n.long = slices.Clone(p.long)
	if behind > i {
		n.forget(p, i)
	}
	n.put(i, uint32(at), l)
	n.copyAround(p, i, behind)
	n.weigh()
	return &n
}

// edge is where the room of list i begins, or that of the last one ends.
func (p *page) edge(i int) int {
	if p.lists == 0 {
		return 0
	}
	return int(p.place(i) & placeMask)
}

// forget takes list i of p out of what a page that is made from p counts. The
// place of a long list stays empty until another one takes it.
func (n *page) forget(p *page, i int) {
	prints, _ := p.list(i)
	n.entries -= uint32(len(prints))
	if p.flagged(i, flagLong) {
		n.long[p.data[p.base()+p.edge(i)]] = nil
	}
}

// copyAround copies the lists of p before i and from behind on to a page that
// holds one new list, i, between them.
func (n *page) copyAround(p *page, i, behind int) {
	if p.lists > 0 {
		copy(n.data[:i], p.data)
		copy(n.data[i+1:n.lists], p.data[behind:p.lists])
		copy(n.data[n.history(0):n.history(i)], p.data[p.history(0):])
		copy(n.data[n.history(i+1):], p.data[p.history(behind):])
		at, end, all := p.edge(i), p.edge(behind), p.edge(int(p.lists))
		copy(n.data[n.base():], p.data[p.base():p.base()+at])
		copy(n.data[n.history(0)-(all-end):n.history(0)], p.data[p.base()+end:])
	}
	for j := range i {
		n.setPlace(j, p.place(j))
	}
	// What lies behind moves by what the new list is wider; the flags stay.
	end := uint32(n.history(0) - n.base())
	if p.lists == 0 {
		n.setPlace(1, end)
		return
	}
	moved := end - uint32(p.edge(int(p.lists)))
	for j := behind; j <= int(p.lists); j++ {
		n.setPlace(j+i+1-behind, p.place(j)+moved)
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
		for ; end < int(p.lists) && p.data[end]>>(64-to) == no; end++ {
			lists = append(lists, p.lines(end))
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

// lines is the inverse of put, but for the bits of the hash that a mark does not
// hold.
func (p *page) lines(i int) lines {
	prints, expiries := p.list(i)
	return lines{
		hash: p.data[i] &^ checkMask, check: uint16(p.data[i] & checkMask), version: p.version(i), digest: p.digest(i),
		allowlist: p.flagged(i, flagAllowlist), prints: prints, expiries: expiries,
	}
}
