package cache

import (
	"context"
	"errors"
	"testing"
	"time"
)

// auditWorld is a cache that holds the lists of two owners and follows a database
// in which anything can be changed without a word to the feed.
type auditWorld struct {
	db *simDB
	c  *Cache
	d  *Directory
}

func newAuditWorld(t *testing.T) *auditWorld {
	t.Helper()
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"}, Entry{Target: "mallory", Expires: 1})
	db.write(blockKey("bob"), OpAdd, Entry{Target: "trent"})
	db.write(blockKey("dora"), OpAdd, Entry{Target: "alice"})
	db.write(blockKey("dora"), OpRemove, Entry{Target: "alice"})
	db.write(blockKey("carol"), OpMode)
	c := newTestCache(t, db, func(o *Options) { o.Apps = []string{"a"} })
	follow(c, db)
	w := &auditWorld{db, c, c.Directory("a", KindBlock)}
	for _, owner := range []string{"bob", "carol", "dora", "nobody"} {
		mustLoad(t, c, owner)
	}
	return w
}

// sampleOf takes a sample of an owner's page.
func (w *auditWorld) sampleOf(t *testing.T, owner string) *Sample {
	t.Helper()
	p := w.pageOf(owner)
	if p == nil {
		t.Fatalf("no page of %s", owner)
	}
	s := w.d.sampleOf(p)
	if err := s.compareWith(context.Background(), w.c.feed.Load()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *auditWorld) slotOf(owner string) *slot {
	h := HashOwner(owner, w.db.identity.Salt)
	return w.d.shardOf(h).table.Load().at(h)
}

func (w *auditWorld) pageOf(owner string) *page { return w.slotOf(owner).Load() }

// judge lets a poll pass and judges.
func (w *auditWorld) judge(t *testing.T, s *Sample) Verdict {
	t.Helper()
	w.c.Fresh(w.c.Now())
	v, done := s.Judge()
	if !done {
		t.Fatal("the feed has passed the read, and there is no verdict")
	}
	return v
}

// behindTheBack changes a list without a version and without a change.
func (w *auditWorld) behindTheBack(owner string, change func(*simList)) {
	w.db.mu.Lock()
	defer w.db.mu.Unlock()
	l := w.db.lists[blockKey(owner)]
	if l == nil {
		l = &simList{version: 1, entries: map[string]int64{}}
		w.db.lists[blockKey(owner)] = l
		h := HashOwner(owner, w.db.nearSalt) >> nearShift
		w.db.near[h] = append(w.db.near[h], blockKey(owner))
	}
	change(l)
}

// damage changes one word of an owner's page in memory.
func (w *auditWorld) damage(owner string, word func(p *page, i int) int) {
	p := *w.pageOf(owner)
	p.data = append([]uint64(nil), p.data...)
	i := p.find(HashOwner(owner, w.db.identity.Salt), checkOf(owner))
	p.data[word(&p, i)] ^= 1
	w.slotOf(owner).Store(&p)
}

// TestEveryKindOfDamageIsFound plants one damage at a time. Without the sample
// nothing shows it: no change comes, and memory goes on answering.
func TestEveryKindOfDamageIsFound(t *testing.T) {
	for _, row := range []struct {
		name  string
		owner string
		plant func(*auditWorld)
		want  Mismatch
	}{
		{"other entries at the same version", "bob", func(w *auditWorld) {
			w.behindTheBack("bob", func(l *simList) { delete(l.entries, "alice"); l.entries["eve"] = 0 })
		}, MismatchContent},
		{"another expiry at the same version", "bob", func(w *auditWorld) {
			w.behindTheBack("bob", func(l *simList) { l.entries["trent"] = 1 << 60 })
		}, MismatchContent},
		{"another mode at the same version", "carol", func(w *auditWorld) {
			w.behindTheBack("carol", func(l *simList) { l.allowlist = false })
		}, MismatchContent},
		{"the database went back", "bob", func(w *auditWorld) {
			w.behindTheBack("bob", func(l *simList) { l.version--; delete(l.entries, "trent") })
		}, MismatchAhead},
		{"a change was lost", "bob", func(w *auditWorld) {
			w.db.write(blockKey("bob"), OpAdd, Entry{Target: "eve"})
		}, MismatchBehind},
		{"an owner is gone", "bob", func(w *auditWorld) {
			w.behindTheBack("bob", func(l *simList) { l.version = 0; clear(l.entries) })
		}, MismatchGone},
		{"an owner is missing", "nobody", func(w *auditWorld) {
			w.behindTheBack("nobody", func(l *simList) { l.entries["alice"] = 0 })
		}, MismatchMissing},
		{"a fingerprint in memory is damaged", "bob", func(w *auditWorld) {
			w.damage("bob", func(p *page, i int) int { return p.base() + p.edge(i) })
		}, MismatchEntries},
		{"an expiry in memory is damaged", "bob", func(w *auditWorld) {
			w.damage("bob", func(p *page, i int) int { return p.base() + p.edge(i) + 5 })
		}, MismatchEntries},
		{"a digest in memory is damaged", "bob", func(w *auditWorld) {
			w.damage("bob", func(p *page, i int) int { return p.history(i) + 1 })
		}, MismatchContent},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newAuditWorld(t)
			if v := w.judge(t, w.sampleOf(t, row.owner)); !v.Judged || !v.Right() {
				t.Fatalf("before the damage: %+v", v)
			}
			row.plant(w)
			w.c.Fresh(w.c.Now())
			s := w.sampleOf(t, row.owner)
			if v, done := s.Judge(); done {
				t.Fatalf("judged before the feed has passed the read: %+v", v)
			}
			v := w.judge(t, s)
			if !v.Judged || v.Wrong[row.want] != 1 || v.Right() {
				t.Fatalf("found %+v, want one %s", v, row.want)
			}
			if err := s.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkEqual(t, w.c, w.db)
			if v := w.judge(t, w.sampleOf(t, row.owner)); !v.Judged || !v.Right() {
				t.Errorf("after it was read again: %+v", v)
			}
		})
	}
}

