package postgres_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"

	blocksync "github.com/sidegate/sidegate/sync"
)

// work runs a query and returns how many rows of a relation, a table or an index,
// it read: of a table by scanning it, of an index in the range asked for.
func work(f *fixture, relation, sql string, args ...any) (read int64) {
	f.t.Helper()
	err := pgx.BeginFunc(f.t.Context(), f.hand, func(tx pgx.Tx) error {
		const counter = `select pg_stat_get_xact_tuples_returned($1::text::regclass)`
		before := row[int64](f.t, tx, counter, relation)
		rows, err := tx.Query(f.t.Context(), sql, args...)
		if err != nil {
			return err
		}
		rows.Close()
		read = row[int64](f.t, tx, counter, relation) - before
		return rows.Err()
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return read
}

// populate makes lists of every shape: with and without expiries, emptied, in
// allowlist mode, of other apps and kinds.
func populate(f *fixture) {
	f.t.Helper()
	f.exec(`insert into sidegate.block (app, owner, target, expires_at)
		select 'default', 'owner' || o, 'target' || t, case when t % 3 = 0 and o % 2 = 0 then now() + t * interval '1.000001 h' end
		  from generate_series(1, 300) o, generate_series(1, 1 + o % 12) t`)
	f.exec(`delete from sidegate.block where owner in ('owner7', 'owner77')`)
	f.exec(`insert into sidegate.block (app, kind, owner, target) values ('other', 'block', 'owner1', 'x'), ('default', 'room', 'owner1', 'x')`)
	f.mode(true, "owner300")
}

// byHand reads a list by a second path.
func byHand(f *fixture, owner string) (list cache.List) {
	f.t.Helper()
	rows, err := f.hand.Query(f.t.Context(), `select target, coalesce(sidegate.micros(expires_at), 0) from sidegate.block
		where app = 'default' and kind = 'block' and owner = $1 order by target`, owner)
	if err != nil {
		f.t.Fatal(err)
	}
	list.Entries, err = pgx.CollectRows(rows, pgx.RowToStructByPos[cache.Entry])
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

func TestLoadReturnsEveryListOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	populate(f)
	identity := f.poll(blocksync.Position{}).Identity
	for _, bits := range []int{0, 1, 2, 5, 9} {
		seen := map[string]bool{}
		for page := range uint64(1) << bits {
			r := pageRange(bits, page)
			loaded := f.load(cache.KindBlock, r)
			if loaded.Identity != identity || loaded.Count != len(loaded.Lists) {
				t.Fatalf("bits %d page %d: %d counted, %d loaded, %+v", bits, page, loaded.Count, len(loaded.Lists), loaded.Identity)
			}
			for _, l := range loaded.Lists {
				if h := cache.HashOwner(l.Owner, identity.Salt); h < r.Lo || h > r.Hi || seen[l.Owner] {
					t.Errorf("bits %d page %d: %s does not belong here", bits, page, l.Owner)
				}
				seen[l.Owner] = true
				checkList(t, f, l, bits == 0)
			}
		}
		if len(seen) != 300 {
			t.Errorf("bits %d: %d lists", bits, len(seen))
		}
	}
}

func pageRange(bits int, page uint64) cache.Range {
	if bits == 0 {
		return cache.Range{Lo: 0, Hi: math.MaxUint64}
	}
	return cache.Range{Lo: page << (64 - bits), Hi: page<<(64-bits) | math.MaxUint64>>bits}
}

func checkList(t *testing.T, f *fixture, l cache.List, deep bool) {
	t.Helper()
	if l.Digest != cache.ListDigest(l.Allowlist, l.Entries) || l.Size != len(l.Entries) || l.Version == 0 {
		t.Errorf("%s: %+v", l.Owner, l)
	}
	if l.Allowlist != (l.Owner == "owner300") || (l.Size == 0) != (l.Owner == "owner7" || l.Owner == "owner77") {
		t.Errorf("%s: allowlist %v, size %d", l.Owner, l.Allowlist, l.Size)
	}
	if !deep {
		return
	}
	slices.SortFunc(l.Entries, func(a, b cache.Entry) int { return strings.Compare(a.Target, b.Target) })
	if want := byHand(f, l.Owner); !slices.Equal(l.Entries, want.Entries) {
		t.Errorf("%s: loaded %v, rows %v", l.Owner, l.Entries, want.Entries)
	}
}

// A page costs what it holds, whether or not the tables were analyzed.
func TestLoadReadsRangesOfIndexes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'o' || i, 't' || t from generate_series(1, 3000) i, generate_series(1, 5) t`)
	for _, statistics := range []string{`select 1`, `analyze sidegate.owner, sidegate.block`} {
		f.exec(statistics)
		r := pageRange(6, 11)
		loaded := f.load(cache.KindBlock, r)
		args := []any{"default", "block", int64(r.Lo), int64(r.Hi)}
		for relation, most := range map[string]int{
			"sidegate.owner": 0, "sidegate.block": 0,
			"sidegate.owner_pkey": 8 * len(loaded.Lists), "sidegate.block_pkey": 8 * len(loaded.Lists),
		} {
			if n := work(f, relation, postgres.LoadSQL, args...); n > int64(most) {
				t.Errorf("%s: a page of %d lists read %d rows of %s", statistics, len(loaded.Lists), n, relation)
			}
		}
	}
}

// The entries of a page lie in the table in the order in which they were written:
// each would cost a block of its own. The key alone holds all that a page needs,
// but for expiries, which have indices of their own.
func TestLoadReadsNoRowOfTheTableThatDoesNotExpire(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target, expires_at)
		select 'default', 'o' || i, 't' || t, case when i = 7 and t = 2 then now() + interval '1 day' end
		  from generate_series(1, 2000) i, generate_series(1, 5) t order by random()`)
	f.exec(`vacuum (analyze) sidegate.block`)
	var byKey, byExpiry int64
	err := pgx.BeginFunc(t.Context(), f.hand, func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), postgres.LoadSQL, "default", "block", int64(math.MinInt64), int64(math.MaxInt64))
		if err != nil {
			return err
		}
		n := 0
		for rows.Next() {
			n++
		}
		if rows.Close(); n != 2001 {
			t.Errorf("%d rows", n)
		}
		const counter = `select pg_stat_get_xact_tuples_fetched($1::text::regclass)`
		byKey = row[int64](t, tx, counter, "sidegate.block_pkey")
		byExpiry = row[int64](t, tx, counter, "sidegate.block_owner_expires")
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if byKey != 0 || byExpiry != 1 {
		t.Errorf("%d rows of 10,000 were fetched from the table for their key, and %d for their expiry, which one has", byKey, byExpiry)
	}
}

