package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
)

// bypass runs SQL by hand as a restore without triggers does.
func (f *fixture) bypass(sql string, args ...any) {
	f.t.Helper()
	err := pgx.BeginFunc(f.t.Context(), f.hand, func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.t.Context(), `set local session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(f.t.Context(), sql, args...)
		return err
	})
	if err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

// audit compares everything, once, and returns what differs as "reason owner".
func (f *fixture) audit(app string) (lists, entries int64, found []postgres.Damage) {
	f.t.Helper()
	var from postgres.AuditCursor
	for {
		piece, err := f.Audit(f.t.Context(), from, app)
		if err != nil {
			f.t.Fatal(err)
		}
		lists, entries, found = lists+piece.Lists, entries+piece.Entries, append(found, piece.Damage...)
		if piece.Done {
			return lists, entries, found
		}
		from = piece.Next
	}
}

func reasons(found []postgres.Damage) []string {
	var out []string
	for _, d := range found {
		out = append(out, d.Reason+" "+d.Kind+" "+d.Owner)
	}
	slices.Sort(out)
	return out
}

// damageEverything harms one list in each way that there is and leaves one of each
// kind sound.
func damageEverything(f *fixture) (want []string) {
	for _, kind := range []cache.Kind{cache.KindBlock, cache.KindAllow, cache.KindRoom} {
		for _, owner := range []string{"sound", "fewer", "more", "swapped", "later", "sooner", "emptied", "headless"} {
			e := add(owner, "a", "b", "c")
			e.List.Kind = kind
			e.Add[1].ExpiresAt = time.Now().Add(time.Hour)
			f.edit(e)
		}
	}
	f.mode(true, "flagged", "mode")
	f.bypass(`delete from sidegate.block where owner = 'fewer' and target = 'a'`)
	f.bypass(`insert into sidegate.block (app, kind, owner, target)
		select 'default', k, o, 'x' from unnest('{block,allow,room}'::text[]) k, unnest('{more,new}'::text[]) o`)
	f.bypass(`delete from sidegate.block where owner = 'swapped' and target = 'a'`)
	f.bypass(`insert into sidegate.block (app, kind, owner, target)
		select 'default', k, 'swapped', 'x' from unnest('{block,allow,room}'::text[]) k`)
	f.bypass(`update sidegate.block set expires_at = now() + interval '2 h' where owner = 'later' and target = 'b'`)
	f.bypass(`update sidegate.block set expires_at = null where owner = 'sooner' and target = 'b'`)
	f.bypass(`delete from sidegate.block where owner = 'emptied'`)
	f.bypass(`delete from sidegate.owner where owner = 'headless'`)
	f.bypass(`update sidegate.owner set allowlist = false where owner = 'flagged'`)
	for _, kind := range []string{"block", "allow", "room"} {
		for _, d := range []string{"size fewer", "size more", "header new", "digest swapped", "digest later", "digest sooner", "size emptied", "header headless"} {
			reason, owner, _ := strings.Cut(d, " ")
			want = append(want, reason+" "+kind+" "+owner)
		}
	}
	want = append(want, "digest block flagged")
	// A header that is gone was told of in the feed.
	for _, kind := range []string{"block", "allow", "room"} {
		want = append(want, "feed "+kind+" headless")
	}
	slices.Sort(want)
	return want
}

func TestAuditFindsEveryKindOfDamage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if lists, _, found := f.audit(""); lists != 0 || found != nil {
		t.Errorf("an empty database: %d lists, %v", lists, found)
	}
	want := damageEverything(f)
	other := add("elsewhere", "a")
	other.List.App = "other"
	f.edit(other)
	f.bypass(`delete from sidegate.block where app = 'other'`)

	lists, entries, found := f.audit("default")
	if got := reasons(found); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if wantRows := one[int64](f, `select count(*) from sidegate.block where app = 'default'`); lists != 9*3+2 || entries != wantRows {
		t.Errorf("%d lists and %d entries were compared", lists, entries)
	}
	if _, _, found := f.audit("other"); len(found) != 1 || found[0].Owner != "elsewhere" || found[0].Size != 1 || found[0].Rows != 0 {
		t.Errorf("other: %+v", found)
	}
	if lists, _, found := f.audit("none"); lists != 0 || len(found) != 0 {
		t.Errorf("an app without lists: %d, %v", lists, found)
	}
}

// However small the pieces, everything is compared, and once.
func TestAuditInSmallPieces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	damageEverything(f)
	f.exec(`insert into sidegate.block (app, owner, target) select 'a', 'long', 't' || i from generate_series(1, 50) i`)
	rows := one[int64](f, `select count(*) from sidegate.block`)
	_, _, whole := f.audit("")
	var want []string
	for _, r := range reasons(whole) {
		if !strings.HasPrefix(r, "feed") {
			want = append(want, r)
		}
	}
	for _, size := range [][2]int{{1, 1}, {1, 100}, {100, 1}, {3, 7}} {
		var got []postgres.Damage
		var entries int64
		at, pieces := struct {
			App, Kind, Owner string
			Hash             int64
		}{}, 0
		for ; pieces < 1000; pieces++ {
			text := one[string](f, `select sidegate.audit($1, $2, $3, $4, null, $5, $6)::text`,
				at.App, at.Kind, at.Hash, at.Owner, size[0], size[1])
			var piece struct {
				Next *struct {
					App, Kind, Owner string
					Hash             int64
				}
				Entries int64
				Found   []postgres.Damage
			}
			if err := json.Unmarshal([]byte(text), &piece); err != nil {
				t.Fatal(err)
			}
			entries, got = entries+piece.Entries, append(got, piece.Found...)
			if piece.Next == nil {
				break
			}
			at = *piece.Next
		}
		if r := reasons(got); !slices.Equal(r, want) || entries != rows || pieces < 5 {
			t.Errorf("in pieces of %v, %d of them: %d of %d entries and\n%v", size, pieces, entries, rows, r)
		}
	}
}

// What is mended is right, is told to everybody, and deletes nothing.
func TestMendRepairsEveryKindOfDamage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	damageEverything(f)
	rows := one[int](f, `select count(*) from sidegate.block`)
	start := f.poll(blocksync.Position{})
	_, _, found := f.audit("")
	for _, d := range found {
		if wrong, err := f.Mend(t.Context(), d); err != nil || !wrong && d.Reason != postgres.DamageFeed {
			t.Errorf("%+v: %v, %v", d, wrong, err)
		}
	}
	if _, _, found := f.audit(""); len(found) != 0 {
		t.Errorf("still damaged: %v", reasons(found))
	}
	if left := one[int](f, `select count(*) from sidegate.block`); left != rows {
		t.Errorf("%d of %d entries are left", left, rows)
	}
	for _, kind := range []cache.Kind{cache.KindBlock, cache.KindAllow, cache.KindRoom} {
		for owner, l := range f.all(kind) {
			if l.Size != len(l.Entries) || l.Digest != cache.ListDigest(l.Allowlist, l.Entries) {
				t.Errorf("%v %s: %+v", kind, owner, l)
			}
		}
	}
	told := map[string]bool{}
	for _, c := range f.poll(start.Position).Changes {
		if c.Op != cache.OpReload || c.Version < 1<<32 {
			t.Errorf("change %+v", c)
		}
		told[c.Kind.String()+" "+c.Owner] = true
	}
	if len(told) != 8*3+1 {
		t.Errorf("told of %d lists: %v", len(told), told)
	}
}

// A header that was set back is corrected beyond every version that was ever told:
// for whoever holds a higher one, the next number would be old news.
func TestMendLeapsOverWhatWasTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 5 {
		f.edit(add("bob", fmt.Sprint("t", i)))
	}
	start := f.poll(blocksync.Position{})
	f.bypass(`update sidegate.owner set version = 1, size = 9`)
	if wrong, err := f.Repair(t.Context(), blockList("bob")); !wrong || err != nil {
		t.Fatal(wrong, err)
	}
	if c := f.poll(start.Position).Changes; len(c) != 1 || c[0].Op != cache.OpReload || c[0].Version <= 5 {
		t.Errorf("version 5 was told, now %+v", c)
	}
}

// A list over the limit is counted right and keeps all its entries; it takes no more.
func TestListOverTheLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.bypass(`insert into sidegate.block (app, owner, target) select 'default', 'bob', 't' || i from generate_series(1, 3001) i`)
	_, _, found := f.audit("")
	if len(found) != 1 || found[0].Reason != postgres.DamageHeader || found[0].Rows != 3001 {
		t.Fatalf("%+v", found)
	}
	if wrong, err := f.Mend(t.Context(), found[0]); !wrong || err != nil {
		t.Fatal(wrong, err)
	}
	_, _, found = f.audit("")
	if len(found) != 1 || found[0].Reason != postgres.DamageLimit || found[0].Size != 3001 {
		t.Fatalf("%+v", found)
	}
	if wrong, err := f.Mend(t.Context(), found[0]); wrong || err != nil {
		t.Errorf("mending it again: %v, %v", wrong, err)
	}
	if _, err := f.Edit(t.Context(), add("bob", "one more")); code(err) != filter.CodeLimitExceeded {
		t.Errorf("one more: %v", err)
	}
	if n := one[int](f, `select count(*) from sidegate.block`); n != 3001 {
		t.Errorf("%d entries are left", n)
	}
}

// Headers and rows set back together agree with each other; the feed knows better.
func TestAuditFindsListsThatWereSetBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	f.edit(add("carl", "alice"))
	f.exec(`create table backup_block as select * from sidegate.block; create table backup_owner as select * from sidegate.owner`)
	f.edit(add("bob", "eve"))
	f.edit(add("new", "eve"))
	f.bypass(`delete from sidegate.block; delete from sidegate.owner;
		insert into sidegate.block (app, kind, owner, target) select app, kind, owner, target from backup_block;
		insert into sidegate.owner (app, kind, owner, version, size, digest) select app, kind, owner, version, size, digest from backup_owner`)
	_, _, found := f.audit("")
	if got := reasons(found); !slices.Equal(got, []string{"feed block bob", "feed block new"}) {
		t.Fatalf("%v", got)
	}
	before := f.poll(blocksync.Position{})
	turns := f.turns(time.Hour, true, 3)
	if turns[1].StartedOver != true || len(turns[1].Damage) != 2 || !turns[1].Damage[0].Repaired {
		t.Errorf("%+v", turns)
	}
	if after := f.poll(blocksync.Position{}); after.Identity.Incarnation == before.Identity.Incarnation {
		t.Error("nobody was told to start over")
	}
	if _, _, found := f.audit(""); len(found) != 0 {
		t.Errorf("after the repair: %v", reasons(found))
	}
}

// turns takes turns of an audit that need not wait for their time.
func (f *fixture) turns(period time.Duration, repair bool, n int) (turns []postgres.AuditTurn) {
	f.t.Helper()
	for range n {
		turn, err := f.AuditTurn(f.t.Context(), period, repair)
		if err != nil {
			f.t.Fatal(err)
		}
		turns = append(turns, turn)
	}
	return turns
}

func TestAuditTurns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	f.edit(add("sound", "alice"))
	f.bypass(`delete from sidegate.block where owner = 'bob'`)
	turns := f.turns(time.Hour, false, 3)
	if d := turns[0].Damage; len(d) != 1 || d[0].Owner != "bob" || d[0].Repaired || turns[0].Lists != 2 || turns[0].Wait != 0 {
		t.Errorf("the lists: %+v", turns[0])
	}
	if turns[0].Round.Ended != (time.Time{}) || !turns[0].Round.UnderWay || turns[0].Round.Began.IsZero() {
		t.Errorf("the round under way: %+v", turns[0].Round)
	}
	r := turns[1].Round
	if len(turns[1].Damage) != 0 || r.UnderWay || r.Ended.Before(r.Began) || r.Lists != 2 || r.Entries != 1 || r.Damaged != 1 || r.Repaired != 0 {
		t.Errorf("the feed, and the end: %+v of %+v", turns[1], r)
	}
	if w := turns[2].Wait; w <= 59*time.Minute || w > time.Hour || *turns[2].Round != *r {
		t.Errorf("the next round begins in %v: %+v", w, turns[2].Round)
	}
	// An hour later.
	f.exec(`update sidegate.audit_round set last_began_at = last_began_at - interval '1 h'`)
	turns = f.turns(time.Hour, true, 2)
	if d := turns[0].Damage; len(d) != 1 || !d[0].Repaired || turns[0].StartedOver || turns[1].Round.Repaired != 1 {
		t.Errorf("with repair: %+v of %+v", turns[0], turns[1].Round)
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 0 || l.Digest != 0 {
		t.Errorf("%+v", l)
	}
	// A clock that was set back does not keep it from going on for ever.
	f.exec(`update sidegate.audit_round set last_began_at = now() + interval '1 year'`)
	if turn := f.turns(time.Hour, true, 1)[0]; turn.Wait != 0 {
		t.Errorf("after the clock was set back: wait %v", turn.Wait)
	}
}

// A round is spread over its period by what the last one has counted.
func TestAuditTurnsAreSpread(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'o' || i, 'x' from generate_series(1, 1500) i`)
	f.exec(`update sidegate.audit_round set last_lists = 1500`)
	turns := f.turns(time.Hour, true, 2)
	if turns[0].Lists != 1000 || turns[1].Wait < 35*time.Minute || turns[1].Wait > 36*time.Minute {
		t.Errorf("after 1000 of 1500 lists: %+v, then wait %v; want two thirds of 54 minutes", turns[0], turns[1].Wait)
	}
	f.exec(`update sidegate.audit_round set began_at = began_at - interval '36 min'`)
	turns = f.turns(time.Hour, true, 2)
	if turns[0].Lists != 500 || turns[1].Round.UnderWay || turns[1].Round.Lists != 1500 {
		t.Errorf("%+v, %+v", turns[0], turns[1].Round)
	}
}

