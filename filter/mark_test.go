package filter

import (
	"context"
	"errors"
	"testing"

	"github.com/sidegate/sidegate/cache"
)

func TestMarkRoundTrip(t *testing.T) {
	r := NewMark(primary, one, 1<<63)
	got, err := ParseRevision(r.String())
	if err != nil || got != r || len(r.String()) != 51 {
		t.Errorf("%+v came back as %+v, %v", r, got, err)
	}
	if r.IsZero() || !got.Of(one) || got.Of("two") {
		t.Errorf("%+v does not know its app", got)
	}
	if list := NewRevision(primary, ListID{App: one, Owner: "bob"}, 1<<40); list.String() == NewMark(primary, one, 1<<40).String() {
		t.Error("a list and a mark have the same token")
	}
}

// TestMark: a check that carries the revision of an import reads the lists it
// needs until the feed has come as far, and from then on is answered from memory.
func TestMark(t *testing.T) {
	w := newWorld(t, one)
	followed, asked := uint64(0), 0
	f := w.filterWith(Options{Apps: map[string]Policy{one: twoWay()}, Reached: func(server cache.Identity, mark uint64) bool {
		asked++
		if server != primary {
			t.Errorf("asked about the server %+v", server)
		}
		return mark <= followed
	}})
	check := direct("alice", "bob")
	wantDecision(t, "before", f.CanDeliver(check), plain)
	w.put(blockList(one, "bob"), false, entries("alice")...) // the feed has yet to say so
	wantDecision(t, "without the revision", f.CanDeliver(check), plain)
	if asked != 0 {
		t.Error("a check without a revision asks how far the feed has come")
	}
	check.AtLeast = NewMark(primary, one, 7)
	if d := f.CanDeliver(check); d.Reason != ReasonRecipientBlockedSender {
		t.Errorf("with the revision: %+v", d)
	}

	reads := len(w.loads)
	f.CanDeliver(check)
	if len(w.loads) == reads {
		t.Error("as long as the feed has not come so far, memory may lack what was imported, and is believed")
	}
	followed, reads = 7, len(w.loads)
	if d := f.CanDeliver(check); d.Reason != ReasonRecipientBlockedSender || len(w.loads) != reads {
		t.Errorf("the feed has come so far: %+v after %d reads", d, len(w.loads)-reads)
	}
}

// TestMarkReachedDuringABatch: that the feed has come as far says nothing about
// what was looked up before.
func TestMarkReachedDuringABatch(t *testing.T) {
	w := newWorld(t, one)
	var imported []cache.Change
	f := w.filterWith(Options{Apps: map[string]Policy{one: twoWay()}, Reached: func(server cache.Identity, _ uint64) bool {
		w.cache.Apply(w.cache.Epoch(), server, imported) // in this very moment
		return true
	}})
	check := direct("alice", "bob")
	wantDecision(t, "before", f.CanDeliver(check), plain)
	imported = []cache.Change{w.put(blockList(one, "bob"), false, entries("alice")...)}
	check.AtLeast = NewMark(primary, one, 7)
	decisions := make([]Decision, 1)
	if f.Batch([]Check{check}, decisions); decisions[0].Reason != ReasonRecipientBlockedSender {
		t.Errorf("%+v", decisions[0])
	}
}

// TestMarkInAFanout: every list of it is read.
func TestMarkInAFanout(t *testing.T) {
	w, f := oneApp(t, Default())
	recipients := []string{"r1", "r2", "r3", "r4"}
	decisions := make([]Decision, len(recipients))
	fanout := Check{App: one, Sender: "alice", RoomType: Direct}
	f.Fanout(fanout, recipients, decisions)
	for _, r := range recipients {
		w.put(blockList(one, r), false, entries("alice")...)
	}
	fanout.AtLeast = NewMark(primary, one, 7)
	f.Fanout(fanout, recipients, decisions)
	for i, d := range decisions {
		if d.Reason != ReasonRecipientBlockedSender {
			t.Errorf("%s: %+v", recipients[i], d)
		}
	}
}

// TestMarkThatCannotBeHad: the database is away, and memory may not do.
func TestMarkThatCannotBeHad(t *testing.T) {
	w, f := oneApp(t, Default())
	check := direct("alice", "bob")
	f.CanDeliver(check)
	w.hook = func(context.Context, string, cache.Kind, cache.Range) error { return errors.New("away") }
	check.AtLeast = NewMark(primary, one, 7)
	if d := f.CanDeliver(check); !d.Unknown() || d.Cause != CauseNotFreshEnough {
		t.Errorf("%+v", d)
	}
}

// TestImportReturnsAMark: if it took a line, and if it can be had.
func TestImportReturnsAMark(t *testing.T) {
	store := newShelf(10)
	transfer := newTransfer(t, store)
	run := func(mode ImportMode, targets ...string) ImportReport {
		t.Helper()
		var lines []Record
		for _, target := range targets {
			lines = append(lines, Record{Owner: "bob", Target: target})
		}
		report, err := transfer.Import(context.Background(), ImportRequest{App: "acme", Lines: sheet(lines...), Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	want := NewMark(primary, "acme", aMark)
	if r := run(ImportLists, "alice"); r.Revision != want {
		t.Errorf("%+v", r)
	}
	if r := run(ImportLists, "alice"); r.Revision != want || r.Unchanged != 1 {
		t.Errorf("a line that was there already is waited for as well: %+v", r)
	}
	for name, r := range map[string]ImportReport{
		"nothing": run(ImportLists), "only what is wrong": run(ImportLists, "bob"), "a trial": run(ImportCheck, "carol"),
	} {
		if !r.Revision.IsZero() {
			t.Errorf("%s: %+v", name, r)
		}
	}
	store.mark = func() error { return errors.New("away") }
	if r := run(ImportLists, "dave"); !r.Revision.IsZero() || r.Created != 1 {
		t.Errorf("the database is away when all is stored: %+v", r)
	}
}
