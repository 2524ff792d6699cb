package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// hub is whose list is walked, and whose being on lists is.
const hub = "hub"

// churner writes around hub by every door until it is told to stop: others come
// on hub's list and go, and hub comes on theirs and goes. What it never touches
// are the users whose names begin with "calm".
type churner struct {
	f   *fixture
	rnd *rand.Rand
}

func (c churner) other() string { return fmt.Sprint("t", c.rnd.IntN(40)) }

// pair is an owner and a target, one of which is hub.
func (c churner) pair() (owner, target string) {
	if c.rnd.IntN(2) == 0 {
		return hub, c.other()
	}
	return c.other(), hub
}

func (c churner) write(ctx context.Context) error {
	owner, target := c.pair()
	switch c.rnd.IntN(6) {
	case 0, 1:
		e := add(owner, target)
		if c.rnd.IntN(3) == 0 {
			e.Add[0].Keep, e.Add[0].ExpiresAt = false, time.Now().Add(time.Duration(1+c.rnd.IntN(30))*time.Millisecond)
		}
		_, err := c.f.Edit(ctx, e)
		return err
	case 2, 3:
		_, err := c.f.Edit(ctx, filter.Edit{List: blockList(owner), Remove: []string{target}, Source: "native"})
		return err
	case 4:
		// Somebody who writes the beginning by hand puts entries anywhere.
		_, err := c.f.hand.Exec(ctx, `insert into sidegate.block (app, owner, target, created_at) values ('default', $1, $2,
			clock_timestamp() - $3::bigint * interval '1 us') on conflict do nothing`, owner, target, c.rnd.Int64N(1_000_000))
		return err
	}
	_, err := c.f.Expire(ctx, 20)
	return err
}

// churned runs do while writers write, and returns when they have ended. It tells
// do how often they have written so far.
func churned(f *fixture, writers int, do func(written *atomic.Int64)) {
	f.t.Helper()
	seed := uint64(time.Now().UnixNano())
	f.t.Log("seed", seed)
	ctx, stop := context.WithCancel(f.t.Context())
	var wg sync.WaitGroup
	var written atomic.Int64
	for i := range writers {
		c := churner{f, rand.New(rand.NewPCG(seed, uint64(i)))}
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := c.write(ctx); ctx.Err() == nil && !expected(err) {
					f.t.Errorf("writer %d: %v", i, err)
					return
				}
				written.Add(1)
			}
		})
	}
	defer wg.Wait()
	defer stop()
	do(&written)
}

// sight is what a walk shows of one entry or interval.
type sight struct {
	at time.Time
	id string
}

func (s sight) String() string { return fmt.Sprint(s.at.UnixMicro(), " ", s.id) }

// walkAll reads piece by piece, with pieces of all sizes, and counts how often
// each sight came by. It says what is not in order.
func walkAll(rnd *rand.Rand, read func(limit int, after filter.Place) ([]sight, filter.Place, error)) (map[sight]int, error) {
	seen := make(map[sight]int)
	var after filter.Place
	var last time.Time
	for len(seen) < 10_000 {
		limit := 1 + rnd.IntN(7)
		piece, next, err := read(limit, after)
		if err != nil {
			return nil, err
		}
		for _, s := range piece {
			if seen[s]++; seen[s] > 1000 || !last.IsZero() && s.at.After(last) {
				return nil, fmt.Errorf("%v comes after %v", s, last)
			}
			last = s.at
		}
		if next.IsZero() {
			return seen, nil
		}
		if len(piece) != limit {
			return nil, fmt.Errorf("a piece of %d has %d entries and is not the last", limit, len(piece))
		}
		after = next
	}
	return nil, errors.New("the walk does not end")
}

func (f *fixture) sightsOfList(limit int, after filter.Place) ([]sight, filter.Place, error) {
	page, err := f.List(f.t.Context(), filter.ListQuery{List: blockList(hub), Limit: limit, After: after})
	out := make([]sight, len(page.Blocks))
	for i, b := range page.Blocks {
		out[i] = sight{b.CreatedAt, b.Target}
	}
	return out, page.Next, err
}

func (f *fixture) sightsOfBlockedBy(limit int, after filter.Place) ([]sight, filter.Place, error) {
	page, err := f.BlockedBy(f.t.Context(), filter.BlockedByQuery{App: "default", Target: hub, Limit: limit, After: after})
	out := make([]sight, len(page.Blocks))
	for i, b := range page.Blocks {
		out[i] = sight{b.CreatedAt, b.Owner}
	}
	return out, page.Next, err
}

func (f *fixture) sightsOfHistory(limit int, after filter.Place) ([]sight, filter.Place, error) {
	page, err := f.History(f.t.Context(), filter.HistoryQuery{List: blockList(hub), Limit: limit, After: after})
	out := make([]sight, len(page.Intervals))
	for i, iv := range page.Intervals {
		out[i] = sight{iv.BlockedAt, iv.Target}
	}
	return out, page.Next, err
}