// Of several processes one works; the lock ends with its transaction.
func TestAuditHasOneLeader(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `select sidegate.audit_turn('1 h', true, 10, 10)`); err != nil {
		t.Fatal(err)
	}
	if turn := f.turns(time.Hour, true, 1)[0]; turn.Wait != time.Second || turn.Round != nil || turn.Lists != 0 {
		t.Errorf("beside another: %+v", turn)
	}
	tx.Rollback(t.Context()) // it crashed: nothing of its turn is left
	if turn := f.turns(time.Hour, true, 1)[0]; turn.Wait != 0 || turn.Lists != 1 {
		t.Errorf("after the other is gone: %+v", turn)
	}
}

// A list that somebody holds is found, and left to the next round.
func TestAuditDoesNotWaitForLocks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, owner := range []string{"a", "b", "c"} {
		f.edit(add(owner, "alice"))
	}
	f.bypass(`delete from sidegate.block`)
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `select from sidegate.owner where owner =
		(select owner from sidegate.owner order by owner_hash offset 1 limit 1) for update`); err != nil {
		t.Fatal(err)
	}
	turn := f.turns(time.Hour, true, 1)[0]
	var repaired []bool
	for _, d := range turn.Damage {
		repaired = append(repaired, d.Repaired)
	}
	if !slices.Equal(repaired, []bool{true, false, false}) {
		t.Errorf("%+v", turn.Damage)
	}
}

