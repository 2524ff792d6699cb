package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

func query(owner string, limit int) filter.ListQuery {
	return filter.ListQuery{List: blockList(owner), Limit: limit}
}

func (f *fixture) list(q filter.ListQuery) filter.ListPage {
	f.t.Helper()
	page, err := f.List(f.t.Context(), q)
	if err != nil {
		f.t.Fatal(err)
	}
	return page
}

func TestListIsNewestFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var want []string
	for request := range 5 {
		var names []string
		for i := range 7 {
			names = append(names, fmt.Sprintf("t%d-%d", request, (i*3)%7))
		}
		f.edit(add("bob", names...))
		slices.Reverse(names)
		want = append(names, want...)
	}
	for _, limit := range []int{1, 4, 34, 35, 100} {
		var got []string
		q := query("bob", limit)
		for {
			page := f.list(q)
			if page.Total != 35 || page.Version != 5 || len(page.Blocks) > limit {
				t.Fatalf("total %d, version %d, %d blocks of %d", page.Total, page.Version, len(page.Blocks), limit)
			}
			got = append(got, targets(page.Blocks)...)
			if page.Next.IsZero() {
				break
			}
			q.After = page.Next
		}
		if !slices.Equal(got, want) {
			t.Errorf("by pages of %d:\n%v\nwant\n%v", limit, got, want)
		}
	}
}

// Rows of one SQL statement may share instant and place; the target decides then.
func TestListOfEqualInstants(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target, created_at) select 'default', 'bob', 't' || i, '2026-01-01' from generate_series(1, 9) i`)
	var got []string
	for q := query("bob", 2); ; {
		page := f.list(q)
		got = append(got, targets(page.Blocks)...)
		if q.After = page.Next; q.After.IsZero() {
			break
		}
	}
	if want := []string{"t9", "t8", "t7", "t6", "t5", "t4", "t3", "t2", "t1"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestListLeavesOutWhatExpired(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target, expires_at, note, actor)
		values ('default', 'bob', 'over', now() - interval '1 us', null, ''), ('default', 'bob', 'on', '2100-01-01 00:00:00.123456+00', 'why', 'me')`)
	page := f.list(query("bob", 10))
	if page.Total != 1 || len(page.Blocks) != 1 {
		t.Fatalf("%+v", page)
	}
	b := page.Blocks[0]
	until := time.Date(2100, 1, 1, 0, 0, 0, 123456000, time.UTC)
	if b.Owner != "bob" || b.Target != "on" || !b.ExpiresAt.Equal(until) || b.Note != "why" || b.Source != "sql" || b.Actor != "me" {
		t.Errorf("%+v", b)
	}
	if _, ok, err := f.Get(t.Context(), blockList("bob"), "over"); ok || err != nil {
		t.Errorf("Get returns an entry that has expired: %v", err)
	}
	if got, ok, err := f.Get(t.Context(), blockList("bob"), "on"); !ok || err != nil || got != b {
		t.Errorf("Get %+v, List %+v, %v", got, b, err)
	}
}

func TestListOfNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	page := f.list(query("nobody", 10))
	if page.Version != 0 || page.Total != 0 || len(page.Blocks) != 0 || !page.Next.IsZero() || page.Identity.System == 0 {
		t.Errorf("%+v", page)
	}
	f.edit(add("other", "x"))
	f.exec(`insert into sidegate.block (app, kind, owner, target) values ('default', 'room', 'nobody', 'x'), ('elsewhere', 'block', 'nobody', 'x')`)
	if page := f.list(query("nobody", 10)); page.Total != 0 {
		t.Errorf("sees another list: %+v", page)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	populate(f)
	lists, entries, err := f.Sizes(t.Context(), "default", 0)
	if want := one[int64](f, `select count(*) from sidegate.block where app = 'default' and kind = 'block'`); err != nil || lists != 300 || entries != want {
		t.Errorf("%d lists, %d entries, %v; want 300 and %d", lists, entries, err, want)
	}
	if lists, entries, err := f.Sizes(t.Context(), "nowhere", 0); err != nil || lists != 0 || entries != 0 {
		t.Errorf("%d, %d, %v", lists, entries, err)
	}
}
