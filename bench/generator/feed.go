package generator

import (
	"context"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
	blocksync "github.com/sidegate/sidegate/sync"
)

// Schema is the version of the schema that polls report.
const Schema = 1

// firstXid is the transaction of the first change.
const firstXid = 1000

// committed is one change with its transaction.
type committed struct {
	xid    uint64
	change cache.Change
}

// Commit changes list i: its guest comes or goes. It returns the new version, and
// whether the guest is on the list now.
func (w *World) Commit(i int) (version int64, listed bool) {
	m := maker{shape: w.shape}
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.version(i)
	version, listed = was+1, hosts(was+1)
	after := m.list(i, seed.ID(i), version)
	op := cache.OpRemove
	if listed {
		op = cache.OpAdd
	}
	w.versions[i] = version
	w.log = append(w.log, committed{w.xid, cache.Change{
		App: seed.App, Kind: cache.KindBlock, Owner: after.Owner,
		Prev: was, Version: version, Size: after.Size, Digest: after.Digest,
		Op: op, Entries: []cache.Entry{{Target: seed.ID(Guest(w.shape, i))}}, At: time.Now(),
	}})
	w.xid++
	return version, listed
}

// Poll implements [blocksync.Source]. What lies before the position is forgotten:
// its caller never goes back.
func (w *World) Poll(ctx context.Context, from blocksync.Position) (blocksync.Batch, error) {
	if err := ctx.Err(); err != nil {
		return blocksync.Batch{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := blocksync.Batch{
		Position: blocksync.Position{Xmin: w.xid, Xmax: w.xid},
		Identity: identity, Schema: Schema, MinXid: 1, Clock: time.Now(),
	}
	if from.IsZero() {
		return b, nil
	}
	known := sort.Search(len(w.log), func(k int) bool { return w.log[k].xid >= from.Xmax })
	w.log = append([]committed(nil), w.log[known:]...)
	for k := range w.log {
		b.Changes = append(b.Changes, w.log[k].change)
	}
	return b, nil
}

// Reserved is how many lists, the first ones, Run leaves alone: they are for those
// who want to know who wrote what.
const Reserved = 64

// Pace asks Run for a number of changes a second; 0 stops them. It returns when Run
// has heard of it, or with ctx.
func (w *World) Pace(ctx context.Context, perSecond int) {
	select {
	case w.pace <- perSecond:
	case <-ctx.Done():
	}
}

// paceEvery is how often Run commits what is due: seldom enough that waking up for
// it does not show in the CPU time of the process, and within the time between two
// polls of a sidecar as it is delivered.
const paceEvery = 50 * time.Millisecond

// Run commits changes of random lists at the pace that is asked for, none at
// first, until ctx ends. What is late is made up for.
func (w *World) Run(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(1, 2))
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	perSecond, done, since := 0, 0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case perSecond = <-w.pace:
			done, since = 0, time.Now()
			tick.Reset(time.Hour)
			if perSecond > 0 {
				tick.Reset(paceEvery)
			}
		case <-tick.C:
			for due := int(time.Since(since).Seconds() * float64(perSecond)); done < due; done++ {
				w.Commit(Reserved + rng.IntN(w.shape.Lists-Reserved))
			}
		}
	}
}
