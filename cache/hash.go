package cache

import "math/bits"

// The owner hash and the digest are computed on both sides, by the triggers in
// Postgres and here, so that a page is one index range scan there and one array
// index here. Both are hashtextextended, the 64-bit seeded hash that Postgres
// uses for hash partitioning: Bob Jenkins' lookup3 as PostgreSQL's
// src/common/hashfn.c defines it in hash_bytes_extended. Its value depends on
// the byte order and the encoding of the server; both are checked at start
// against [HashProbe].

// hashProbe is hashed by the server with each seed in use and compared with our
// own result before its rows are trusted.
const hashProbe = "sidegate: hash probe, läuft überall gleich \u2603"

// neverSeed seeds the digest hash of an entry that does not expire. An expiry
// is microseconds since 1970, never 1 in practice; a database that stores that
// instant would be hashed alike, and to the same effect: it expired long ago.
const neverSeed = 1

// allowlistDigest is folded into the digest of a list whose owner is in
// allowlist mode, so that the mode cannot differ unnoticed.
const allowlistDigest = 0x5ca1ab1e0ddba11

// HashProbe returns the text that a server hashes to prove that its
// hashtextextended is the one used here, and the values it must return for the
// seeds 0, 1 and -1.
func HashProbe() (text string, want [3]int64) {
	for i, seed := range [...]int64{0, 1, -1} {
		want[i] = int64(hashText(hashProbe, uint64(seed)))
	}
	return hashProbe, want
}

// HashOwner returns the hash that places an owner: its top bits are the number
// of the page. It equals the generated column owner_hash of the database whose
// salt is given. It spreads; it is not a MAC.
func HashOwner(owner string, salt int64) uint64 {
	return hashText(owner, uint64(salt))
}

// EntryDigest returns what one entry contributes to the digest of its list: a
// digest is the XOR over all entries, see [ListDigest]. The expiry is the seed,
// so that two entries cannot swap theirs unnoticed.
func EntryDigest(e Entry) uint64 {
	if e.Expires == 0 {
		return hashText(e.Target, neverSeed)
	}
	return hashText(e.Target, uint64(e.Expires))
}

// ListDigest returns the digest of a whole list.
func ListDigest(allowlist bool, entries []Entry) uint64 {
	var d uint64
	if allowlist {
		d = allowlistDigest
	}
	for _, e := range entries {
		d ^= EntryDigest(e)
	}
	return d
}

// hashText is hash_bytes_extended of src/common/hashfn.c.
func hashText(s string, seed uint64) uint64 {
	n := uint32(len(s))
	a := 0x9e3779b9 + n + 3923095
	b, c := a, a
	if seed != 0 {
		a += uint32(seed >> 32)
		b += uint32(seed)
		a, b, c = mixSecond(mixFirst(a, b, c))
	}
	for len(s) >= 12 {
		a += le32(s[0:4])
		b += le32(s[4:8])
		c += le32(s[8:12])
		a, b, c = mixSecond(mixFirst(a, b, c))
		s = s[12:]
	}
	// The tail, padded with zeros; the lowest byte of c is left to the length.
	switch {
	case len(s) >= 8:
		a += le32(s[0:4])
		b += le32(s[4:8])
		c += below32(s[8:]) << 8
	case len(s) >= 4:
		a += le32(s[0:4])
		b += below32(s[4:])
	default:
		a += below32(s)
	}

	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	c = (c ^ b) - bits.RotateLeft32(b, 24)
	return uint64(b)<<32 | uint64(c)
}

// mixFirst and mixSecond are the two halves of lookup3's mix. Together they would
// not be inlined, and the call costs as much as what it does.
func mixFirst(a, b, c uint32) (uint32, uint32, uint32) {
	a = (a - c) ^ bits.RotateLeft32(c, 4)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 6)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 8)
	b += a
	return a, b, c
}

func mixSecond(a, b, c uint32) (uint32, uint32, uint32) {
	a = (a - c) ^ bits.RotateLeft32(c, 16)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 19)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 4)
	b += a
	return a, b, c
}

// below32 is le32 of up to three bytes.
func below32(s string) uint32 {
	var v uint32
	if len(s) > 0 {
		v = uint32(s[0])
	}
	if len(s) > 1 {
		v |= uint32(s[1]) << 8
	}
	if len(s) > 2 {
		v |= uint32(s[2]) << 16
	}
	return v
}

func le32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
