package blocksync

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Position is a place in the change feed: the snapshot (pg_snapshot) of the last
// complete poll. A transaction is visible in it if its id is below Xmax and not
// in InProgress. The zero Position is "nowhere yet".
//
// A position is meaningful on the primary that issued it: on a standby
// pg_current_snapshot() reports an empty list of running transactions, so a
// position taken there would silently miss changes.
type Position struct {
	Xmin       uint64   // all transactions below are over
	Xmax       uint64   // no transaction at or above had begun
	InProgress []uint64 // running transactions in [Xmin, Xmax), ascending
}

// maxInProgress bounds the list in a position's text. Postgres allows as many
// running transactions as max_connections and prepared transactions together.
const maxInProgress = 1 << 20

// errPosition is wrapped by every error of ParsePosition.
var errPosition = errors.New("not a snapshot position")

// ParsePosition reads the text of a pg_snapshot, "xmin:xmax:xip,xip,…", as
// Postgres prints it. It accepts exactly the values that pg_snapshot_in
// accepts: xmin and xmax not zero, xmin ≤ xmax, the list ascending without
// repetition and within [xmin, xmax).
func ParsePosition(text string) (Position, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Position{}, fmt.Errorf("%w: %q has %d parts, want xmin:xmax:list", errPosition, clip(text), len(parts))
	}
	var p Position
	var err error
	if p.Xmin, err = parseXid(parts[0]); err != nil {
		return Position{}, fmt.Errorf("%w: xmin: %w", errPosition, err)
	}
	if p.Xmax, err = parseXid(parts[1]); err != nil {
		return Position{}, fmt.Errorf("%w: xmax: %w", errPosition, err)
	}
	if p.Xmin > p.Xmax {
		return Position{}, fmt.Errorf("%w: xmin %d above xmax %d", errPosition, p.Xmin, p.Xmax)
	}
	if parts[2] == "" {
		return p, nil
	}
	if strings.Count(parts[2], ",") >= maxInProgress {
		return Position{}, fmt.Errorf("%w: more than %d running transactions", errPosition, maxInProgress)
	}
	last := uint64(0)
	for item := range strings.SplitSeq(parts[2], ",") {
		x, err := parseXid(item)
		if err != nil {
			return Position{}, fmt.Errorf("%w: running transaction: %w", errPosition, err)
		}
		if x < p.Xmin || x >= p.Xmax || x <= last {
			return Position{}, fmt.Errorf("%w: running transaction %d out of order or range", errPosition, x)
		}
		p.InProgress = append(p.InProgress, x)
		last = x
	}
	return p, nil
}

func parseXid(s string) (uint64, error) {
	x, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a transaction id", clip(s))
	}
	if x == 0 {
		return 0, errors.New("0 is not a transaction id")
	}
	return x, nil
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// Sees reports whether the snapshot of p contains a transaction that was
// committed: whatever else was committed before that one began is in it too.
func (p Position) Sees(xid uint64) bool {
	if xid >= p.Xmax {
		return false
	}
	_, running := slices.BinarySearch(p.InProgress, xid)
	return !running
}

// IsZero reports whether p is the zero Position.
func (p Position) IsZero() bool { return p.Xmax == 0 }

// String returns the text that [ParsePosition] reads, and "" for the zero
// Position.
func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	b := make([]byte, 0, 64)
	b = strconv.AppendUint(b, p.Xmin, 10)
	b = append(b, ':')
	b = strconv.AppendUint(b, p.Xmax, 10)
	b = append(b, ':')
	for i, x := range p.InProgress {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, x, 10)
	}
	return string(b)
}
