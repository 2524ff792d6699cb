package memory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/cache"
)

// TestMain lets this test binary be the study's helpers.
func TestMain(m *testing.M) {
	asked, err := study.RunHelper(context.Background(), Helpers, os.Args[1:])
	if !asked {
		goleak.VerifyTestMain(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestTheListsAreThoseOfTheShape(t *testing.T) {
	ctx := context.Background()
	l := newLists(seed.Shape{Lists: 300, Entries: 7, Idle: 50})
	seen := map[string]bool{}
	for part := range uint64(4) {
		got, err := l.Load(ctx, seed.App, cache.KindBlock, cache.Range{Lo: part << 62, Hi: part<<62 + 1<<62 - 1})
		if err != nil || got.Count != len(got.Lists) {
			t.Fatal(got.Count, err)
		}
		for _, one := range got.Lists {
			if seen[one.Owner] || cache.HashOwner(one.Owner, 0)>>62 != part || cache.ListDigest(false, one.Entries) != one.Digest {
				t.Errorf("part %d holds %+v", part, one)
			}
			seen[one.Owner] = true
		}
	}
	if len(seen) != 300 || !seen[seed.ID(299)] || seen[seed.ID(300)] {
		t.Errorf("%d lists", len(seen))
	}
	if got, _ := l.Load(ctx, seed.App, cache.KindRoom, cache.Range{Hi: ^uint64(0)}); got.Count != 0 {
		t.Errorf("%d lists of another kind", got.Count)
	}
}

func TestAProcessWeighsItself(t *testing.T) {
	shape := seed.Shape{Lists: 5000, Entries: 10, Idle: 3000}
	f, err := measure[toFill, filled](context.Background(), "memory-fill", toFill{shape, plenty(shape)})
	if err != nil {
		t.Fatal(err)
	}
	if least := int64(8 * shape.Lists * shape.Entries); f.Stats.Entries != 50_000 || f.Heap < least || f.Heap > 10*least || f.Idle > 100_000 ||
		f.Most < f.Heap || f.Resident < f.Heap {
		t.Errorf("%+v", f)
	}
	if _, err := measure[toFill, filled](context.Background(), "memory-fill", toFill{shape, 1 << 10}); err == nil {
		t.Error("lists that do not fit are said to weigh something")
	}
}

func TestQuestionsAreCounted(t *testing.T) {
	ctx := context.Background()
	shape := seed.Shape{Lists: 4000, Entries: 10, Idle: 1000}
	file := filepath.Join(t.TempDir(), "trace")
	if err := draw(file, shape, 1.2, 20_000); err != nil {
		t.Fatal(err)
	}
	again := file + ".again"
	if err := draw(again, shape, 1.2, 20_000); err != nil {
		t.Fatal(err)
	}
	one, _ := os.ReadFile(file)
	two, _ := os.ReadFile(again)
	if len(one) != 80_000 || !slices.Equal(one, two) {
		t.Error("a trace is not the same when it is drawn again")
	}
	var hits [2]float64
	for i, budget := range []int64{100 << 10, 8 << 20} {
		f, err := measure[toAsk, asked](ctx, "memory-traffic", toAsk{Shape: shape, Budget: budget, Trace: file})
		if err != nil {
			t.Fatal(err)
		}
		hits[i] = float64(f.Hits) / float64(f.Questions)
		if f.Questions != 10_000 || f.Passes != 1 || f.Most < f.Heap || f.Stats.Bytes > budget*11/10 {
			t.Errorf("%+v", f)
		}
	}
	if hits[1] != 1 || hits[0] < 0.2 || hits[0] > 0.99 {
		t.Errorf("hit ratio %v if little fits, %v if all does", hits[0], hits[1])
	}
}

func TestChangesAreApplied(t *testing.T) {
	shape := seed.Shape{Lists: 2000, Entries: 10, Idle: 100}
	f, err := measure[toChange, changed](context.Background(), "memory-changes", toChange{Shape: shape, Budget: plenty(shape), Second: 2000, For: 300 * time.Millisecond})
	if err != nil || f.Applied == 0 || f.CPU <= 0 {
		t.Errorf("%+v, %v", f, err)
	}
	l := newLists(shape)
	c, _, err := open(l, plenty(shape))
	if err != nil {
		t.Fatal(err)
	}
	c.Reset(identity, c.Now())
	d := c.Directory(seed.App, cache.KindBlock)
	for n := range int64(3) {
		if n > 0 {
			c.Apply(c.Epoch(), identity, []cache.Change{step(shape, 7, n)})
		}
		v, err := d.Load(context.Background(), seed.ID(7), cache.Need{})
		if err != nil || v.Version() != n+1 || v.Contains("one more of 7") != (n == 1) {
			t.Errorf("after %d changes: version %d, %v", n, v.Version(), err)
		}
	}
}

func TestWithoutPeersTheRowsSaySo(t *testing.T) {
	env := &study.Env{Quick: true, Peers: t.TempDir(), Scratch: t.TempDir(), Log: t.Logf}
	var out study.Result
	if err := ratios(context.Background(), env, &out); err != nil {
		t.Fatal(err)
	}
	if r := out.Rows[0]; r.Missing == "" || len(r.Values) != 0 || !slices.Contains(out.Tables[0].Cells[0], "not built") {
		t.Errorf("%+v, %v", r, out.Tables)
	}
	t.Setenv("PATH", "")
	row, err := besideRedis(context.Background(), env, []float64{redisStated / 4})
	if err != nil || row.Values[0] != 0.25 || !strings.Contains(row.Peer.Name, "for want of") {
		t.Errorf("%+v, %v", row, err)
	}
}

func TestUnknownTasksAreRefused(t *testing.T) {
	for _, args := range [][]string{nil, {"{"}, {"{}", "{}"}} {
		if err := Helpers[0].Run(context.Background(), args); err == nil {
			t.Errorf("%q is understood", args)
		}
	}
}
