package border

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// Names is how logs name users and rooms: by the start of an HMAC-SHA-256 of the
// id, in 16 hexadecimal digits, or by the id itself where the deployer asks for
// that. A plain hash would not do: ids such as "alice" or 4711 are guessed, hashed
// and compared by whoever gets hold of a log. Without the key that is not possible;
// with it anybody who knows an id finds its lines. It is safe for concurrent use.
type Names struct {
	plain  bool
	hashes sync.Pool // of *keyed
}

// nameBytes is how much of the HMAC is shown: two of a billion ids share a name
// with a chance of three in a hundred, which a reader of logs can live with.
const nameBytes = 8

// PlainNames names everybody by their id.
func PlainNames() *Names { return &Names{plain: true} }

// processKey is random, and the same in all logs of this process.
var processKey = sync.OnceValue(rand.Text)

// HashedNames names everybody by a hash under a key. An empty key stands for one
// that this process has made: names can then be compared within its life only.
func HashedNames(key string) *Names {
	secret := []byte(key)
	if key == "" {
		secret = []byte(processKey())
	}
	n := &Names{}
	n.hashes.New = func() any { return &keyed{mac: hmac.New(sha256.New, secret)} }
	return n
}

// Hashed reports whether names are hashes, and not the ids themselves.
func (n *Names) Hashed() bool { return !n.plain }

// Of returns the name of an id.
func (n *Names) Of(id string) string {
	if n.plain {
		return id
	}
	return string(n.Append(nil, []byte(id)))
}

// Append appends the name of an id. An empty id has an empty name.
func (n *Names) Append(b, id []byte) []byte {
	if n.plain || len(id) == 0 {
		return append(b, id...)
	}
	k := n.hashes.Get().(*keyed)
	defer n.hashes.Put(k)
	k.mac.Reset()
	_, _ = k.mac.Write(id) // a hash takes everything
	return hex.AppendEncode(b, k.mac.Sum(k.sum[:0])[:nameBytes])
}

// keyed is a hash with the key in it, and room for what it makes.
type keyed struct {
	mac hash.Hash
	sum [sha256.Size]byte
}
