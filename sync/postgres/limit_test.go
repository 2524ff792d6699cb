package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
)

// race has 32 writers ask 64 times for the last 10 places of a list, by the
// function and by plain SQL in turn, and returns how many got one and the errors
// of the others.
func race(f *fixture) (won int64, lost []error) {
	f.t.Helper()
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'bob', 'old' || i from generate_series(1, 2990) i`)
	var (
		mu   sync.Mutex
		wins atomic.Int64
		wg   sync.WaitGroup
	)
	for w := range 32 {
		wg.Go(func() {
			for i := range 2 {
				target := fmt.Sprintf("new%d-%d", w, i)
				var err error
				if i == 0 {
					err = f.persist(add("bob", target))
				} else {
					_, err = f.hand.Exec(f.t.Context(), `insert into sidegate.block (app, owner, target) values ('default', 'bob', $1)`, target)
				}
				if err == nil {
					wins.Add(1)
					continue
				}
				mu.Lock()
				lost = append(lost, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return wins.Load(), lost
}

// persist edits a list as one does who is told to try again: on a busy machine the
// turn of a writer may not come in time.
func (f *fixture) persist(e filter.Edit) error {
	for {
		_, err := f.Edit(f.t.Context(), e)
		if code(err) != filter.CodeStoreUnavailable || f.t.Context().Err() != nil {
			return err
		}
	}
}

func TestLastPlacesOfAList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	won, lost := race(f)
	l := f.all(cache.KindBlock)["bob"]
	if won != 10 || l.Size != 3000 || len(l.Entries) != 3000 {
		t.Errorf("%d of 64 got in; the list has %d entries and says %d", won, len(l.Entries), l.Size)
	}
	for _, err := range lost {
		if e, ok := errors.AsType[*filter.Error](err); ok && (e.Code != filter.CodeLimitExceeded || e.Limit != 3000 || e.Size != 3000) {
			t.Errorf("a loser got %+v", e)
		} else if !ok && !strings.Contains(err.Error(), "SG001") {
			t.Errorf("a loser by SQL got %v", err)
		}
	}
}

// Without the check under the lock the same race overruns the limit.
func TestLastPlacesWithoutTheGuard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`create or replace function sidegate.hold_limit(in_app text, in_kind text, in_owner text, added int)
		returns void language plpgsql as 'begin end'`)
	if won, _ := race(f); won != 64 {
		t.Errorf("%d of 64 got in although nothing holds the limit", won)
	}
}

func TestLimitOfAnApp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 3); err != nil {
		t.Fatal(err)
	}
	f.edit(add("bob", "a", "b"))
	_, err := f.Edit(t.Context(), add("bob", "c", "d"))
	e, ok := errors.AsType[*filter.Error](err)
	if !ok || e.Code != filter.CodeLimitExceeded || e.Limit != 3 || e.Size != 2 || strings.Contains(e.Detail, "bob") {
		t.Fatalf("got %v", err)
	}
	pg := f.refused("SG001", `insert into sidegate.block (app, owner, target) values ('default', 'bob', 'c'), ('default', 'bob', 'd')`)
	if strings.Contains(pg.Message+pg.Detail, "bob") || !strings.Contains(pg.Message, `"default" allows 3 entries, this list holds 2`) {
		t.Errorf("the sentence is %q", pg.Message)
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 2 || l.Version != 1 {
		t.Errorf("something was stored: %+v", l)
	}
	swap := add("bob", "c", "d")
	swap.Remove = []string{"a"}
	f.edit(swap)
	f.exec(`insert into sidegate.block (app, owner, target) select 'elsewhere', 'bob', 't' || i from generate_series(1, 10) i`)
}

func TestLoweringTheLimitKeepsTheList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "a", "b", "c"))
	if err := f.SetLimit(t.Context(), "default", 2); err != nil {
		t.Fatal(err)
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 3 {
		t.Errorf("lowering changed the list: %+v", l)
	}
	if _, err := f.Edit(t.Context(), add("bob", "d")); code(err) != filter.CodeLimitExceeded {
		t.Errorf("a list over its limit grew: %v", err)
	}
	f.edit(add("bob", "a"))
	f.edit(filter.Edit{List: blockList("bob"), Remove: []string{"a", "b"}})
	f.edit(add("bob", "d"))
}

func TestExpiredEntriesDoNotCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	expired := `insert into sidegate.block (app, owner, target, expires_at)
		select 'default', $1, 'old' || i, now() - interval '1 s' from generate_series(1, 3000) i`
	f.exec(expired, "bob")
	f.exec(expired, "carl")
	f.exec(`insert into sidegate.block (app, owner, target) values ('default', 'bob', 'alice')`)
	f.edit(add("carl", "alice"))
	for _, owner := range []string{"bob", "carl"} {
		if l := f.all(cache.KindBlock)[owner]; l.Size != 1 || l.Digest != cache.ListDigest(false, l.Entries) {
			t.Errorf("%s has %d entries", owner, l.Size)
		}
	}
}

func TestSetLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var log bytes.Buffer
	store, err := postgres.Open(t.Context(), postgres.Options{URL: f.dsn, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, limit := range []int{3000, 100, 100, 7} {
		if err := store.SetLimit(t.Context(), "default", limit); err != nil {
			t.Fatal(err)
		}
	}
	limits, err := store.Limits(t.Context())
	if err != nil || len(limits) != 1 || limits["default"] != 7 {
		t.Errorf("limits %v, %v", limits, err)
	}
	text := log.String()
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, "old=3000 new=100") || !strings.Contains(text, "old=100 new=7") {
		t.Errorf("logged:\n%s", text)
	}
	for _, bad := range []int{0, 3001, -1} {
		if store.SetLimit(t.Context(), "default", bad) == nil {
			t.Errorf("limit %d was taken", bad)
		}
	}
}