// TestWhatIsOnItsWayIsNoMismatch: each ordinary event between the steps of a
// sample leaves it without a finding.
func TestWhatIsOnItsWayIsNoMismatch(t *testing.T) {
	more := func(w *auditWorld) Change { return w.db.write(blockKey("bob"), OpAdd, Entry{Target: "eve"}) }
	apply := func(w *auditWorld, c Change) { w.c.Apply(w.c.Epoch(), w.db.identity, []Change{c}) }
	never := func(*auditWorld) {}
	for name, row := range map[string]struct {
		first, second func(*auditWorld) // before the read, and after it
		judged        bool
	}{
		"nothing":                         {never, never, true},
		"a change that is not applied":    {func(w *auditWorld) { more(w) }, func(w *auditWorld) { apply(w, w.db.log[len(w.db.log)-1]) }, true},
		"a change after the read":         {never, func(w *auditWorld) { apply(w, more(w)) }, true},
		"a page that is evicted":          {never, func(w *auditWorld) { w.slotOf("bob").Store(nil) }, false},
		"following starts over":           {never, func(w *auditWorld) { follow(w.c, w.db) }, false},
		"pages that double":               {never, func(w *auditWorld) { w.d.grow(context.Background(), shardBits+1) }, false},
		"pages that double before":        {func(w *auditWorld) { w.d.grow(context.Background(), shardBits+1) }, never, false},
		"a page that was read once more":  {never, func(w *auditWorld) { more(w); mustForce(t, w) }, true},
		"a list too long for one change":  {never, func(w *auditWorld) { apply(w, w.db.write(blockKey("bob"), OpReload, Entry{Target: "x"})) }, false},
		"another database at the address": {never, func(w *auditWorld) { w.db.restart(); follow(w.c, w.db) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuditWorld(t)
			s := w.d.sampleOf(w.pageOf("bob"))
			row.first(w)
			if err := s.compareWith(t.Context(), w.c.feed.Load()); err != nil {
				t.Fatal(err)
			}
			row.second(w)
			if v := w.judge(t, s); !v.Right() || v.Judged != row.judged {
				t.Errorf("%+v", v)
			}
		})
	}
}

func mustForce(t *testing.T, w *auditWorld) {
	if _, err := w.d.Load(context.Background(), "bob", Need{Force: true}); err != nil {
		t.Error(err)
	}
}

// TestAnErasedListIsForgotten: memory keeps the empty list of an owner whose header
// is gone. No answer is wrong, so nobody is woken; but the version must go.
func TestAnErasedListIsForgotten(t *testing.T) {
	w := newAuditWorld(t)
	w.db.mu.Lock()
	delete(w.db.lists, blockKey("dora"))
	w.db.near = nil
	w.db.mu.Unlock()
	s := w.sampleOf(t, "dora")
	if v := w.judge(t, s); !v.Right() || !v.Outdated {
		t.Fatalf("%+v", v)
	}
	if err := s.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := mustLoad(t, w.c, "dora"); v.Version() != 0 {
		t.Errorf("version %d is still known", v.Version())
	}
}

