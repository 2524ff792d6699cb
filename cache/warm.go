package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// A warm file is the memory of an earlier process: its pages, and the position in
// the change feed up to which everything is in them. A process that starts with it
// reads from the database what has changed since, and nothing else. DESIGN.md, "A
// start with the memory of another process", has the argument.
//
// It is a line of magic, the format, a mark of the byte order, and blocks: the head,
// pages as they lie in memory, the end. The checksum of a block goes on from that of
// the block before it, so that blocks of two files do not make one.
//
// The file holds the secret that ids were hashed with, and so tells whoever tries
// ids who has blocked whom: it is as confidential as the lists.

// WarmFormat is the version of the format. It changes with whatever a page looks
// like in memory, fingerprints included; a file of another one is refused.
const WarmFormat = 1

const (
	warmMagic = "sidegate warm\r\n\x1a" // 16 bytes; a transfer as text breaks it
	warmOrder = 0x0102030405060708

	// warmBlock is how many bytes of pages stand in one block, if no page is larger.
	warmBlock = 256 << 10
	// warmHeadMax bounds the head, which grows with the number of apps.
	warmHeadMax = 16 << 20
	// warmListsMax is far more than there can be, and little enough to reckon with.
	warmListsMax = 1 << 40
)

// The kinds of block, in the order in which they come.
const (
	blockHead  = 1
	blockPages = 2
	blockEnd   = 3
)

// Reasons for which a warm file is refused. Each is wrapped by what says more.
var (
	// ErrWarmDamaged: the file is not as it was written, or not whole.
	ErrWarmDamaged = errors.New("the warm file is damaged")
	// ErrWarmFormat: another version of the program, or another kind of machine,
	// wrote it.
	ErrWarmFormat = errors.New("the warm file has another format")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Place says what a warm file is up to: on which server, and how far in its feed.
// The positions are the follower's text; the cache does not read them.
type Place struct {
	Identity Identity `json:"identity"`
	// Position is what everything in the file has been applied up to.
	Position string `json:"position"`
	// Through is how far changes had come when the last page was written: pages
	// hold some of those between Position and Through, and none behind it that the
	// feed delivered. A server that has not come that far has lost something.
	Through string `json:"-"`
}

// warmHead is the first block.
type warmHead struct {
	Place
	Seed        [SeedBytes]byte `json:"seed"`
	Saved       time.Time       `json:"saved"`
	Directories []warmDirectory `json:"directories"`
}

// warmDirectory describes a directory; its number in the head is how pages name it.
type warmDirectory struct {
	App  string `json:"app"`
	Kind string `json:"kind"`
	Bits uint8  `json:"bits"`
	// What there is to hold, as it was counted last; the sizes of all directories
	// are known, or none.
	Sized   bool  `json:"sized"`
	Lists   int64 `json:"lists"`
	Entries int64 `json:"entries"`
}

// warmEnd is the last block.
type warmEnd struct {
	Through string `json:"through"`
	Pages   int64  `json:"pages"`
}

// Warmth says what a warm file held.
type Warmth struct{ Pages, Lists, Entries, Bytes int64 }

// WarmFile is a warm file that has been opened. It is for one goroutine.
type WarmFile struct {
	head  warmHead
	from  io.Reader
	left  int64 // bytes that have not been read
	sum   uint32
	words []uint64 // the block under way
	off   bool     // checksums are not looked at; only a test does that
}

// Saved is when the file was written, by the clock of whoever did.
func (w *WarmFile) Saved() time.Time { return w.head.Saved }

// OpenWarm reads the beginning of a warm file of size bytes. What it allocates is
// bounded by that size. An error wraps [ErrWarmDamaged] or [ErrWarmFormat], unless
// it is the reader's.
func OpenWarm(from io.Reader, size int64) (*WarmFile, error) {
	w := &WarmFile{from: from, left: size}
	return w, w.open()
}

func (w *WarmFile) open() error {
	start := make([]byte, len(warmMagic)+16)
	if err := w.read(start); err != nil {
		return err
	}
	if string(start[:len(warmMagic)]) != warmMagic {
		return fmt.Errorf("%w: it does not begin as one", ErrWarmDamaged)
	}
	rest := start[len(warmMagic):]
	if format := littleEndian.Uint64(rest); format != WarmFormat {
		return fmt.Errorf("%w: %d, this program writes %d", ErrWarmFormat, format, WarmFormat)
	}
	if nativeEndian.Uint64(rest[8:]) != warmOrder {
		return fmt.Errorf("%w: a machine of another byte order wrote it", ErrWarmFormat)
	}
	kind, err := w.block(warmHeadMax)
	if err != nil {
		return err
	}
	if kind != blockHead {
		return fmt.Errorf("%w: it has no head", ErrWarmDamaged)
	}
	if err := w.decode(&w.head); err != nil {
		return err
	}
	for i := range w.head.Directories {
		d := &w.head.Directories[i]
		_, ok := ParseKind(d.Kind)
		if !ok || d.Bits < shardBits || d.Bits > maxBits || min(d.Lists, d.Entries) < 0 || max(d.Lists, d.Entries) > warmListsMax {
			return fmt.Errorf("%w: directory %d makes no sense", ErrWarmDamaged, i)
		}
	}
	return nil
}

// read fills b; an early end is damage.
func (w *WarmFile) read(b []byte) error {
	if int64(len(b)) > w.left {
		return fmt.Errorf("%w: it is cut off", ErrWarmDamaged)
	}
	n, err := io.ReadFull(w.from, b)
	w.left -= int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", ErrWarmDamaged)
	}
	return err
}

