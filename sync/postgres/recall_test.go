package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// recall asks whether targets were on bob's list at one instant, and answers with
// how each interval ended: "" = not on it, "on" = under way.
func (f *fixture) recall(at time.Time, targets ...string) []string {
	f.t.Helper()
	moments := make([]filter.Moment, len(targets))
	for i, target := range targets {
		moments[i] = filter.Moment{List: blockList("bob"), Target: target, At: at}
	}
	intervals, err := f.Recall(f.t.Context(), moments)
	if err != nil || len(intervals) != len(moments) {
		f.t.Fatalf("%d intervals for %d moments: %v", len(intervals), len(moments), err)
	}
	out := make([]string, len(targets))
	for i, iv := range intervals {
		switch {
		case iv == filter.Interval{}:
		case iv.Owner != "bob" || iv.Target != targets[i]:
			f.t.Errorf("%s at %v: %+v", targets[i], at, iv)
		case iv.UnblockedAt.IsZero():
			out[i] = "on"
		default:
			out[i] = iv.EndedSource
		}
	}
	return out
}

// TestRecallUnitesWhatEndedAndWhatGoesOn: an interval holds its beginning and not
// its end, wherever its row is and whether or not it has been swept.
func TestRecallUnitesWhatEndedAndWhatGoesOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hour := func(h int) time.Time { return time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC) }
	f.exec(`insert into sidegate.history (app, kind, owner, target, blocked_at, unblocked_at, expires_at, source, actor, ended_source, ended_actor) values
		('default', 'block', 'bob', 'ended', '2026-01-01 10:00+00', '2026-01-01 11:00+00', null, 's', '', 'native', ''),
		('default', 'block', 'bob', 'ended', '2026-01-01 13:00+00', '2026-01-01 13:00+00', null, 's', '', 'empty', ''),
		('default', 'block', 'bob', 'ended', '2026-01-01 15:00+00', '2026-01-01 16:00+00', null, 's', '', 'native', ''),
		('elsewhere', 'block', 'bob', 'x', '2026-01-01 00:00+00', '2026-01-02 00:00+00', null, 's', '', 'wrong', ''),
		('default', 'room', 'bob', 'x', '2026-01-01 00:00+00', '2026-01-02 00:00+00', null, 's', '', 'wrong', ''),
		('default', 'block', 'x', 'bob', '2026-01-01 00:00+00', '2026-01-02 00:00+00', null, 's', '', 'wrong', '')`)
	f.exec(`insert into sidegate.block (app, owner, target, created_at, expires_at) values
		('default', 'bob', 'ended',   '2026-01-01 20:00+00', null),
		('default', 'bob', 'expired', '2026-01-01 10:00+00', '2026-01-01 12:00+00'),
		('default', 'bob', 'never',   '2026-01-01 12:00+00', '2026-01-01 11:00+00'),
		('default', 'bob', 'later',   '2026-01-01 10:00+00', now() + interval '1 h'),
		('default', 'bob', 'old',     '1970-01-01 00:00+00', null)`)
	all := []string{"ended", "expired", "never", "old", "x", "ended"}
	for round := range 2 {
		for _, c := range []struct {
			at   time.Time
			want []string
		}{
			{time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), []string{"", "", "", "", "", ""}},
			{hour(9), []string{"", "", "", "on", "", ""}},
			{hour(10).Add(-time.Microsecond), []string{"", "", "", "on", "", ""}},
			{hour(10), []string{"native", "expiry", "", "on", "", "native"}},
			{hour(11).Add(-time.Nanosecond), []string{"native", "expiry", "", "on", "", "native"}},
			{hour(11), []string{"", "expiry", "", "on", "", ""}},
			{hour(12), []string{"", "", "", "on", "", ""}},
			{hour(13), []string{"", "", "", "on", "", ""}},
			{hour(15), []string{"native", "", "", "on", "", "native"}},
			{hour(20), []string{"on", "", "", "on", "", "on"}},
			{hour(9_000_000), []string{"on", "", "", "on", "", "on"}}, // a thousand years ahead counts as now
		} {
			if got := f.recall(c.at, all...); !slices.Equal(got, c.want) {
				t.Errorf("round %d, at %v: %q, want %q", round, c.at, got, c.want)
			}
		}
		if got := f.recall(hour(9_000_000), "later"); got[0] != "on" {
			t.Errorf("of a time to come, when the block will have expired: %q, want what is now", got)
		}
		if n, err := f.Expire(t.Context(), 10); err != nil || n != 2*(1-round) {
			t.Fatal(n, err)
		}
	}
	if got, err := f.Recall(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

// TestRecallOutlivesTheFeed: the change log may be trimmed to nothing.
func TestRecallOutlivesTheFeed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	during := one[time.Time](f, `select clock_timestamp()`)
	f.edit(remove("bob", "alice"))
	after := one[time.Time](f, `select clock_timestamp()`)
	f.settled() // a transaction of somebody else's keeps changes from being trimmed
	f.exec(`select sidegate.trim('0 s', 100)`)
	if n := one[int](f, `select count(*) from sidegate.change`); n != 0 {
		t.Fatalf("%d changes are left, so this shows nothing", n)
	}
	if got := f.recall(during, "alice"); got[0] != "console" {
		t.Errorf("during the block: %q", got)
	}
	if got := f.recall(after, "alice"); got[0] != "" {
		t.Errorf("after it: %q", got)
	}
}

