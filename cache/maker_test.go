package cache

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maker is a database that makes its lists up when they are read, so that there
// can be many: owner i has the targets t0, t1 and so on.
type maker struct {
	expires int64 // of every entry; 0 = never
	byHash  []made

	mu   sync.Mutex
	size []int // entries of each owner; the version is one more than the changes
	ver  []int64
}

type made struct {
	hash  uint64
	owner int
}

func makerName(i int) string { return "owner-" + strconv.Itoa(i) }

func newMaker(owners, entries int, expires int64) *maker {
	m := &maker{expires: expires, byHash: make([]made, owners), size: make([]int, owners), ver: make([]int64, owners)}
	for i := range owners {
		m.byHash[i] = made{HashOwner(makerName(i), testSalt), i}
		m.size[i], m.ver[i] = entries, 1
	}
	slices.SortFunc(m.byHash, func(a, b made) int { return cmp.Compare(a.hash, b.hash) })
	return m
}

func (m *maker) identity() Identity { return Identity{System: 1, Salt: testSalt} }

// entries returns the targets from one number to another.
func (m *maker) entries(from, to int) []Entry {
	out := make([]Entry, 0, to-from)
	for j := from; j < to; j++ {
		out = append(out, Entry{Target: "t" + strconv.Itoa(j), Expires: m.expires})
	}
	return out
}

func (m *maker) Load(_ context.Context, _ string, kind Kind, r Range) (Loaded, error) {
	out := Loaded{Identity: m.identity()}
	if kind != KindBlock {
		return out, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at, _ := slices.BinarySearchFunc(m.byHash, r.Lo, func(p made, h uint64) int { return cmp.Compare(p.hash, h) })
	for ; at < len(m.byHash) && m.byHash[at].hash <= r.Hi; at++ {
		i := m.byHash[at].owner
		l := List{Owner: makerName(i), Version: m.ver[i], Size: m.size[i], Entries: m.entries(0, m.size[i])}
		l.Digest = ListDigest(false, l.Entries)
		out.Lists = append(out.Lists, l)
	}
	out.Count = len(out.Lists)
	return out, nil
}

// add appends n targets to the list of an owner and returns the change.
func (m *maker) add(i, n int) Change {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Change{App: "a", Owner: makerName(i), Prev: m.ver[i], Version: m.ver[i] + 1, Op: OpAdd, Entries: m.entries(m.size[i], m.size[i]+n)}
	m.size[i] += n
	m.ver[i]++
	c.Size, c.Digest = m.size[i], ListDigest(false, m.entries(0, m.size[i]))
	return c
}

func (m *maker) Sizes(_ context.Context, _ string, kind Kind) (lists, entries int64, err error) {
	if kind != KindBlock {
		return 0, 0, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.size {
		entries += int64(m.size[i])
	}
	return int64(len(m.size)), entries, nil
}

// newMakerCache returns a cache of one app over the lists. It does not run yet.
func newMakerCache(t testing.TB, m *maker, budget int64) *Cache {
	t.Helper()
	c, err := New(Options{MaxBytes: budget, Apps: []string{"a"}, Loader: Whole(m.Load), Sizer: m, LoadTimeout: time.Minute, Metrics: NewMetrics(prometheus.NewRegistry())})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
