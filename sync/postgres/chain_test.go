package postgres_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const (
	clients  = 12
	chainCap = 25
)

// client writes at random, by every door there is, to few lists, so that all of
// them meet all the time.
type client struct {
	f   *fixture
	rnd *rand.Rand
}

func (c client) owner() string { return fmt.Sprint("owner", c.rnd.IntN(5)) }

func (c client) target() string { return fmt.Sprint("target", c.rnd.IntN(60)) }

func (c client) edit() error {
	e := add(c.owner(), c.target())
	e.Remove = []string{"r" + c.target()}
	if other := c.target(); other != e.Add[0].Target {
		e.Add = append(e.Add, filter.Addition{Target: other, Note: c.target(), ExpiresAt: time.Now().Add(time.Duration(c.rnd.IntN(50)) * time.Millisecond)})
	}
	_, err := c.f.Edit(c.f.t.Context(), e)
	return err
}

func (c client) one() error {
	_, err := c.f.Edit(c.f.t.Context(), add(c.owner(), c.target()))
	return err
}

func (c client) remove() error {
	_, err := c.f.Edit(c.f.t.Context(), filter.Edit{List: blockList(c.owner()), Remove: []string{c.target(), "x" + c.target()}})
	return err
}

func (c client) sql() error {
	const insert = `insert into sidegate.block (app, owner, target, expires_at)
		values ('default', $1, $2, null), ('default', $3, $4, clock_timestamp() + interval '20 ms') on conflict do nothing`
	statements := []func() (pgconn.CommandTag, error){
		func() (pgconn.CommandTag, error) {
			return c.f.hand.Exec(c.f.t.Context(), insert, c.owner(), c.target(), c.owner(), c.target())
		},
		func() (pgconn.CommandTag, error) {
			return c.f.hand.Exec(c.f.t.Context(), `delete from sidegate.block where target = $1`, c.target())
		},
		func() (pgconn.CommandTag, error) {
			return c.f.hand.Exec(c.f.t.Context(), `update sidegate.block set expires_at = $2, note = $3 where target = $1`,
				c.target(), time.Now().Add(time.Hour), c.target())
		},
	}
	_, err := statements[c.rnd.IntN(len(statements))]()
	return err
}

func (c client) copyIn() error {
	rows := [][]any{{"default", c.owner(), "copy" + fmt.Sprint(c.rnd.Int())}, {"default", c.owner(), "copy" + fmt.Sprint(c.rnd.Int())}}
	_, err := c.f.hand.CopyFrom(c.f.t.Context(), pgx.Identifier{"sidegate", "block"}, []string{"app", "owner", "target"}, pgx.CopyFromRows(rows))
	return err
}

func (c client) upkeep() error {
	if c.rnd.IntN(2) == 0 {
		owners := []string{c.owner(), c.owner()} // any order, the same twice
		_, err := c.f.SetAllowlistMode(c.f.t.Context(), filter.ModeChange{App: "default", Owners: owners, On: c.rnd.IntN(2) == 0})
		return err
	}
	_, err := c.f.Expire(c.f.t.Context(), 10)
	return err
}

