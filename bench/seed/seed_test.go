package seed

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/sync/postgres"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestShapesHaveNoTargetTwice(t *testing.T) {
	for _, s := range []Shape{{Lists: 1, Entries: 3, Idle: 9}, {Lists: 500, Entries: 40, Idle: 100}, {Lists: 3, Entries: 3000, Idle: 4000}} {
		if err := s.Valid(); err != nil {
			t.Fatal(err)
		}
		for i := range s.Lists {
			seen := map[int]bool{i: true}
			for j := range s.Entries {
				if target := s.Target(i, j); seen[target] || target < 0 || target >= s.Users() {
					t.Fatalf("%v: entry %d of list %d is user %d", s, j, i, target)
				} else {
					seen[target] = true
				}
			}
		}
	}
	for _, s := range []Shape{{}, {Lists: 5, Entries: 5}, {Lists: stride + 1, Entries: 2}} {
		if s.Valid() == nil {
			t.Errorf("%v is called valid", s)
		}
	}
}

func TestPairsSayWhoIsBlocked(t *testing.T) {
	s := Shape{Lists: 400, Entries: 10, Idle: 400}
	blocked := 0
	for _, p := range s.Pairs(1, 1000) {
		if p.Blocked != s.Has(p.Recipient, p.Sender) {
			t.Fatalf("%+v", p)
		}
		if p.Blocked {
			blocked++
		}
	}
	if blocked < 50 || blocked > 200 {
		t.Errorf("%d of 1000 are blocked", blocked)
	}
	if got := ID(42); len(got) != idWidth || got != "user-0000000000000000042" {
		t.Errorf("id %q", got)
	}
}

// TestTheProgramReadsWhatWasFilledIn: the headers add up, so that pages load.
func TestTheProgramReadsWhatWasFilledIn(t *testing.T) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "seed-")
	if err == nil {
		err = os.Chmod(dir, 0o711) // PostgreSQL runs as another user if we are root
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	shape := Shape{Lists: 300, Entries: 7, Idle: 50}
	for round := range 2 { // filled, and found again
		db, err := Open(ctx, dir, shape, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		store, err := postgres.Open(ctx, postgres.Options{URL: db.DSN})
		if err != nil {
			t.Fatal(err)
		}
		got, err := store.Load(ctx, App, cache.KindBlock, cache.Range{Lo: 0, Hi: ^uint64(0)})
		store.Close()
		if stopped := db.Stop(ctx); err != nil || stopped != nil {
			t.Fatal(err, stopped)
		}
		if got.Count != shape.Lists || len(got.Lists) != shape.Lists {
			t.Fatalf("round %d: %d lists, counted %d", round, len(got.Lists), got.Count)
		}
		for _, l := range got.Lists {
			if l.Size != shape.Entries || cache.ListDigest(l.Allowlist, l.Entries) != l.Digest {
				t.Fatalf("round %d: the list of %s does not add up: %+v", round, l.Owner, l)
			}
		}
	}
}
