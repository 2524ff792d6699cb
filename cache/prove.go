package cache

import (
	"context"
	"errors"
	"time"
)

// proof is the comparison of what a warm start has brought with the headers in the
// database. Nothing hangs on it: what is in memory follows from the file and from the
// log of changes. It finds what neither can know of, such as a table that was filled
// behind its triggers while no process ran, or a file that was spoilt in a way that
// its checksums do not show. Where it stands is kept between walks.
type proof struct {
	space  int    // the directory under way
	next   uint64 // the hash from which on it has yet to be compared
	pages  int64
	reread int64
}

const (
	// proofRest is how much longer than comparing it rests: one connection is busy for
	// a twentieth of the time.
	proofRest = 20
	// proofTimeout is how long one read of headers may take.
	proofTimeout = 2 * time.Second
)

// prove compares until everything is, or something else is to be done.
func (k *keeper) prove(ctx context.Context) {
	c := k.cache
	now := c.feed.Load()
	if k.proof == nil || now == nil || !c.Preloaded() {
		return
	}
	if c.opts.Headers == nil || now.epoch != stagedEpoch { // else all is read again anyway
		k.proof = nil
		return
	}
	for k.proof.space < len(k.spaces) {
		begun := time.Now()
		if !k.proveSome(ctx, k.spaces[k.proof.space]) && !k.pause(ctx) {
			return
		}
		timer := time.NewTimer(proofRest * time.Since(begun))
		select {
		case <-timer.C:
		case <-k.wake:
			timer.Stop()
			k.poke()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
	c.opts.Logger.Info("what the warm file held has been compared with the database",
		"pages", k.proof.pages, "read_again", k.proof.reread)
	k.proof = nil
}

// proveSome compares one range of a directory and moves on behind it; false means
// that the database did not answer or is busy, and that it is to be tried again.
func (k *keeper) proveSome(ctx context.Context, d *Directory) bool {
	s := d.shardOf(k.proof.next)
	t := s.table.Load()
	from := int(k.proof.next >> (64 - t.bits) & uint64(len(t.slots)-1))
	run := span{d, s, t, from, 1}
	if k.fits {
		run.pages = k.chunk(t, from, k.weight[d.space])
	}
	reach := run.reach()
	if run.isStaged() {
		found, err := k.headers(ctx, run)
		if err != nil {
			return false
		}
		for i := range run.pages {
			p := t.slots[from+i].Load()
			if p == nil || p.readAt != 0 {
				continue
			}
			k.proof.pages++
			if p.agrees(found[p.key.number()]) {
				continue
			}
			failed := k.failed
			if k.reread(ctx, span{d, s, t, from + i, 1}); k.failed > failed {
				return false
			}
			k.proof.reread++
			k.cache.metrics.warmReread.Inc()
		}
	}
	if k.proof.next = reach.Hi + 1; k.proof.next == 0 {
		k.proof.space++
	}
	return true
}

// reach is the range of hashes of a span.
func (r span) reach() Range {
	lo := r.dir.firstHash(r.shard, r.table, r.from)
	return Range{Lo: lo, Hi: lo + uint64(r.pages)<<(64-r.table.bits) - 1}
}

// isStaged reports whether a span has a page that a warm file brought.
func (r span) isStaged() bool {
	for i := range r.pages {
		if p := r.table.slots[r.from+i].Load(); p != nil && p.readAt == 0 {
			return true
		}
	}
	return false
}

// header is what the database says of a list.
type header struct {
	version int64
	digest  uint64
}

// errBehindOthers: who waits for a page goes first.
var errBehindOthers = errors.New("others wait for the database")

// headers reads those of a span, by page and by mark.
func (k *keeper) headers(ctx context.Context, run span) (map[uint64]map[uint64]header, error) {
	if !k.cache.gate.tryAhead() {
		return nil, errBehindOthers
	}
	defer k.cache.gate.leaveAhead()
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	salt, bits := k.cache.salt(), run.table.bits
	found := map[uint64]map[uint64]header{}
	err := k.cache.opts.Headers.Headers(ctx, run.dir.app, run.dir.kind, run.reach(), func(h Header) {
		owner := text(h.Owner)
		hash := HashOwner(owner, salt)
		no := hash >> (64 - bits)
		if found[no] == nil {
			found[no] = map[uint64]header{}
		}
		found[no][markOf(hash, checkOf(owner))] = header{h.Version, h.Digest}
	})
	return found, err
}

// agrees reports whether the page holds these lists, and no other. A change that was
// applied to it, or is about to be, since the headers were read makes it differ: then
// it is read again in vain.
func (p *page) agrees(want map[uint64]header) bool {
	if int(p.lists) != len(want) {
		return false
	}
	for i := range int(p.lists) {
		h, ok := want[p.data[i]]
		if !ok || h.version != p.version(i) || h.digest != p.digest(i) {
			return false
		}
	}
	return true
}
