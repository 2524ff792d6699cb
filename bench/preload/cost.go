package preload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/sync/postgres"

	blocksync "github.com/sidegate/sidegate/sync"
)

// cost is what one read took, each a median over all reads of a round.
type cost struct {
	wall, own, database time.Duration
	allocated           float64 // bytes
	entries             int
}

// counter counts what a page read returns, and hashes nothing.
type counter struct{ lists, entries int }

func (c *counter) List(cache.Header)        { c.lists++ }
func (c *counter) Entry([]byte, int64)      { c.entries++ }
func (c *counter) Done(cache.Identity, int) {}

// form is a page read of a certain size.
type form struct {
	name  string
	bits  uint8 // the hash space is cut into 1<<bits reads
	reads int
}

// forms are the reads whose costs are shown: a page as it is when everything fits,
// the ranges in which it is loaded ahead, and four times as much.
func forms(shape seed.Shape) []form {
	if shape == long {
		const apart = 24 // no two of so few lists are in one read
		return []form{{"a list", apart, 100}}
	}
	bits := uint8(math.Round(math.Log2(float64(shape.Lists) / 64)))
	all := []form{{"a page of 64 lists", bits, 200}}
	if bits > 7 {
		all = append(all, form{"a range of 32 pages", bits - 5, 20}, form{"a range of 128 pages", bits - 7, 8})
	}
	return all
}

// reader is a store with one warm connection, and the backend behind it.
type reader struct {
	*postgres.Store
	db   *seed.Database
	salt int64
}

func openReader(ctx context.Context, db *seed.Database) (*reader, error) {
	store, err := postgres.Open(ctx, postgres.Options{URL: db.DSN})
	if err != nil {
		return nil, err
	}
	r := &reader{Store: store, db: db}
	for range 10 { // plans, and pages of the catalogue
		var nothing cache.Loaded
		if err := store.Load(ctx, seed.App, cache.KindBlock, cache.Range{}, &nothing); err != nil {
			store.Close()
			return nil, err
		}
		r.salt = nothing.Identity.Salt
	}
	return r, nil
}

// measure times reads of equal size, spread over the hash space.
func (r *reader) measure(reads int, read func(i int) (entries int, err error)) (cost, error) {
	var before, after runtime.MemStats
	database := databaseCPU(r.db)
	own, err := load.CPU(os.Getpid())
	if err != nil {
		return cost{}, err
	}
	runtime.ReadMemStats(&before)
	var walls []float64
	sum := 0
	for i := range reads {
		begun := time.Now()
		n, err := read(i)
		if err != nil {
			return cost{}, err
		}
		walls = append(walls, float64(time.Since(begun)))
		sum += n
	}
	runtime.ReadMemStats(&after)
	databaseAfter := databaseCPU(r.db)
	ownAfter, err := load.CPU(os.Getpid())
	n := time.Duration(reads)
	return cost{
		wall: time.Duration(median(walls)), own: (ownAfter - own) / n, database: (databaseAfter - database) / n,
		allocated: float64(after.TotalAlloc-before.TotalAlloc) / float64(reads), entries: sum / reads,
	}, err
}

// readForm measures one form as it comes from the wire.
func (r *reader) readForm(ctx context.Context, f form) (cost, error) {
	width := uint64(1) << (64 - f.bits)
	return r.measure(f.reads, func(i int) (int, error) {
		lo := cache.HashOwner(seed.ID(i*104_729%r.db.Shape.Lists), r.salt) &^ (width - 1)
		var got counter
		err := r.Load(ctx, seed.App, cache.KindBlock, cache.Range{Lo: lo, Hi: lo + width - 1}, &got)
		return got.entries, err
	})
}

// miss measures a read on behalf of a check: from the question to the page in
// memory.
func (r *reader) miss(ctx context.Context, reads int) (out cost, err error) {
	memory, err := cache.New(cache.Options{
		MaxBytes: 4 << 30, Apps: []string{seed.App}, Loader: r, Sizer: r, LoadTimeout: time.Minute,
		Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		return out, err
	}
	batch, err := r.Poll(ctx, blocksync.Position{})
	if err != nil {
		return out, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- memory.Run(running) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()
	memory.Reset(batch.Identity, memory.Now())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !memory.Preloaded() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
	lists := memory.Directory(seed.App, cache.KindBlock)
	perPage := float64(r.db.Shape.Lists*r.db.Shape.Entries) / float64(max(1, pagesOf(memory)))
	return r.measure(reads, func(i int) (int, error) {
		_, err := lists.Load(ctx, seed.ID(i*104_729%r.db.Shape.Lists), cache.Need{Force: true})
		return int(perPage), err
	})
}

// pagesOf returns how many pages hold the block lists: the other kinds are empty
// and have one page a shard.
func pagesOf(memory *cache.Cache) int64 {
	const empty = 2 * 16
	return memory.Stats().Pages - empty
}

// costs measures all forms on one database.
func costs(ctx context.Context, db *seed.Database, rounds int) ([][]string, error) {
	r, err := openReader(ctx, db)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all := make(map[string][]cost)
	names := []string{}
	for range rounds {
		for _, f := range forms(db.Shape) {
			c, err := r.readForm(ctx, f)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			if !slices.Contains(names, f.name) {
				names = append(names, f.name)
			}
			all[f.name] = append(all[f.name], c)
		}
	}
	if db.Shape != long {
		const miss = "a miss: the page read, checked and published"
		c, err := r.miss(ctx, 200)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", miss, err)
		}
		all[miss], names = []cost{c}, append(names, miss)
	}
	var cells [][]string
	for _, name := range names {
		cells = append(cells, costCells(fmt.Sprintf("%s, %d entries each", name, db.Shape.Entries), all[name]))
	}
	return cells, nil
}

// costHead names the columns of costCells.
var costHead = []string{"read", "entries", "database, CPU µs", "sidegate, CPU µs", "both, CPU ns/entry", "wall, µs", "allocated, bytes"}

func costCells(name string, rounds []cost) []string {
	of := func(figure func(cost) float64) float64 {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = figure(rounds[i])
		}
		return study.Median(values)
	}
	micros := func(figure func(cost) time.Duration) string {
		return fmt.Sprintf("%.0f", of(func(c cost) float64 { return float64(figure(c)) })/1e3)
	}
	return []string{
		name, fmt.Sprintf("%.0f", of(func(c cost) float64 { return float64(c.entries) })),
		micros(func(c cost) time.Duration { return c.database }), micros(func(c cost) time.Duration { return c.own }),
		fmt.Sprintf("%.0f", of(func(c cost) float64 { return float64(c.database+c.own) / float64(max(1, c.entries)) })),
		micros(func(c cost) time.Duration { return c.wall }), fmt.Sprintf("%.0f", of(func(c cost) float64 { return c.allocated })),
	}
}

func median(values []float64) float64 { return study.Median(values) }