// Writers at the same time are never taken for damage: header, rows and feed are
// compared in one snapshot.
func TestAuditBesideWriters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() { f.scribble(ctx, rand.New(rand.NewPCG(uint64(w), 1)), 60) })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	rounds := 0
	for running := true; running; rounds++ {
		select {
		case <-done:
			running = false // and once more
		default:
		}
		if _, _, found := f.audit(""); len(found) != 0 {
			t.Errorf("a false alarm: %+v", found)
			break
		}
	}
	stop()
	wg.Wait()
	if changes := one[int](f, `select count(*) from sidegate.change`); changes < 200 {
		t.Errorf("only %d changes were made beside %d rounds", changes, rounds)
	}
}

// scribble writes lists in every way that there is. Losing a race is no failure.
func (f *fixture) scribble(ctx context.Context, r *rand.Rand, n int) {
	owner := func() string { return fmt.Sprint("o", r.IntN(12)) }
	for range n {
		if ctx.Err() != nil {
			return
		}
		o, target := owner(), fmt.Sprint("t", r.IntN(20))
		switch r.IntN(8) {
		case 0, 1:
			e := add(o, target)
			e.Add[0].ExpiresAt = time.Now().Add(time.Duration(r.IntN(50)-5) * time.Millisecond)
			_, _ = f.Edit(ctx, e)
		case 2:
			_, _ = f.Edit(ctx, filter.Edit{List: blockList(o), Remove: []string{target}, Add: []filter.Addition{{Target: "x" + target}}})
		case 3:
			_, _ = f.hand.Exec(ctx, `insert into sidegate.block (app, owner, target)
				select 'default', o, $1 from unnest($2::text[]) o on conflict do nothing`, target, []string{o, owner()})
		case 4:
			_, _ = f.hand.Exec(ctx, `delete from sidegate.block where target = $1`, target)
		case 5:
			_, _ = f.hand.Exec(ctx, `update sidegate.block set expires_at = now() + interval '1 s' where owner = $1`, o)
		case 6:
			_, _ = f.SetAllowlistMode(ctx, filter.ModeChange{App: "default", Owners: []string{o}, On: r.IntN(2) == 0})
		default:
			_, _ = f.Expire(ctx, 10)
		}
	}
}

func TestBumpIncarnation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.edit(add("bob", "alice"))
	if err := f.BumpIncarnation(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id := f.poll(blocksync.Position{}).Identity; id.Incarnation == before.Identity.Incarnation || id.System != before.Identity.System {
		t.Errorf("the identity was %+v and is %+v", before.Identity, id)
	}
	after := f.edit(add("bob", "carl"))
	if after.Version != before.Version+1 {
		t.Errorf("version %d follows %d: none may be given out twice, and none is skipped", after.Version, before.Version)
	}
}