// TestRecallIsHistory: the two statements that read the past say the same of any
// moment, of intervals that overlap too, which rows by hand can make.
func TestRecallIsHistory(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rapid.Check(t, func(rt *rapid.T) {
		f.exec(`truncate sidegate.block, sidegate.history`)
		minute := rapid.IntRange(0, 30)
		at := func(m int) time.Time { return time.Date(2026, 1, 1, 0, m, 0, 0, time.UTC) }
		targets := []string{"a", "b", "c"}
		for range rapid.IntRange(0, 8).Draw(rt, "ended") {
			began := minute.Draw(rt, "began")
			f.exec(`insert into sidegate.history (app, kind, owner, target, blocked_at, unblocked_at, source, actor, ended_source, ended_actor)
				values ('default', 'block', 'bob', $1, $2, $3, 's', '', $4, '')`, rapid.SampledFrom(targets).Draw(rt, "target"),
				at(began), at(began+rapid.IntRange(0, 9).Draw(rt, "long")), fmt.Sprint("e", began))
		}
		for _, target := range targets {
			var expires *time.Time
			switch rapid.IntRange(0, 2).Draw(rt, "row") {
			case 0:
				continue
			case 1:
				e := at(minute.Draw(rt, "expires"))
				expires = &e
			}
			f.exec(`insert into sidegate.block (app, owner, target, created_at, expires_at) values ('default', 'bob', $1, $2, $3)`,
				target, at(minute.Draw(rt, "created")), expires)
		}
		for range 10 {
			m := rapid.IntRange(0, 41).Draw(rt, "asked")
			var want []string
			for _, target := range targets {
				state := ""
				if page := f.history(filter.HistoryQuery{Target: target, From: at(m), To: at(m), Limit: 1}); len(page) > 0 {
					if state = page[0].EndedSource; page[0].UnblockedAt.IsZero() {
						state = "on"
					}
				}
				want = append(want, state)
			}
			if got := f.recall(at(m), targets...); !slices.Equal(got, want) {
				rt.Fatalf("at minute %d: %q, want %q", m, got, want)
			}
		}
	})
}

// TestRecallDescendsIntoIndexes: what a thousand moments cost does not grow with
// the tables, analyzed or not, whatever the plan was made for.
func TestRecallDescendsIntoIndexes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	much(f)
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'many', 'u' || i from generate_series(1, 2000) i`)
	const n = 1000
	var kinds, owners, targets []string
	var instants []time.Time
	for i := range n {
		kinds, owners = append(kinds, "block"), append(owners, "many")
		targets = append(targets, fmt.Sprintf("%c%d", "tu"[i%2], i+1))
		instants = append(instants, time.Date(2026, 1, 1, 0, i+1, 30, 0, time.UTC))
	}
	args := []any{"default", kinds, owners, targets, instants}
	cheap := func(f *fixture) {
		t.Helper()
		for _, table := range []string{"sidegate.block", "sidegate.history"} {
			if rows := work(f, table, postgres.RecallSQL, args...); rows > 0 {
				t.Errorf("%d rows of %s were scanned", rows, table)
			}
		}
		for _, index := range []string{"sidegate.block_pkey", "sidegate.history_pair", "sidegate.history_list"} {
			if rows := work(f, index, postgres.RecallSQL, args...); rows > 2*n {
				t.Errorf("%d entries of %s were read for %d moments", rows, index, n)
			}
		}
	}
	cheap(f)
	cheap(onDatabase(t, f.dsn+"&options=-cplan_cache_mode%3Dforce_generic_plan"))
	f.exec(`analyze`)
	cheap(f)
	cheap(onDatabase(t, f.dsn+"&options=-cplan_cache_mode%3Dforce_generic_plan"))
}

// TestRecallNeedsNoMoreThanReading: a process that only answers decisions has
// sidegate_read and nothing else.
func TestRecallNeedsNoMoreThanReading(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	reader := openStore(t, f.dsn+"&options=-crole%3Dsidegate_read")
	moments := []filter.Moment{{List: blockList("bob"), Target: "alice", At: time.Now().Add(time.Hour)}}
	got, err := reader.Recall(t.Context(), moments)
	if err != nil || got[0].Source != "native" || got[0].Actor != "test" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRecallOnAStandbyAndWithoutAServer(t *testing.T) {
	t.Parallel()
	primary := pgtest.Server(t, nil)
	f := onDatabase(t, pgtest.Migrated(t, primary))
	moments := []filter.Moment{{List: filter.ListID{App: "default", Kind: cache.KindBlock, Owner: "bob"}, Target: "alice", At: time.Now()}}
	standby := openStore(t, pgtest.Standby(t, primary).DSN("sidegate"))
	if _, err := standby.Recall(t.Context(), moments); code(err) != filter.CodeStoreUnavailable || !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("standby: %v", err)
	}
	if _, err := f.Recall(t.Context(), moments); err != nil {
		t.Fatal(err)
	}
	if err := primary.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Recall(t.Context(), moments); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("killed: %v", err)
	}
}
