package filter

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// cursorFormat is the first byte of every cursor. A cursor outlives the process
// that made it, so a new layout gets a new number and the old one is refused.
const cursorFormat = 1

// cursorHead is the format and the checksum.
const cursorHead = 1 + 4

// walk is what is read piece by piece and what a cursor continues.
type walk struct {
	what walkKind
	// list is whose entries or intervals are read. Where it is asked who has a
	// user on their list, that user stands in the place of the owner.
	list   ListID
	target string // the one target whose intervals are read; "" = of all
}

// walkKind is a byte of the checksum: a cursor outlives the process, so the
// numbers stay.
type walkKind byte

const (
	walkList walkKind = iota
	walkBlockedBy
	walkHistory
)

// encodeCursor returns the token that continues a walk behind a place, "" for
// the zero Place: the end.
//
// It is opaque and safe in URLs, but not secret: the id of the last entry on
// the page can be read from it. Whoever gets it has just read that id in the
// page itself. The checksum covers the walk as well, so that a cursor of one
// list, or one cut short by a client, is refused instead of silently starting
// at some other place. It is no signature: a forged cursor only chooses a place
// in what its bearer may read anyway.
func encodeCursor(w walk, after Place) string {
	if after.IsZero() {
		return ""
	}
	b := make([]byte, cursorHead, cursorHead+2*binary.MaxVarintLen64+len(after.ID))
	b[0] = cursorFormat
	b = binary.AppendVarint(b, after.CreatedAt.UnixMicro())
	b = binary.AppendVarint(b, after.Order)
	b = append(b, after.ID...)
	binary.BigEndian.PutUint32(b[1:], cursorSum(w, b[cursorHead:]))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor is the inverse of encodeCursor. The empty cursor is the top.
func parseCursor(w walk, cursor string) (Place, error) {
	if cursor == "" {
		return Place{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < cursorHead || b[0] != cursorFormat ||
		binary.BigEndian.Uint32(b[1:]) != cursorSum(w, b[cursorHead:]) {
		return Place{}, errCursor()
	}
	micros, n := binary.Varint(b[cursorHead:])
	if n <= 0 {
		return Place{}, errCursor()
	}
	order, m := binary.Varint(b[cursorHead+n:])
	id := string(b[cursorHead+n+max(m, 0):])
	if m <= 0 || ValidateUserID(id) != nil {
		return Place{}, errCursor()
	}
	return Place{CreatedAt: time.UnixMicro(micros).UTC(), Order: order, ID: id}, nil
}

func errCursor() *Error {
	return Errorf(CodeInvalidCursor,
		"this is not a cursor of this list; pass \"next_cursor\" of the page before unchanged, or none for the first page")
}

// cursorSum is the checksum of the body of a cursor together with the walk that
// it belongs to.
func cursorSum(w walk, body []byte) uint32 {
	head := binary.BigEndian.AppendUint64([]byte{byte(w.what), byte(w.list.Kind)}, hashApp(w.list.App))
	// Ids are hashed with a fixed salt: a cursor goes on after a restore.
	head = binary.BigEndian.AppendUint64(head, cache.HashOwner(w.list.Owner, 0))
	head = binary.BigEndian.AppendUint64(head, cache.HashOwner(w.target, 0))
	return crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, body)
}
