package filter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sidegate/sidegate/cache"
)

// visible decides messages of the past and checks that each decision is that of
// an explanation.
func visible(t rapid.TB, f *Filter, check Check, messages []Sent) []Decision {
	t.Helper()
	decisions := make([]Decision, len(messages))
	if err := f.Visible(context.Background(), check, messages, decisions); err != nil {
		t.Fatalf("%v", err)
	}
	for i, m := range messages {
		check.Sender = m.Sender
		x, err := f.Explain(context.Background(), check, m.At)
		if err != nil || x.Decision != decisions[i] {
			t.Fatalf("%s to %s at %v: %+v, the explanation says %+v, %v", m.Sender, check.Recipient, m.At, decisions[i], x.Decision, err)
		}
	}
	return decisions
}

// aPast draws a policy and the history of four users, and makes the world that
// has come of it: memory holds what has not ended.
func aPast(tb testing.TB, t *rapid.T, day func(int) time.Time) (w *world, h *intervals, p Policy) {
	users := []string{"a", "b", "c", "d"}
	p = Default()
	p.Mode = rapid.SampledFrom([]Mode{ModeOneWay, ModeTwoWay}).Draw(t, "mode")
	p.Allowlist = rapid.Bool().Draw(t, "allowlist")
	if rapid.Bool().Draw(t, "exempt") {
		p.Exempt = users[:1]
	}
	for room := Direct; room <= Open; room++ {
		p.Rooms[room].OnBlock = OnBlock(rapid.IntRange(1, 4).Draw(t, "on_block"))
	}
	w, h = newWorldFor(tb, time.Minute, one), &intervals{now: day(100), lists: map[ListID][]Interval{}}
	for _, owner := range users {
		for _, list := range []ListID{blockList(one, owner), allowList(one, owner)} {
			var on []string
			for _, target := range users {
				from := 0
				for rapid.Bool().Draw(t, "blocks") && from < 90 {
					iv := Interval{Owner: owner, Target: target, BlockedAt: day(from + rapid.IntRange(0, 9).Draw(t, "began"))}
					from = rapid.IntRange(from+9, 99).Draw(t, "ended")
					if iv.UnblockedAt = day(from); from > 80 {
						iv.UnblockedAt, on = time.Time{}, append(on, target)
						from = 90
					}
					h.lists[list] = append(h.lists[list], iv)
				}
			}
			w.put(list, list.Kind == cache.KindBlock && rapid.Bool().Draw(t, "mode of the user"), entries(on...)...)
		}
	}
	return w, h, p
}

// TestVisibleIsTheExplanationAndTheCheck: for any history and policy, what is
// said of a message of the past is what an explanation says of that instant, and
// of a message of now, or of a clock that is ahead, what a check says.
func TestVisibleIsTheExplanationAndTheCheck(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, d) }
	seen := make(map[Reason]int)
	compare := func(rt *rapid.T) {
		w, h, policy := aPast(t, rt, day)
		f := w.filterWith(Options{
			Apps: map[string]Policy{one: policy}, Evidence: h, SoftBound: time.Hour, HardBound: time.Hour, LoadTimeout: time.Minute,
		})
		messages := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Sent {
			return Sent{rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "sender"), day(rapid.IntRange(-5, 110).Draw(t, "sent"))}
		}), 1, 20).Draw(rt, "messages")
		check := Check{
			App: one, Recipient: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "recipient"),
			RoomType: RoomType(rapid.IntRange(1, 3).Draw(rt, "room_type")),
		}
		decisions := visible(rt, f, check, messages)
		for i, m := range messages {
			seen[decisions[i].Reason]++
			if m.At.Before(h.now) {
				continue
			}
			check.Sender = m.Sender
			if now := f.CanDeliver(check); now != decisions[i] {
				rt.Fatalf("%+v now: %+v, the check says %+v", check, decisions[i], now)
			}
		}
	}
	reasons := []Reason{
		ReasonSelf, ReasonExempt, ReasonRoomNotFiltered, ReasonNotOnAllowlist, ReasonRecipientBlockedSender, ReasonSenderBlockedRecipient, ReasonAllowed,
	}
	missing := func() int { return slices.IndexFunc(reasons, func(r Reason) bool { return seen[r] == 0 }) }
	// With -short a few worlds are drawn at a time, and what they come to is luck.
	for round := 0; round == 0 || round < 50 && missing() >= 0; round++ {
		rapid.Check(t, compare)
	}
	if i := missing(); i >= 0 {
		t.Errorf("no message came to %v: the comparison shows nothing of it", reasons[i])
	}
}