// blockHeader is kind, length in words, checksum, nothing: four times four bytes.
const blockHeader = 16

// block reads the next block, of at most that many bytes, and returns its kind.
func (w *WarmFile) block(most int64) (kind uint32, err error) {
	var header [blockHeader]byte
	if err := w.read(header[:]); err != nil {
		return 0, err
	}
	kind = littleEndian.Uint32(header[:])
	size := int64(littleEndian.Uint32(header[4:])) * 8
	if size > most || size > w.left {
		return 0, fmt.Errorf("%w: a block of %d bytes where %d are left and %d allowed", ErrWarmDamaged, size, w.left, most)
	}
	if n := int(size / 8); n <= cap(w.words) {
		w.words = w.words[:n]
	} else {
		w.words = make([]uint64, n)
	}
	body := bytesOf(w.words)
	if err := w.read(body); err != nil {
		return 0, err
	}
	w.sum = crc32.Update(crc32.Update(w.sum, castagnoli, header[:8]), castagnoli, body)
	if w.sum != littleEndian.Uint32(header[8:]) && !w.off {
		return 0, fmt.Errorf("%w: a block of it has another checksum", ErrWarmDamaged)
	}
	return kind, nil
}

// decode reads the block under way as JSON, which spaces fill up to whole words.
func (w *WarmFile) decode(into any) error {
	if err := json.Unmarshal(bytesOf(w.words), into); err != nil {
		return fmt.Errorf("%w: %w", ErrWarmDamaged, err)
	}
	return nil
}

// warmWriter writes blocks.
type warmWriter struct {
	to      io.Writer
	sum     uint32
	written int64
	words   []uint64 // pages that are not written yet

	now   *feed // whose pages are written
	pause func(context.Context) error
	held  Warmth // by the pages so far
}

func (w *warmWriter) start() error {
	b := []byte(warmMagic)
	b = littleEndian.AppendUint64(b, WarmFormat)
	return w.write(nativeEndian.AppendUint64(b, warmOrder))
}

func (w *warmWriter) write(b []byte) error {
	n, err := w.to.Write(b)
	w.written += int64(n)
	return err
}

