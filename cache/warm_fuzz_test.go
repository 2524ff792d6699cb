package cache

import (
	"bytes"
	"context"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// FuzzWarmFile reads anything as a warm file, with checksums off: what gets in must
// be such that no question, no change and no growth of the directory fails over it.
func FuzzWarmFile(f *testing.F) {
	db := newSimDB()
	for i := range 9 {
		k := listKey{"a", Kind(i % 3), "o" + strconv.Itoa(i)}
		entries := manyEntries(1 + i%4)
		if i == 6 {
			entries = manyEntries(longList + 1)
		}
		for j := range entries {
			entries[j].Expires = int64(j * (i % 2))
		}
		db.write(k, OpAdd, entries...)
	}
	c := newTestCache(f, db, func(o *Options) { o.Apps = []string{"a"} })
	follow(c, db)
	for k := range db.lists {
		if _, err := c.Directory("a", k.kind).Load(context.Background(), k.owner, Need{}); err != nil {
			f.Fatal(err)
		}
	}
	file := saved(f, c, db, 1)
	f.Add(file)
	f.Add(file[:len(file)/2])
	for i := 40; i < len(file); i += len(file) / 50 {
		spoilt := bytes.Clone(file)
		spoilt[i] ^= 0x11
		f.Add(spoilt)
	}
	change := []Change{db.write(blockKey("o0"), OpAdd, Entry{Target: "x"})}
	f.Fuzz(func(t *testing.T, file []byte) {
		w := &WarmFile{from: bytes.NewReader(file), left: int64(len(file)), off: true}
		if w.open() != nil {
			return
		}
		w.head.Seed = process.seed // one of another process is for the first cache alone
		c, err := New(Options{MaxBytes: 8 << 20, Apps: []string{"a"}, Loader: Whole(db.Load), Warm: w, Metrics: NewMetrics(prometheus.NewRegistry())})
		if err != nil {
			t.Fatal(err)
		}
		ended, end := context.WithCancel(context.Background())
		end() // nobody pays, so what does not fit into the allowance is given up
		_, got, err := c.Stage(ended)
		if err != nil {
			if s := c.Stats(); s.Pages > 0 {
				t.Fatalf("%v, and %d pages are left", err, s.Pages)
			}
			return
		}
		if got.Bytes > 8<<20 {
			t.Fatalf("%+v for a budget of 8 MiB", got)
		}
		c.Resume(c.Now(), change)
		for k := range db.lists {
			if v, ok := c.Directory("a", k.kind).Find(k.owner); ok {
				v.Contains("t0")
				v.Allowlist()
				v.Version()
			}
		}
		for _, d := range c.spaces() {
			for i := range d.shards {
				d.shards[i].grow(c, shardBits+2)
			}
		}
		c.Stats()
	})
}