// expected reports whether err is one that such neighbours give each other.
func expected(err error) bool {
	if c := code(err); c != "" {
		return c == filter.CodeLimitExceeded || c == filter.CodeStoreUnavailable
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return err == nil || ok && slices.Contains([]string{"SG001", "40P01", "40001", "55P03"}, pg.Code)
}

// churn lets all clients write and returns how often they succeeded.
func churn(f *fixture, writes int) (done int) {
	f.t.Helper()
	seed := uint64(time.Now().UnixNano())
	f.t.Log("seed", seed)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := client{f: f, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
			doors := []func() error{c.edit, c.one, c.one, c.remove, c.sql, c.sql, c.copyIn, c.upkeep}
			for range writes {
				err := doors[c.rnd.IntN(len(doors))]()
				if !expected(err) {
					f.t.Errorf("client %d: %v", i, err)
				}
				mu.Lock()
				if err == nil {
					done++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return done
}

// history of one list, and what it comes to.
type chain struct {
	version int64
	allow   bool
	entries map[string]int64
}

func (c *chain) digest() uint64 {
	list := make([]cache.Entry, 0, len(c.entries))
	for target, expires := range c.entries {
		list = append(list, cache.Entry{Target: target, Expires: expires})
	}
	return cache.ListDigest(c.allow, list)
}

// step follows a change and says what is wrong with it.
func (c *chain) step(ch cache.Change) string {
	if ch.Prev != c.version || ch.Version <= ch.Prev {
		return fmt.Sprintf("version %d follows %d, but the list was at %d", ch.Version, ch.Prev, c.version)
	}
	c.version, c.allow = ch.Version, ch.Allowlist
	for _, e := range ch.Entries {
		_, there := c.entries[e.Target]
		if there != (ch.Op != cache.OpAdd) {
			return fmt.Sprintf("op %c of %q, there before: %v", ch.Op, e.Target, there)
		}
		if ch.Op == cache.OpRemove {
			delete(c.entries, e.Target)
		} else {
			c.entries[e.Target] = e.Expires
		}
	}
	if len(c.entries) != ch.Size || c.digest() != ch.Digest {
		return fmt.Sprintf("version %d: %d entries with digest %x, the change says %d and %x", ch.Version, len(c.entries), c.digest(), ch.Size, ch.Digest)
	}
	return ""
}

// follow replays the whole feed and compares what it comes to with the lists. It
// returns everything that does not fit.
func follow(f *fixture) (wrong []string) {
	f.t.Helper()
	rows, err := f.hand.Query(f.t.Context(), `select app, kind, owner, prev, version, size, digest, allowlist, op::text, targets, expires
		from sidegate.change order by version`)
	if err != nil {
		f.t.Fatal(err)
	}
	chains := map[string]*chain{}
	changes, err := pgx.CollectRows(rows, scanChange)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, ch := range changes {
		c := chains[ch.Owner]
		if c == nil {
			c = &chain{entries: map[string]int64{}}
			chains[ch.Owner] = c
		}
		if problem := c.step(ch); problem != "" {
			wrong = append(wrong, ch.Owner+": "+problem)
		}
	}
	for owner, l := range f.all(cache.KindBlock) {
		c := chains[owner]
		if c == nil || l.Version != c.version || l.Digest != c.digest() || l.Size != len(l.Entries) ||
			l.Digest != cache.ListDigest(l.Allowlist, l.Entries) || l.Size > chainCap {
			wrong = append(wrong, fmt.Sprintf("%s: header %d/%d, %d rows, feed %+v", owner, l.Version, l.Size, len(l.Entries), c))
		}
	}
	return wrong
}

func scanChange(row pgx.CollectableRow) (c cache.Change, err error) {
	var kind, op string
	var digest int64
	var targets []string
	var expires []int64
	err = row.Scan(&c.App, &kind, &c.Owner, &c.Prev, &c.Version, &c.Size, &digest, &c.Allowlist, &op, &targets, &expires)
	c.Digest, c.Op = uint64(digest), cache.Op(op[0])
	for i := range targets {
		c.Entries = append(c.Entries, cache.Entry{Target: targets[i], Expires: expires[i]})
	}
	slices.SortFunc(c.Entries, func(a, b cache.Entry) int { return cmp.Compare(a.Target, b.Target) })
	return c, err
}

// Whatever is written through whichever door, each list has one linear history,
// and header, rows and history agree.
func TestHistoryIsLinear(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", chainCap); err != nil {
		t.Fatal(err)
	}
	done := churn(f, 80)
	wrong := follow(f)
	for _, problem := range wrong {
		t.Error(problem)
	}
	if done < clients*80/3 {
		t.Errorf("only %d writes succeeded, the test shows little", done)
	}
}

// Without the lock before the read the same clients break the chain: a statement
// that waits for a header reads with a snapshot from before the wait.
func TestHistoryWithoutTheLock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	def := one[string](f, `select pg_get_functiondef('sidegate.block_edited'::regproc)`)
	const lock = " for no key update"
	if strings.Count(def, lock) != 1 {
		t.Fatal("the lock is not where this test expects it")
	}
	f.exec(strings.Replace(def, lock, "", 1))
	for round := range 20 {
		churn(f, 20)
		if wrong := follow(f); len(wrong) > 0 {
			t.Logf("round %d: %d problems, such as %s", round, len(wrong), wrong[0])
			return
		}
	}
	t.Error("the chain holds without the lock: the test of it shows nothing")
}
