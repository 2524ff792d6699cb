package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/sync/postgres"

	blocksync "github.com/sidegate/sidegate/sync"
)

func (f *fixture) poll(from blocksync.Position) blocksync.Batch {
	f.t.Helper()
	batch, err := f.Poll(f.t.Context(), from)
	if err != nil {
		f.t.Fatal(err)
	}
	return batch
}

func TestFirstPollAsksForNoChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	edited := f.edit(add("bob", "alice"))
	before := time.Now()
	b := f.poll(blocksync.Position{})
	if len(b.Changes) != 0 || b.Overflow || b.Recovery || b.Position.IsZero() {
		t.Errorf("%+v", b)
	}
	if b.Identity != edited.Identity || b.Identity.System == 0 || b.Identity.Timeline == 0 || b.Identity.Started == 0 || b.Identity.Relation == 0 {
		t.Errorf("poll says %+v, edit says %+v", b.Identity, edited.Identity)
	}
	if b.Schema != postgres.SchemaVersion || b.Clock.Before(before.Add(-time.Minute)) || b.Clock.After(before.Add(time.Minute)) {
		t.Errorf("schema %d, clock %v", b.Schema, b.Clock)
	}
}

func TestPollReturnsEveryChangeOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := f.poll(blocksync.Position{})
	edited := f.edit(add("bob", "alice", "carl"))
	f.exec(`update sidegate.block set expires_at = '2100-01-01 00:00:00.000001+00' where target = 'carl'`)
	f.mode(true, "bob")
	f.exec(`delete from sidegate.block`)
	b := f.poll(start.Position)
	ops := ""
	for _, c := range b.Changes {
		ops += string(c.Op)
	}
	if ops != "AUMR" {
		t.Fatalf("ops %s", ops)
	}
	first := b.Changes[0]
	if want := edited.Changes[0]; !slices.Equal(first.Entries, want.Entries) || first.Digest != want.Digest || !first.At.Equal(want.At) || first.Version != 1 {
		t.Errorf("the feed has %+v, the edit returned %+v", first, want)
	}
	if e := b.Changes[1].Entries; len(e) != 1 || e[0].Expires != 4102444800000001 {
		t.Errorf("update carries %v", e)
	}
	if next := f.poll(b.Position); len(next.Changes) != 0 {
		t.Errorf("the next poll repeats %+v", next.Changes)
	}
	if again := f.poll(start.Position); len(again.Changes) != 4 {
		t.Errorf("a repeated poll has %d changes, want the same 4", len(again.Changes))
	}
}

// A savepoint gives its own transaction id; the feed must carry the one that a
// snapshot knows.
func TestPollSeesWorkInSavepoints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `savepoint s; insert into sidegate.block (app, owner, target) values ('default', 'bob', 'alice'); release s`); err != nil {
		t.Fatal(err)
	}
	during := f.poll(blocksync.Position{})
	f.edit(add("carl", "alice"))
	if b := f.poll(during.Position); len(b.Changes) != 1 || b.Changes[0].Owner != "carl" {
		t.Errorf("before the commit: %+v", b.Changes)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := f.poll(during.Position); len(b.Changes) != 2 {
		t.Errorf("after the commit: %+v", b.Changes)
	}
}

// tail follows a feed in a goroutine of its own until stopped, and keeps what
// it saw.
type tail struct {
	seen map[string]int
	next func() ([]string, error)
	err  error
}

func (r *tail) run(stop <-chan struct{}) {
	for last := false; r.err == nil; {
		keys, err := r.next()
		r.err = err
		for _, k := range keys {
			r.seen[k]++
		}
		if last {
			return
		}
		select {
		case <-stop:
			last = true // one more turn, after the last commit
		default:
		}
	}
}

func byDifference(f *fixture) *tail {
	from := f.poll(blocksync.Position{}).Position
	return &tail{seen: map[string]int{}, next: func() (keys []string, err error) {
		b, err := f.Poll(f.t.Context(), from)
		if err != nil {
			return nil, err
		}
		from = b.Position
		for _, c := range b.Changes {
			keys = append(keys, key(c.Owner, c.Version))
		}
		return keys, nil
	}}
}

// byID follows the way that suggests itself: everything greater than the last.
func byID(f *fixture) *tail {
	last := "0"
	return &tail{seen: map[string]int{}, next: func() (keys []string, err error) {
		rows, err := f.hand.Query(f.t.Context(), `select x::text, owner, version from sidegate.change where x > $1::text::xid8 order by x`, last)
		if err != nil {
			return nil, err
		}
		var owner string
		var version int64
		_, err = pgx.ForEachRow(rows, []any{&last, &owner, &version}, func() error {
			keys = append(keys, key(owner, version))
			return nil
		})
		return keys, err
	}}
}

