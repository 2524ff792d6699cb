package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

func onceKey(name string) filter.Once { return filter.Once{Key: name, Keep: time.Hour} }

// TestOnce: a key goes with one write of one app, in whatever form, and with one
// that was refused not at all.
func TestOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := add("bob", "alice")
	first.Once = onceKey("n1")
	f.edit(first)
	if page := f.list(query("bob", 10)); page.Total != 1 {
		t.Errorf("%+v", page)
	}

	again := add("bob", "carol")
	again.Once = onceKey("n1")
	if _, err := f.Edit(t.Context(), again); code(err) != filter.CodeReplayed {
		t.Errorf("the same key again: %v", err)
	}
	mode := filter.ModeChange{App: "default", Owners: []string{"bob"}, On: true, Once: onceKey("n1")}
	if _, err := f.SetAllowlistMode(t.Context(), mode); code(err) != filter.CodeReplayed {
		t.Errorf("the same key for a mode: %v", err)
	}
	if err := f.UseOnce(t.Context(), "default", onceKey("n1")); code(err) != filter.CodeReplayed {
		t.Errorf("the same key for a read: %v", err)
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 1 || l.Version != 1 || l.Allowlist {
		t.Errorf("a replay has changed the list: %+v", l)
	}

	again.List.App = "other"
	f.edit(again) // another app has keys of its own
	again.List.App = "default"
	again.Once = filter.Once{}
	f.edit(again) // and without a key it is an ordinary write
}

// TestOnceWithARefusedWrite: what was not stored may be tried again.
func TestOnceWithARefusedWrite(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 1); err != nil {
		t.Fatal(err)
	}
	two := add("bob", "alice", "carol")
	two.Once = onceKey("n1")
	if _, err := f.Edit(t.Context(), two); code(err) != filter.CodeLimitExceeded {
		t.Fatalf("%v", err)
	}
	one := add("bob", "alice")
	one.Once = two.Once
	f.edit(one)
}

// TestOnceAtOnce: of many at the same moment one gets through, and without the
// key all of them would.
func TestOnceAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, guard := range []bool{true, false} {
		var mu sync.Mutex
		var all sync.WaitGroup
		through := 0
		for i := range 8 {
			all.Go(func() {
				e := add("bob", string(rune('a'+i)))
				if guard {
					e.Once = onceKey("n")
				}
				_, err := f.Edit(t.Context(), e)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					through++
				case code(err) != filter.CodeReplayed:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if want := map[bool]int{true: 1, false: 8}[guard]; through != want {
			t.Errorf("with a key: %v, got through: %d, want %d", guard, through, want)
		}
	}
}

func TestKeysAreForgotten(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"a", "b", "c"} {
		if err := f.UseOnce(t.Context(), "default", onceKey(name)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.ForgetKeys(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	f.exec(`update sidegate.nonce set until = now() - interval '1 s' where hash in (sha256('a'), sha256('b'))`)
	if err := f.UseOnce(t.Context(), "default", onceKey("a")); err != nil {
		t.Errorf("a key whose time is over: %v", err)
	}
	if n, err := f.ForgetKeys(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if left := one[int](f, `select count(*) from sidegate.nonce where until > now()`); left != 2 {
		t.Errorf("%d keys left", left)
	}
	if plain := one[int](f, `select count(*) from sidegate.nonce where position('c'::bytea in hash) = 1 and length(hash) <> 32`); plain != 0 {
		t.Error("a key is kept as it came")
	}
}

func TestAllowlistModeOfSeveral(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	edits := f.mode(true, "carl", "bob")
	for i, owner := range []string{"carl", "bob"} {
		e := edits[i]
		if len(e.Changes) != 1 || e.Changes[0].Owner != owner || e.Changes[0].Op != cache.OpMode || !e.Changes[0].Allowlist {
			t.Errorf("%s: %+v", owner, e)
		}
	}
	got, err := f.AllowlistMode(t.Context(), "default", []string{"nobody", "bob", "carl", "bob"})
	if want := []bool{false, true, true, true}; err != nil || len(got) != 4 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := f.AllowlistMode(t.Context(), "other", []string{"bob"}); err != nil || got[0] {
		t.Errorf("another app: %v, %v", got, err)
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 1 || !l.Allowlist {
		t.Errorf("the blocks of somebody in allowlist mode are kept: %+v", l)
	}
}