// block writes a block, whose length is a multiple of a word's.
func (w *warmWriter) block(kind uint32, body []byte) error {
	header := make([]byte, 0, blockHeader)
	header = littleEndian.AppendUint32(header, kind)
	header = littleEndian.AppendUint32(header, uint32(len(body)/8))
	w.sum = crc32.Update(crc32.Update(w.sum, castagnoli, header), castagnoli, body)
	header = littleEndian.AppendUint32(header, w.sum)
	header = littleEndian.AppendUint32(header, 0)
	if err := w.write(header); err != nil {
		return err
	}
	return w.write(body)
}

func (w *warmWriter) encode(kind uint32, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	for len(b)%8 > 0 {
		b = append(b, ' ')
	}
	return w.block(kind, b)
}

// flush writes the pages that have been collected.
func (w *warmWriter) flush() error {
	if len(w.words) == 0 {
		return nil
	}
	err := w.block(blockPages, bytesOf(w.words))
	w.words = w.words[:0]
	return err
}

// ErrMoved is returned by [Cache.Save] when what it was to save is not what is
// followed any more.
var ErrMoved = errors.New("cache: following has started over")

// SaveOptions say what [Cache.Save] writes beside the pages.
type SaveOptions struct {
	// Place is where the follower has come to: everything up to it was applied
	// before Save was called.
	Place Place
	// Through returns how far it has come when the last page is written; false
	// means that another server is followed by then.
	Through func() (position string, ok bool)
	// Pause is called between blocks and returns when the next may be written.
	Pause func(ctx context.Context) error
}

// Save writes every page of the present epoch, and what it takes to go on from
// there. It takes no lock, and holds one block at a time in memory beside what is
// there. An error means that what was written is no warm file. It is safe for
// concurrent use.
func (c *Cache) Save(ctx context.Context, to io.Writer, opts SaveOptions) (out Warmth, err error) {
	now := c.feed.Load()
	if now == nil || now.identity != opts.Place.Identity {
		return out, ErrMoved
	}
	spaces := c.spaces()
	w := &warmWriter{to: to, now: now, pause: opts.Pause}
	if err := w.start(); err != nil {
		return out, err
	}
	if err := w.encode(blockHead, c.warmHead(opts.Place, spaces)); err != nil {
		return out, err
	}
	for i, d := range spaces {
		if err := d.save(ctx, w, uint32(i)); err != nil {
			return out, err
		}
	}
	if err := w.flush(); err != nil {
		return out, err
	}
	through, ok := opts.Through()
	if !ok {
		return out, ErrMoved
	}
	err = w.encode(blockEnd, warmEnd{Through: through, Pages: w.held.Pages})
	w.held.Bytes = w.written
	return w.held, err
}

// warmHead describes what is there. Directories that grow meanwhile have pages of
// more bits than the head says: those are left out.
func (c *Cache) warmHead(at Place, spaces []*Directory) *warmHead {
	head := &warmHead{Place: at, Seed: process.seed, Saved: time.Now().UTC()}
	sizes := c.keeper.sizes.Load()
	for i, d := range spaces {
		one := warmDirectory{App: d.app, Kind: d.kind.String()}
		for j := range d.shards {
			one.Bits = max(one.Bits, d.shards[j].table.Load().bits)
		}
		if sizes != nil && i < len(*sizes) {
			one.Sized, one.Lists, one.Entries = true, (*sizes)[i].lists, (*sizes)[i].entries
		}
		head.Directories = append(head.Directories, one)
	}
	return head
}

// save writes the pages of a directory.
func (d *Directory) save(ctx context.Context, w *warmWriter, no uint32) error {
	for i := range d.shards {
		t := d.shards[i].table.Load()
		for j := range t.slots {
			p := t.slots[j].Load()
			// A page of an older epoch is not known to hold what was applied.
			if p == nil || p.epoch != w.now.epoch || p.salt != w.now.identity.Salt {
				continue
			}
			w.words = p.appendTo(w.words, no)
			w.held.Pages++
			w.held.Lists += int64(p.lists)
			w.held.Entries += int64(p.entries)
			if len(w.words)*8 < warmBlock {
				continue
			}
			if err := w.flush(); err != nil {
				return err
			}
			if d.cache.feed.Load() != w.now {
				return ErrMoved
			}
			if err := w.pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
