package filter

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/zeebo/xxh3"

	"github.com/sidegate/sidegate/cache"
)

// Revision is a token for "as fresh as my write": a write returns it, a check
// that carries it is answered from a list that contains the write. It names the
// server that took the write, the app, the list and its version, all as
// hashes: no user id can be read from it. The zero Revision asks nothing.
type Revision struct {
	Server  uint64 // hash of the server's identity
	App     uint64 // hash of the app's name
	Kind    cache.Kind
	Owner   uint64 // cache.HashOwner of the list's owner
	Version int64
	// Mark is not 0 in the revision of an import, which names no single list: a
	// transaction of the server's that began when the import had ended. Kind,
	// Owner and Version are 0 then.
	Mark uint64
}

// The first byte of every token tells what it names, a list or a mark; the length
// is fixed. A token with a mark has it where others have the version.
const (
	revisionOfList = 1
	revisionOfMark = 2
	revisionLen    = 1 + 1 + 4*8 + 4
)

// NewRevision returns the revision of a list at a version.
func NewRevision(server cache.Identity, list ListID, version int64) Revision {
	return Revision{
		Server: hashIdentity(server), App: hashApp(list.App), Kind: list.Kind,
		Owner: cache.HashOwner(list.Owner, server.Salt), Version: version,
	}
}

// NewMark returns the revision of all lists of an app at a transaction of the
// server's.
func NewMark(server cache.Identity, app string, mark uint64) Revision {
	return Revision{Server: hashIdentity(server), App: hashApp(app), Mark: mark}
}

// IsZero reports whether r asks nothing.
func (r Revision) IsZero() bool { return r == Revision{} }

// String returns the token: 51 characters that are safe in URLs and headers.
func (r Revision) String() string {
	b := make([]byte, 0, revisionLen)
	format, last := byte(revisionOfList), uint64(r.Version)
	if r.Mark != 0 {
		format, last = revisionOfMark, r.Mark
	}
	b = append(b, format, byte(r.Kind))
	b = binary.BigEndian.AppendUint64(b, r.Server)
	b = binary.BigEndian.AppendUint64(b, r.App)
	b = binary.BigEndian.AppendUint64(b, r.Owner)
	b = binary.BigEndian.AppendUint64(b, last)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseRevision reads a token. It returns an *[Error] with
// [CodeInvalidRevision] if the text is not a token that [Revision.String] made;
// whether it belongs to the app of the request is checked by the caller with
// [Revision.Of].
func ParseRevision(token string) (Revision, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != revisionLen || b[0] < revisionOfList || b[0] > revisionOfMark || b[1] >= cache.Kinds ||
		binary.BigEndian.Uint32(b[revisionLen-4:]) != crc32.ChecksumIEEE(b[:revisionLen-4]) {
		return Revision{}, Errorf(CodeInvalidRevision,
			"this is not a revision of ours; pass the value of \"revision\" or Sidegate-Revision of a write unchanged")
	}
	r := Revision{
		Kind:   cache.Kind(b[1]),
		Server: binary.BigEndian.Uint64(b[2:]),
		App:    binary.BigEndian.Uint64(b[10:]),
		Owner:  binary.BigEndian.Uint64(b[18:]),
	}
	if last := binary.BigEndian.Uint64(b[26:]); b[0] == revisionOfMark {
		r.Mark = last
	} else {
		r.Version = int64(last)
	}
	return r, nil
}

// Of reports whether the revision belongs to a list of the app.
func (r Revision) Of(app string) bool { return r.App == hashApp(app) }

func hashApp(app string) uint64 { return xxh3.HashString(app) }

// hashIdentity folds an identity into 64 bits, the same in every process.
func hashIdentity(id cache.Identity) uint64 {
	b := make([]byte, 0, 64)
	b = binary.BigEndian.AppendUint64(b, id.System)
	b = binary.BigEndian.AppendUint32(b, id.Timeline)
	b = binary.BigEndian.AppendUint64(b, uint64(id.Started))
	b = append(b, id.Incarnation[:]...)
	b = binary.BigEndian.AppendUint32(b, id.Relation)
	b = binary.BigEndian.AppendUint64(b, uint64(id.Salt))
	return xxh3.Hash(b)
}