// TestVisibleReadsOnce: however many messages there are, and whoever is in
// allowlist mode, all that the rules need of history is read at once; and what
// they do not need is not read.
func TestVisibleReadsOnce(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*Policy, *Check)
		reads  int
	}{
		"one-way":                 {func(p *Policy, _ *Check) { p.Mode, p.Allowlist = ModeOneWay, false }, 1},
		"two-way, allowlist mode": {func(*Policy, *Check) {}, 1},
		"rooms are not filtered":  {func(_ *Policy, c *Check) { c.RoomType = Open }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			policy, check := twoWay(), direct("", "bob")
			c.change(&policy, &check)
			w := newWorldFor(t, time.Minute, one)
			w.put(blockList(one, "bob"), true)
			h := &intervals{now: at.AddDate(1, 0, 0), lists: map[ListID][]Interval{
				blockList(one, "bob"): {{Owner: "bob", Target: "s7", BlockedAt: at}},
				allowList(one, "bob"): {{Owner: "bob", Target: "s8", BlockedAt: at}},
				blockList(one, "s8"):  {{Owner: "s8", Target: "bob", BlockedAt: at.Add(time.Hour)}},
			}}
			f := w.filterWith(Options{Apps: map[string]Policy{one: policy}, Evidence: h, LoadTimeout: time.Minute})
			var messages []Sent
			for i := range 1000 {
				messages = append(messages, Sent{fmt.Sprint("s", i%100), at.Add(time.Duration(i) * time.Minute)})
			}
			decisions := make([]Decision, len(messages))
			if err := f.Visible(context.Background(), check, messages, decisions); err != nil || h.reads != c.reads {
				t.Fatalf("%d reads, want %d; %v", h.reads, c.reads, err)
			}
			visible(t, f, check, messages[:100])
		})
	}
}

// TestVisibleWhenAModeChanges: users who enter allowlist mode between two rounds
// need lists that the first has not asked for. They are read too.
func TestVisibleWhenAModeChanges(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	w := newWorldFor(t, time.Minute, one)
	h := &turning{intervals{now: at, lists: map[ListID][]Interval{}}, func() {
		change := w.put(blockList(one, "bob"), true)
		w.cache.Apply(w.cache.Epoch(), primary, []cache.Change{change})
	}}
	policy := twoWay()
	f := w.filterWith(Options{Apps: map[string]Policy{one: policy}, Evidence: h, LoadTimeout: time.Minute})
	decisions := make([]Decision, 1)
	err := f.Visible(context.Background(), direct("", "bob"), []Sent{{"alice", at}}, decisions)
	if err != nil || decisions[0].Reason != ReasonNotOnAllowlist || h.reads != 2 {
		t.Errorf("%+v after %d reads, %v", decisions[0], h.reads, err)
	}
}

// turning is a history that something happens beside when it is first read.
type turning struct {
	intervals
	happens func()
}

func (h *turning) Recall(ctx context.Context, moments []Moment) ([]Interval, error) {
	if h.reads == 0 {
		h.happens()
	}
	return h.intervals.Recall(ctx, moments)
}

// TestVisibleUnknown: history that cannot be read is an error; a user's mode that
// is not known leaves the decision to on_unknown.
func TestVisibleUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for onUnknown, want := range map[OnUnknown]Decision{
			OnUnknownError:    {Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotLoaded},
			OnUnknownDeliver:  {Deliver: true, Notify: true, Reason: ReasonUnknown, Cause: CauseNotLoaded, Degraded: true},
			OnUnknownWithhold: {Action: ActionDrop, Reason: ReasonUnknown, Cause: CauseNotLoaded, Degraded: true},
		} {
			policy := Default()
			policy.Allowlist, policy.OnUnknown = true, onUnknown
			w := newWorld(t, one)
			h := &intervals{now: time.Now()}
			f := w.filterWith(Options{Apps: map[string]Policy{one: policy}, Evidence: h})
			w.dark()
			wantDecision(t, onUnknown.String(), visible(t, f, direct("", "bob"), []Sent{{"alice", h.now}})[0], want)
			w.hook, h.err = nil, errDark
			decisions := make([]Decision, 1)
			if err := f.Visible(context.Background(), direct("", "bob"), []Sent{{"alice", h.now}}, decisions); !errors.Is(err, errDark) {
				t.Errorf("%v: %v, want the error of the store", onUnknown, err)
			}
		}
	})
}