func TestLoadBelievesOnlyAPrimary(t *testing.T) {
	t.Parallel()
	primary := pgtest.Server(t, nil)
	f := onDatabase(t, pgtest.Migrated(t, primary))
	f.edit(add("bob", "alice"))
	dsn := pgtest.Standby(t, primary).DSN("sidegate")
	standby := openStore(t, dsn)

	if err := standby.Load(t.Context(), "default", cache.KindBlock, cache.Range{Hi: math.MaxUint64}, new(cache.Loaded)); !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("Load: %v", err)
	}
	if b, err := standby.Poll(t.Context(), blocksync.Position{}); err != nil || !b.Recovery || len(b.Changes) != 0 {
		t.Errorf("Poll: %+v, %v", b, err)
	}
	if _, err := standby.Check(t.Context()); !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("Check: %v", err)
	}
	if _, err := standby.Edit(t.Context(), add("bob", "carl")); code(err) != "store_unavailable" {
		t.Errorf("Edit: %v", err)
	}
	if _, err := standby.List(t.Context(), query("bob", 10)); code(err) != "store_unavailable" || !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("List: %v", err)
	}
	if err := postgres.Up(t.Context(), dsn); !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("Up: %v", err)
	}
}

// The hash and the digest are computed on both sides.
func TestHashesAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rnd := rand.New(rand.NewPCG(3, 3))
	salt := f.poll(blocksync.Position{}).Identity.Salt
	var texts []string
	var expires []int64
	for i := range 2000 {
		texts = append(texts, randomID(rnd, i%257))
		expires = append(expires, []int64{0, 1 + rnd.Int64N(4e15), rnd.Int64N(1e17) + 1}[i%3])
	}
	rows, err := f.hand.Query(t.Context(), `select sidegate.owner_hash(t), sidegate.entry_digest(t,
			case when e > 0 then timestamptz 'epoch' + (e / 1000000) * interval '1 s' + (e % 1000000) * interval '1 us' end)
		from unnest($1::text[], $2::bigint[]) with ordinality v(t, e, n) order by n`, texts, expires)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	var owner, entry int64
	_, err = pgx.ForEachRow(rows, []any{&owner, &entry}, func() error {
		if uint64(owner) != cache.HashOwner(texts[i], salt) {
			t.Errorf("owner hash of %q differs", texts[i])
		}
		if uint64(entry) != cache.EntryDigest(cache.Entry{Target: texts[i], Expires: expires[i]}) {
			t.Errorf("digest of %q until %d differs", texts[i], expires[i])
		}
		i++
		return nil
	})
	if err != nil || i != len(texts) {
		t.Fatal(i, err)
	}
}

func randomID(rnd *rand.Rand, length int) string {
	var b strings.Builder
	for b.Len() < length {
		b.WriteRune([]rune("aZ0%/日ü🦊 ")[rnd.IntN(9)])
	}
	return b.String()
}