// present counts by plain SQL what there is at this moment.
func (f *fixture) present(sql string) (map[sight]int, error) {
	rows, err := f.hand.Query(f.t.Context(), sql, hub)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make(map[sight]int)
	for rows.Next() {
		var s sight
		if err := rows.Scan(&s.at, &s.id); err != nil {
			return nil, err
		}
		s.at = s.at.UTC()
		out[s]++
	}
	return out, rows.Err()
}

// TestWalksWhileOthersWrite: what was there during a whole walk is seen exactly
// once, and nothing is seen twice. An entry that was there before and after, with
// the same beginning, was there in between. Intervals never go away; they only
// end, and many do while they are being walked over.
func TestWalksWhileOthersWrite(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 60 {
		f.edit(add(hub, fmt.Sprint("calm", i)))
		f.edit(add(fmt.Sprint("calm", i), hub))
		if i%3 == 0 { // what comes and goes lies between
			f.edit(add(hub, fmt.Sprint("t", i/2)))
			f.edit(add(fmt.Sprint("t", i/2), hub))
		}
	}
	const live = ` and kind = 'block' and (expires_at is null or expires_at > clock_timestamp())`
	walks := []struct {
		name    string
		read    func(limit int, after filter.Place) ([]sight, filter.Place, error)
		present string
		grows   bool // nothing ever leaves it
	}{
		{"list", f.sightsOfList, `select created_at, target from sidegate.block where owner = $1` + live, false},
		{"blocked-by", f.sightsOfBlockedBy, `select created_at, owner from sidegate.block where target = $1` + live, false},
		{"history", f.sightsOfHistory, `select created_at, target from sidegate.block where owner = $1
			union all select blocked_at, target from sidegate.history where owner = $1`, true},
	}
	churned(f, 5, func(written *atomic.Int64) {
		var wg sync.WaitGroup
		for n, w := range walks {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(n), 7))
				for done := 0; (done < 12 || written.Load() < 800) && !t.Failed(); done++ {
					before, err := f.present(w.present)
					if err != nil {
						t.Error(err)
						return
					}
					seen, err := walkAll(rnd, w.read)
					if err != nil {
						t.Errorf("%s: %v", w.name, err)
						return
					}
					after, err := f.present(w.present)
					if err != nil {
						t.Error(err)
						return
					}
					judge(t, w.name, w.grows, [3]map[sight]int{before, seen, after})
				}
			})
		}
		wg.Wait()
	})
	if n := one[int](f, `select count(*) from sidegate.history`); n < 50 {
		t.Errorf("only %d intervals ended: nothing has been put to the test", n)
	}
}

// judge compares what a walk saw with what there was before and after it.
func judge(t *testing.T, name string, grows bool, counts [3]map[sight]int) {
	t.Helper()
	before, seen, after := counts[0], counts[1], counts[2]
	calm := 0
	for s, n := range before {
		stayed := grows || after[s] == n
		if stayed && seen[s] < n {
			t.Errorf("%s: %v was there all the time, %d times, and seen %d times", name, s, n, seen[s])
		}
		if len(s.id) > 4 && s.id[:4] == "calm" {
			calm++
		}
	}
	for s, n := range seen {
		if most := max(before[s], after[s], 1); n > most {
			t.Errorf("%s: %v was seen %d times, there were %d", name, s, n, most)
		}
	}
	if calm != 60 {
		t.Errorf("%s: %d of the entries that nobody touches are there", name, calm)
	}
}

// TestCountingWouldRepeatAndLose shows what places are for: pages that are
// counted off from the top move when others write.
func TestCountingWouldRepeatAndLose(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 6 {
		f.edit(add(hub, fmt.Sprint("t", i)))
	}
	counted := func(offset int) []string {
		return one[[]string](f, `select array_agg(target order by created_at desc) from (
			select target, created_at from sidegate.block where owner = 'hub' order by created_at desc offset $1 limit 2) p`, offset)
	}
	first := f.list(query(hub, 2))
	off := counted(0)
	f.edit(add(hub, "newer"))
	second := f.list(filter.ListQuery{List: blockList(hub), Limit: 2, After: first.Next})
	if got := targets(second.Blocks); !slices.Equal(got, []string{"t3", "t2"}) {
		t.Errorf("the second page is %v", got)
	}
	if repeated := counted(2); repeated[0] != off[1] {
		t.Errorf("counted pages %v and %v: guard off, and nothing is repeated", off, repeated)
	}
	f.edit(filter.Edit{List: blockList(hub), Remove: []string{"newer", "t5", "t4"}})
	third := f.list(filter.ListQuery{List: blockList(hub), Limit: 2, After: second.Next})
	if got := targets(third.Blocks); !slices.Equal(got, []string{"t1", "t0"}) || !third.Next.IsZero() {
		t.Errorf("the third page is %v", got)
	}
	if lost := counted(4); lost != nil {
		t.Errorf("counted page %v: guard off, and nothing is lost", lost)
	}
}
