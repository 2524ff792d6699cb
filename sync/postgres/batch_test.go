package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// TestBatchOnAFullList: what goes makes room for what comes in the same edit, and
// one too many takes everything back, what went included.
func TestBatchOnAFullList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 4); err != nil {
		t.Fatal(err)
	}
	f.edit(add("bob", "a", "b", "c", "d"))
	swap := add("bob", "e", "f")
	swap.Remove = []string{"a", "b"}
	if got := f.edit(swap); got.Size != 4 || got.Version != 3 || len(got.Removed) != 2 {
		t.Errorf("%+v", got)
	}
	over := add("bob", "g", "h", "i")
	over.Remove = []string{"c", "d"}
	_, err := f.Edit(t.Context(), over)
	if code(err) != filter.CodeLimitExceeded {
		t.Fatalf("one too many: %v", err)
	}
	list := f.all(cache.KindBlock)["bob"]
	left := entryTargets(list.Entries)
	slices.Sort(left)
	if !slices.Equal(left, []string{"c", "d", "e", "f"}) || list.Version != 3 {
		t.Errorf("after the refusal: %q at version %d", left, list.Version)
	}
	if n := one[int](f, `select count(*) from sidegate.history where target in ('c', 'd')`); n != 0 {
		t.Errorf("%d intervals ended in an edit that was refused", n)
	}
}

// TestBatchesRaceForPlaces: of batches that together are too many, each is on the
// list whole or not at all, and who is refused is told so.
func TestBatchesRaceForPlaces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const limit, each, writers = 25, 7, 16
	if err := f.SetLimit(t.Context(), "default", limit); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stored := make([]bool, writers)
	for i := range writers {
		wg.Go(func() {
			var names []string
			for n := range each {
				names = append(names, fmt.Sprintf("w%d-%d", i, n))
			}
			_, err := f.Edit(t.Context(), add("bob", names...))
			if stored[i] = err == nil; err != nil && code(err) != filter.CodeLimitExceeded {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	held := map[string]int{}
	for _, target := range entryTargets(f.all(cache.KindBlock)["bob"].Entries) {
		writer, _, _ := strings.Cut(target, "-")
		held[writer]++
	}
	for i, ok := range stored {
		if n := held[fmt.Sprint("w", i)]; (n == each) != ok || n != 0 && n != each {
			t.Errorf("writer %d was told %v, and %d of %d are on the list", i, ok, n, each)
		}
	}
	if len(held) != limit/each {
		t.Errorf("%d batches fit, want %d", len(held), limit/each)
	}
}

// TestBatchOfExpired: an entry that has expired takes no place and is no obstacle.
func TestBatchOfExpired(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 2); err != nil {
		t.Fatal(err)
	}
	f.exec(`insert into sidegate.block (app, owner, target, created_at, expires_at) values
		('default', 'bob', 'a', now() - interval '2 h', now() - interval '1 h'), ('default', 'bob', 'b', now(), null)`)
	e := add("bob", "c")
	e.Remove = []string{"a"}
	got := f.edit(e)
	if got.Size != 2 || len(got.Removed) != 0 || !got.Created[0] {
		t.Errorf("removing what has expired already: %+v", got)
	}
	if ended := brief(f.history(filter.HistoryQuery{Target: "a"})); !slices.Equal(ended, []string{"a expiry"}) {
		t.Errorf("it ended by %q", ended)
	}
}