// TestVisibleWaitsOnce: the modes of many users are read within one deadline, as
// in a fan-out.
func TestVisibleWaitsOnce(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, _ *Filter) {
		h := &intervals{now: time.Now()}
		f := w.filterWith(Options{Apps: map[string]Policy{one: twoWay()}, Evidence: h})
		w.hook = func(ctx context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			<-ctx.Done()
			return ctx.Err()
		}
		messages := make([]Sent, 1000)
		for i := range messages {
			messages[i] = Sent{fmt.Sprint("s", i), h.now}
		}
		begun := time.Now()
		decisions := make([]Decision, len(messages))
		if err := f.Visible(context.Background(), direct("", "bob"), messages, decisions); err != nil || !decisions[999].Unknown() {
			t.Fatalf("%+v, %v", decisions[999], err)
		}
		if waited := time.Since(begun); waited > 2*DefaultLoadTimeout {
			t.Errorf("waited %v", waited)
		}
	})
}

// TestVisibleRefuses what makes no sense.
func TestVisibleRefuses(t *testing.T) {
	w, without := oneApp(t, Default())
	f := w.filterWith(Options{Apps: map[string]Policy{one: Default()}, Evidence: &intervals{}})
	check := direct("", "bob")
	if err := without.Visible(context.Background(), check, nil, nil); err == nil {
		t.Error("answered without evidence")
	}
	if err := f.Visible(context.Background(), check, nil, nil); err != nil {
		t.Errorf("of no messages: %v", err)
	}
	check.App = "other"
	if known, ok := errors.AsType[*Error](f.Visible(context.Background(), check, nil, nil)); !ok || known.Code != CodeUnknownApp {
		t.Errorf("an app that is not there: %v", known)
	}
	check.App, check.RoomType = one, 0
	if err := f.Visible(context.Background(), check, nil, nil); err == nil {
		t.Error("answered in no room type")
	}
}

// TestPastOfMany: checks of different pairs and rooms, each at its own instant, are
// decided as an explanation decides each of them.
func TestPastOfMany(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	w, _ := oneApp(t, Default())
	h := &intervals{now: day(100), lists: map[ListID][]Interval{
		blockList(one, "bob"):  {{Owner: "bob", Target: "alice", BlockedAt: day(10), UnblockedAt: day(20)}},
		roomList(one, "lobby"): {{Owner: "lobby", Target: "alice", BlockedAt: day(15)}},
	}}
	f := w.filterWith(Options{Apps: map[string]Policy{one: Default()}, Evidence: h})
	inRoom := direct("alice", "bob")
	inRoom.Room = "lobby"
	checks := []Check{direct("alice", "bob"), direct("alice", "bob"), direct("alice", "bob"), inRoom, direct("bob", "alice")}
	at := []time.Time{day(5), day(15), day(25), day(16), day(15)}
	want := []Reason{ReasonAllowed, ReasonRecipientBlockedSender, ReasonAllowed, ReasonBannedInRoom, ReasonAllowed}
	decisions := make([]Decision, len(checks))
	if err := f.Past(context.Background(), checks, at, decisions); err != nil {
		t.Fatal(err)
	}
	if h.reads != 1 {
		t.Errorf("%d reads of history, want all at once", h.reads)
	}
	for i := range checks {
		x, err := f.Explain(context.Background(), checks[i], at[i])
		if err != nil || decisions[i].Reason != want[i] || decisions[i] != x.Decision {
			t.Errorf("check %d: %+v, want %v; the explanation says %+v, %v", i, decisions[i], want[i], x.Decision, err)
		}
	}
	other := direct("alice", "bob")
	other.App = "none"
	var refused *Error
	if err := f.Past(context.Background(), []Check{other}, at, decisions); !errors.As(err, &refused) || refused.Code != CodeUnknownApp {
		t.Errorf("an app that is none: %v", err)
	}
}