func key(owner string, version int64) string { return owner + "/" + strconv.FormatInt(version, 10) }

// writers run transactions that hold their id for a while before they commit,
// some for long, and roll some back: ids become visible far out of order.
func writers(f *fixture) {
	var wg sync.WaitGroup
	for w := range 12 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range 30 {
				hold := rnd.IntN(15)
				if w == 0 && i%10 == 0 {
					hold = 300
				}
				err := pgx.BeginFunc(f.t.Context(), f.hand, func(tx pgx.Tx) error {
					if _, err := tx.Exec(f.t.Context(), `insert into sidegate.block (app, owner, target) values ('default', $1, $2)`,
						fmt.Sprint("w", w), fmt.Sprint("t", i)); err != nil {
						return err
					}
					_, err := tx.Exec(f.t.Context(), `select pg_sleep($1::int / 1000.0)`, hold)
					return err
				})
				if err != nil {
					f.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// The difference of snapshots finds every change although ids become visible out
// of order; following the greatest id loses some for good.
func TestFeedUnderOutOfOrderCommits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	difference, id := byDifference(f), byID(f)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { difference.run(stop) })
	wg.Go(func() { id.run(stop) })
	writers(f)
	close(stop)
	wg.Wait()
	if difference.err != nil || id.err != nil {
		t.Fatal(difference.err, id.err)
	}
	all := one[[]string](f, `select array_agg(owner || '/' || version) from sidegate.change`)
	missed := 0
	for _, k := range all {
		if difference.seen[k] != 1 {
			t.Errorf("the difference of snapshots returned %s %d times", k, difference.seen[k])
		}
		if id.seen[k] == 0 {
			missed++
		}
	}
	if missed == 0 {
		t.Error("following the greatest id lost nothing: the test shows nothing")
	}
	t.Logf("%d changes; following the greatest id lost %d", len(all), missed)
}

func TestPollOverflows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	postgres.SetMaxChanges(f.Store, 3)
	start := f.poll(blocksync.Position{})
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'o' || i, 't' from generate_series(1, 3) i`)
	if b := f.poll(start.Position); b.Overflow || len(b.Changes) != 3 {
		t.Errorf("3 of 3: overflow %v, %d changes", b.Overflow, len(b.Changes))
	}
	f.edit(add("o4", "t"))
	b := f.poll(start.Position)
	if !b.Overflow || len(b.Changes) != 0 || b.Position.IsZero() {
		t.Errorf("4 of 3: overflow %v, %d changes", b.Overflow, len(b.Changes))
	}
}

// A row that somebody damaged, or that a newer schema writes, costs its list at
// most, never the feed.
func TestPollReadsOnAfterWhatItCannotRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := f.poll(blocksync.Position{})
	f.exec(`alter table sidegate.change drop constraint change_op_check`)
	f.exec(`insert into sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op, targets, expires) values
		('default', 'block', 'unknown op', 0, 1, 1, 5, false, '?', '{x}', '{0}'),
		('default', 'block', 'unequal arrays', 0, 2, 1, 5, false, 'A', '{x}', '{}'),
		('default', 'mute', 'unknown kind', 0, 3, 1, 5, false, 'A', '{x}', '{0}'),
		('default', 'block', 'nulls', 0, 4, 2, 5, false, 'A', '{x,null}', '{0,null}')`)
	var got []string
	for _, c := range f.poll(start.Position).Changes {
		got = append(got, fmt.Sprintf("%s: %c %d", c.Owner, c.Op, len(c.Entries)))
	}
	// The change of NULLs has no entries, but a digest as if it had: it fits
	// no list, and whoever holds that one reads it anew.
	if want := []string{"unknown op: L 0", "unequal arrays: L 0", "nulls: A 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// A poll costs what is new, whether or not the feed was analyzed, and however old
// the oldest transaction is.
func TestPollReadsWhatIsNew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.change (x, app, kind, owner, prev, version, size, digest, allowlist, op)
		select (1000000 + i)::text::xid8, 'default', 'block', 'o' || i, 0, 1, 0, 0, false, 'L' from generate_series(1, 20000) i`)
	for _, statistics := range []string{`select 1`, `analyze sidegate.change`} {
		f.exec(statistics)
		args := []any{"1019999", []string{"1000005", "1000007"}, int64(50001)}
		if n := work(f, "sidegate.change", postgres.PollSQL, args...); n > 0 {
			t.Errorf("%s: scanned %d rows", statistics, n)
		}
		if n := work(f, "sidegate.change_x", postgres.PollSQL, args...); n != 4 {
			t.Errorf("%s: read %d index entries for 4 changes", statistics, n)
		}
	}
}
