package cache

import (
	crand "crypto/rand"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// Fingerprints stand for ids in memory. What collides must not be known to anybody
// who chooses ids, so they are keyed with a secret; and a process that takes over
// the memory of an earlier one (see warm.go) must be able to make the same ones, so
// the secret is 32 bytes that can be handed on, which that of hash/maphash cannot.
//
// The hash is multilinear: the words of the id, each times a key of 128 bits of its
// own, added up; the upper half of the sum counts. For keys drawn by lot it is
// strongly universal (Dietzfelbinger 1996; Thorup, "High speed hashing for integers
// and strings"): any two ids that were chosen without knowing the keys collide with
// 1 in 2⁶⁴. It is no MAC: whoever sees fingerprints can find the keys. Nobody does.

// SeedBytes is the length of the secret.
const SeedBytes = 32

const (
	// printWords is how many words of an id are hashed in one go: ids of up to 256
	// bytes, longer than any that is let in.
	printWords = 32

	// The keys of what is no word of the id.
	keyStart  = printWords
	keyLength = printWords + 1
	keyBefore = printWords + 2 // what the words before hash to
)

// printing is the secret and the keys that follow from it.
type printing struct {
	keys [printWords + 3][2]uint64 // high and low half
	seed [SeedBytes]byte
}

// process is the secret of all fingerprints of this process. It is never changed
// after the first cache was made.
var process = newPrinting(anySeed())

// inUse says that a cache has been made, and so perhaps a fingerprint.
var inUse atomic.Bool

func anySeed() (seed [SeedBytes]byte) {
	_, _ = crand.Read(seed[:]) // never fails: the program ends instead
	return seed
}

func newPrinting(seed [SeedBytes]byte) (p printing) {
	p.seed = seed
	random := rand.NewChaCha8(seed)
	for i := range p.keys {
		p.keys[i] = [2]uint64{random.Uint64(), random.Uint64()}
	}
	return p
}

// adoptSeed makes the fingerprints of this process those of an earlier one; false
// means that it is too late, because some of its own may have been made.
func adoptSeed(seed [SeedBytes]byte) bool {
	if seed == process.seed {
		return true
	}
	if inUse.Load() {
		return false
	}
	process = newPrinting(seed)
	return true
}

func printOf(id string) uint64    { return process.print(id) }
func checkOf(owner string) uint16 { return uint16(process.print(owner)) }

// print returns the fingerprint of an id.
func (p *printing) print(id string) uint64 {
	hi, lo := p.keys[keyStart][0], p.keys[keyStart][1]
	hi, lo = p.add(hi, lo, keyLength, uint64(len(id)))
	for len(id) > printWords*8 {
		for i := range printWords {
			hi, lo = p.add(hi, lo, i, le64(id[i*8:]))
		}
		id = id[printWords*8:]
		before := hi
		hi, lo = p.add(p.keys[keyStart][0], p.keys[keyStart][1], keyBefore, before)
	}
	// With the length beside it the last word may repeat bytes of the one before.
	n := len(id)
	switch {
	case n >= 8:
		i := 0
		for ; i < (n-1)/8; i++ {
			hi, lo = p.add(hi, lo, i, le64(id[i*8:]))
		}
		hi, _ = p.add(hi, lo, i, le64(id[n-8:]))
	case n >= 4:
		hi, _ = p.add(hi, lo, 0, uint64(le32(id))|uint64(le32(id[n-4:]))<<32)
	case n > 0:
		hi, _ = p.add(hi, lo, 0, uint64(id[0])|uint64(id[n/2])<<8|uint64(id[n-1])<<16)
	}
	// Ids that are counted up make equal steps, which would crowd some parts of a
	// sorted list. What follows takes no two values to one.
	hi = (hi ^ hi>>32) * golden
	return hi ^ hi>>29
}

// add adds a word times key i to a sum of 128 bits.
func (p *printing) add(hi, lo uint64, i int, word uint64) (uint64, uint64) {
	k := &p.keys[i]
	h, l := bits.Mul64(word, k[1])
	lo, carry := bits.Add64(lo, l, 0)
	return hi + h + word*k[0] + carry, lo
}

func le64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
