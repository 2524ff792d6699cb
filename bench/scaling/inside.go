package scaling

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/filter"
)

// inner is what checks without a listener cost.
type inner struct {
	Checks  int
	CPU     time.Duration // of the checks alone
	Elapsed time.Duration
}

func (i inner) perCheck() float64 { return float64(i.CPU) / float64(i.Checks) }
func (i inner) rate() float64     { return float64(i.Checks) / i.Elapsed.Seconds() }

// errUnknown: a sidecar that does not know is quick.
var errUnknown = errors.New("a check was unknown")

// inside lets goroutines check random pairs, each another one, for a while. The
// pairs are made on the way, because as many as would be needed take more memory
// than the lists; what making them costs is measured and taken off.
func (c *child) inside(ctx context.Context, goroutines int, length time.Duration) (inner, error) {
	checks, with, elapsed, err := c.ask(ctx, goroutines, length, true)
	if err != nil {
		return inner{}, err
	}
	idle, without, _, err := c.ask(ctx, goroutines, length/4, false)
	if err != nil {
		return inner{}, err
	}
	cost := time.Duration(float64(without) * float64(checks) / float64(idle))
	return inner{checks, with - cost, elapsed}, nil
}

// askBatch is how many pairs are made between two looks at the clock.
const askBatch = 256

// ask makes pairs for a while and, if check says so, asks about them.
func (c *child) ask(ctx context.Context, goroutines int, length time.Duration, check bool) (int, time.Duration, time.Duration, error) {
	began, err := here()
	if err != nil {
		return 0, 0, 0, err
	}
	var made atomic.Int64
	var unknown atomic.Bool
	var wait sync.WaitGroup
	for g := range goroutines {
		wait.Go(func() {
			d := newDrawer(c.world.Shape(), uint64(g))
			for time.Since(began.at) < length && ctx.Err() == nil {
				for range askBatch {
					sender, recipient := d.pair()
					if !check {
						continue
					}
					got := c.filter.CanDeliver(filter.Check{
						App: seed.App, Sender: sender, Recipient: recipient, RoomType: filter.Direct,
					})
					if got.Unknown() {
						unknown.Store(true)
					}
				}
				made.Add(askBatch)
			}
		})
	}
	wait.Wait()
	ended, err := here()
	if unknown.Load() {
		err = errors.Join(err, errUnknown)
	}
	return int(made.Load()), ended.cpu - began.cpu, ended.at.Sub(began.at), errors.Join(err, ctx.Err())
}

// drawer draws pairs as [seed.Shape.Pairs] does: one in ten is about an entry.
type drawer struct {
	shape             seed.Shape
	rng               *rand.Rand
	sender, recipient []byte
}

func newDrawer(shape seed.Shape, stream uint64) *drawer {
	return &drawer{shape: shape, rng: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), stream))}
}

// pair returns a pair that is valid until the next.
func (d *drawer) pair() (sender, recipient string) {
	from, to := d.rng.IntN(d.shape.Users()), d.rng.IntN(d.shape.Users())
	if d.rng.IntN(10) == 0 {
		to = d.rng.IntN(d.shape.Lists)
		from = d.shape.Target(to, d.rng.IntN(d.shape.Entries))
	}
	d.sender = seed.AppendID(d.sender[:0], from)
	d.recipient = seed.AppendID(d.recipient[:0], to)
	return unsafe.String(&d.sender[0], len(d.sender)), unsafe.String(&d.recipient[0], len(d.recipient))
}
