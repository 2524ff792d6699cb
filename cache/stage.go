package cache

import (
	"context"
	"fmt"
	"io"
)

// staged is what a warm file has brought into memory and nobody is answered from
// yet. Until a server is followed there is no reader, no load and no change, so
// pages may be put into their slots one after the other: what is in them counts from
// [Cache.Resume] on, or never.
type staged struct {
	place Place
	// known is what there was to hold, by directory: with it the keeper plans
	// without counting. It is empty if the file did not know.
	known map[*Directory]demand
}

// stagedEpoch is the epoch of staged pages: the first, which Resume begins.
const stagedEpoch = 1

// Stage brings the pages of [Options.Warm] into memory, as many as there is room
// for, in the order of the file. Pages of apps that are not configured any more are
// left out, and so is what was crowded out by a smaller budget. It returns where the
// file is up to, for Resume. It needs [Cache.Run], which pays for the pages, and is
// called once, before the first [Cache.Reset].
//
// After an error, which wraps [ErrWarmDamaged] or is the reader's or that of ctx,
// nothing is staged: one block that is wrong says that any may be.
func (c *Cache) Stage(ctx context.Context) (at Place, got Warmth, err error) {
	w := c.opts.Warm
	if w == nil || c.feed.Load() != nil {
		return at, got, fmt.Errorf("cache: stage: no warm file, or too late for one")
	}
	c.staged = &staged{place: w.head.Place, known: map[*Directory]demand{}}
	got, err = c.stage(ctx, w)
	w.words = nil
	if err != nil {
		c.Discard()
		return at, Warmth{}, err
	}
	return c.staged.place, got, nil
}

func (c *Cache) stage(ctx context.Context, w *WarmFile) (got Warmth, err error) {
	dirs := c.settleIn(ctx, w.head.Directories)
	room := c.opts.MaxBytes / 100 * fitShare
	pages := int64(0)
	for {
		kind, err := w.block(max(c.opts.MaxBytes, warmHeadMax))
		if err != nil {
			return got, err
		}
		switch kind {
		case blockPages:
			n, err := c.stageBlock(ctx, w.words, dirs, room, &got)
			if err != nil {
				return got, err
			}
			pages += n
		case blockEnd:
			return got, c.stageEnd(w, pages)
		default:
			return got, fmt.Errorf("%w: a block of kind %d", ErrWarmDamaged, kind)
		}
	}
}

// settleIn gives the directories of the file as many pages as they had, or as many
// as the budget asks for now if these are more, and returns them by their number in
// the file; nil stands for one that there is no use for.
func (c *Cache) settleIn(ctx context.Context, file []warmDirectory) []*Directory {
	spaces := c.spaces()
	demands, bits := make([]demand, len(spaces)), make([]uint8, len(spaces))
	dirs := make([]*Directory, len(file))
	for i := range file {
		was := &file[i]
		kind, _ := ParseKind(was.Kind) // OpenWarm has looked
		d := c.Directory(was.App, kind)
		if d == nil {
			continue
		}
		dirs[i], bits[d.space] = d, max(bits[d.space], was.Bits)
		if was.Sized {
			demands[d.space] = demand{was.Lists, was.Entries}
			c.staged.known[d] = demands[d.space]
		}
	}
	for space, planned := range planFor(c.opts.MaxBytes, demands).bits {
		bits[space] = max(bits[space], planned)
	}
	slots := int64(0)
	for i, d := range dirs {
		if d == nil {
			continue
		}
		// A directory that would take the room of its pages stays as it is.
		if slots += 1 << bits[d.space]; slots*slotBytes > c.opts.MaxBytes/slotShare && bits[d.space] > shardBits {
			slots -= 1 << bits[d.space]
			dirs[i] = nil
			continue
		}
		d.grow(ctx, bits[d.space])
	}
	return dirs
}

// stageBlock stages the pages of a block and returns how many there were.
func (c *Cache) stageBlock(ctx context.Context, words []uint64, dirs []*Directory, room int64, got *Warmth) (pages int64, err error) {
	for len(words) > 0 {
		p, no, number, rest, err := readPage(words)
		if err != nil {
			return pages, err
		}
		words = rest
		pages++
		if no >= uint32(len(dirs)) {
			return pages, fmt.Errorf("%w: a page of no directory", ErrWarmDamaged)
		}
		d := dirs[no]
		if d == nil || got.Bytes+p.bytes+ristrettoBytes > room {
			continue
		}
		if !c.acct.drained(ctx) {
			return pages, ctx.Err()
		}
		d.put(p, number, c.staged.place.Identity.Salt)
		got.Pages++
		got.Lists += int64(p.lists)
		got.Entries += int64(p.entries)
		got.Bytes += p.bytes + ristrettoBytes
	}
	return pages, nil
}

// put stages one page.
func (d *Directory) put(p *page, number uint64, salt int64) {
	p.key, p.salt, p.epoch = makeKey(d.space, p.bits, number), salt, stagedEpoch
	// When it was read says nothing any more; that it holds everything from before
	// this process will be true once Resume has applied what it lacks.
	p.readAt = 0
	s := d.shardOf(p.key.firstHash())
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.bits <= s.table.Load().bits {
		s.publish(d.cache, p)
	}
}

// stageEnd reads the end of the file, behind which there is nothing.
func (c *Cache) stageEnd(w *WarmFile, pages int64) error {
	var end warmEnd
	if err := w.decode(&end); err != nil {
		return err
	}
	if n, _ := io.ReadFull(w.from, make([]byte, 1)); end.Pages != pages || n > 0 {
		return fmt.Errorf("%w: %d pages, and %d at its end", ErrWarmDamaged, pages, end.Pages)
	}
	c.staged.place.Through = end.Through
	return nil
}

// Discard drops what is staged; the start is then a cold one. It is called before
// the first Reset, by whoever would have called Resume.
func (c *Cache) Discard() {
	for _, d := range c.spaces() {
		for i := range d.shards {
			s := &d.shards[i]
			s.mu.Lock()
			c.clearShard(s)
			s.mu.Unlock()
		}
	}
	c.staged = nil
}

// Resume is the [Cache.Reset] of a warm start: what is staged counts from now on. The
// changes are all that were committed since the staged place on its server, and the
// poll that brought them began at asOf. They are applied before anybody can be
// answered: at the moment at which a server is followed, memory is equal to it.
func (c *Cache) Resume(asOf Instant, changes []Change) {
	c.bring(c.epochNow(), c.staged.place.Identity, changes)
	// The keeper is still: there is no server to ask.
	c.keeper.inherited, c.keeper.proof = c.staged.known, &proof{}
	c.beginEpoch(c.staged.place.Identity, asOf)
	c.keeper.poke()
}
