package decisionlog

import (
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// ID names the answer to one request, as a UUID of version 7: ids sort by time, and
// two processes never make the same one. The zero ID is none.
type ID [16]byte

// NewID makes an id for an answer of this moment. It allocates nothing.
func NewID(now time.Time) (id ID) {
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		id[8+i] = byte(b >> (8 * i))
	}
	id[6], id[7] = 0x70|byte(a)&0x0f, byte(a>>8) // version 7
	id[8] = 0x80 | id[8]&0x3f                    // the variant of RFC 9562
	return id
}

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the id in the form 8-4-4-4-12.
func (id ID) String() string { return string(id.Append(nil)) }

// Append appends the text of the id.
func (id ID) Append(b []byte) []byte {
	from := 0
	for i, to := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, id[from:to])
		from = to
	}
	return b
}