// TestADatabaseThatContradictsItself: nothing can be compared, memory stays.
func TestADatabaseThatContradictsItself(t *testing.T) {
	w := newAuditWorld(t)
	w.db.after = func(l *Loaded, err error) error {
		for i := range l.Lists {
			l.Lists[i].Digest ^= 1
		}
		return err
	}
	s := w.sampleOf(t, "bob")
	if v, done := s.Judge(); !done || v.Wrong[MismatchRows] != 1 {
		t.Errorf("%+v, %v", v, done)
	}
	if w.pageOf("bob") == nil {
		t.Error("memory has lost the page")
	}
}

// TestAWrongPageThatCannotBeReadIsNotAnsweredFrom: unknown is not wrong.
func TestAWrongPageThatCannotBeReadIsNotAnsweredFrom(t *testing.T) {
	w := newAuditWorld(t)
	w.behindTheBack("bob", func(l *simList) { delete(l.entries, "alice") })
	s := w.sampleOf(t, "bob")
	if v := w.judge(t, s); v.Right() {
		t.Fatalf("%+v", v)
	}
	away := errors.New("the database is away")
	w.db.hold = func(context.Context, string, Kind, Range) error { return away }
	w.d.grow(context.Background(), shardBits+2) // meanwhile
	if err := s.Renew(t.Context()); !errors.Is(err, away) {
		t.Fatalf("got %v", err)
	}
	if v, ok := w.d.Find("bob"); ok {
		t.Errorf("answered from a page that is known to be wrong: %+v", v)
	}
}

// TestWhenNothingIsSampled: without a feed, without a page, while somebody waits.
func TestWhenNothingIsSampled(t *testing.T) {
	db := newSimDB()
	c := newTestCache(t, db)
	if _, err := c.Sample(t.Context(), true); !errors.Is(err, ErrNothingToSample) {
		t.Errorf("without a feed: %v", err)
	}
	follow(c, db)
	if _, err := c.Sample(t.Context(), true); !errors.Is(err, ErrNothingToSample) {
		t.Errorf("without a page: %v", err)
	}
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	mustLoad(t, c, "bob")
	c.asked.Add(1)
	if _, err := c.Sample(t.Context(), false); !errors.Is(err, ErrBusy) {
		t.Errorf("while somebody waits: %v", err)
	}
	if _, err := c.Sample(t.Context(), true); err != nil {
		t.Errorf("urgent: %v", err)
	}
	c.asked.Add(-1)
	for c.gate.tryAhead() { // all connections are in use
	}
	if _, err := c.Sample(t.Context(), false); !errors.Is(err, ErrBusy) {
		t.Errorf("without a connection: %v", err)
	}
	taken := make(chan error, 1)
	go func() {
		_, err := c.Sample(context.Background(), true)
		taken <- err
	}()
	c.gate.leaveAhead()
	if err := <-taken; err != nil {
		t.Errorf("urgent, when a connection is free again: %v", err)
	}
	follow(c, db)
	if _, err := c.Sample(t.Context(), true); !errors.Is(err, ErrNothingToSample) {
		t.Errorf("of an older epoch: %v", err)
	}
}

// TestASampleOfAnotherServerIsNone: its lists cannot be compared.
func TestASampleOfAnotherServerIsNone(t *testing.T) {
	w := newAuditWorld(t)
	w.db.restart()
	if _, err := w.c.Sample(t.Context(), true); !errors.Is(err, errOtherServer) {
		t.Errorf("got %v", err)
	}
}

// TestEveryPageIsSampled: all pages of all directories come up, about as often as
// each other.
func TestEveryPageIsSampled(t *testing.T) {
	db := newSimDB()
	c := newTestCache(t, db)
	follow(c, db)
	runCache(t, c)
	waitFor(t, "everything is in memory", c.Preloaded)
	c.Directory("b", KindAllow).grow(t.Context(), shardBits+2)
	seen := map[pageKey]int{}
	pages, rounds := 6*shards+3*shards, 40
	for range pages * rounds {
		d, p := c.anyPage(c.Epoch())
		if p.key.space() != d.space {
			t.Fatal("a page of another directory")
		}
		seen[p.key]++
	}
	if len(seen) != pages {
		t.Errorf("%d of %d pages were sampled", len(seen), pages)
	}
	for k, n := range seen {
		if n > 4*rounds { // 40 on average, with a deviation of 6.3
			t.Errorf("page %d came up %d times", k, n)
		}
	}
}

// TestASampleHasADeadline: a database that hangs costs one sample and not the loop.
func TestASampleHasADeadline(t *testing.T) {
	w := newAuditWorld(t)
	w.c.opts.LoadTimeout = time.Millisecond
	w.db.hold = func(ctx context.Context, _ string, _ Kind, _ Range) error { <-ctx.Done(); return ctx.Err() }
	if _, err := w.c.Sample(t.Context(), true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
