package generator

import (
	"unsafe"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
)

// maker writes lists out. What it returns points into its two buffers, and is valid
// until the next reset.
type maker struct {
	shape   seed.Shape
	entries []cache.Entry
	ids     []byte
}

func (m *maker) reset() { m.entries, m.ids = m.entries[:0], m.ids[:0] }

// bytesOf returns the bytes of a text, which must not be written.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// id returns the id of a user without a string of its own.
func (m *maker) id(user int) string {
	from := len(m.ids)
	m.ids = seed.AppendID(m.ids, user)
	return unsafe.String(&m.ids[from], len(m.ids)-from)
}

// list returns list i as it is at a version.
func (m *maker) list(i int, owner string, version int64) cache.List {
	from := len(m.entries)
	for j := range m.shape.Entries {
		m.entries = append(m.entries, cache.Entry{Target: m.id(m.shape.Target(i, j))})
	}
	if hosts(version) {
		m.entries = append(m.entries, cache.Entry{Target: m.id(Guest(m.shape, i))})
	}
	l := cache.List{Owner: owner, Version: version, Entries: m.entries[from:len(m.entries):len(m.entries)]}
	l.Size, l.Digest = len(l.Entries), cache.ListDigest(false, l.Entries)
	return l
}
