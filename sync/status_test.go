package blocksync

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestServersThatAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Batch){
		"standby":      func(b *Batch) { *b = Batch{Recovery: true} },
		"older schema": func(b *Batch) { b.Schema = 0 },
		"newer schema": func(b *Batch) { b.Schema = 3 },
		"old primary":  func(b *Batch) { b.Newer = 2 },
	} {
		w := newWorld(t)
		w.source.set(at(5, 9))
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		w.blocked(t)
		w.source.set(func(from Position) (Batch, error) {
			b, err := at(9, 11, unblock())(from)
			spoil(&b)
			return b, err
		})
		if err := w.once(t); err == nil {
			t.Fatalf("%s: followed", name)
		}
		s := w.follower.Status()
		if s.State != WrongServer || s.Refused == "" || s.Position.Xmax != 9 {
			t.Errorf("%s: %+v", name, s)
		}
		if !w.blocked(t) {
			t.Errorf("%s: its changes were applied", name)
		}
		w.source.set(at(9, 11))
		if err := w.once(t); err != nil || w.follower.Status().State != Synced {
			t.Errorf("%s: %v, %+v after it was put right", name, err, w.follower.Status())
		}
	}
}

func TestStatesByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(at(5, 9))
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			after time.Duration
			want  State
		}{{0, Synced}, {2 * time.Second, Synced}, {time.Nanosecond, Lagging}, {298*time.Second - 1, Lagging}, {time.Nanosecond, Stale}, {time.Hour, Stale}} {
			time.Sleep(row.after)
			if s := w.follower.Status(); s.State != row.want {
				t.Errorf("age %v: %v, want %v", s.Age, s.State, row.want)
			}
		}
	})
}
