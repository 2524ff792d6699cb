package blocksync

import (
	"errors"
	"testing"
)

// TestReached: how far the feed has come is told of the server that is followed,
// and not before what came has been applied.
func TestReached(t *testing.T) {
	w := newWorld(t)
	server := w.cache.Identity
	if w.follower.Reached(server(), 1) {
		t.Error("reached before the first poll")
	}
	w.source.set(at(5, 9))
	if err := w.once(t); err != nil {
		t.Fatal(err)
	}
	if !w.follower.Reached(server(), 8) || w.follower.Reached(server(), 9) {
		t.Error("after a poll up to 9")
	}
	other := server()
	other.Timeline++
	if w.follower.Reached(other, 8) {
		t.Error("another server's transactions are other transactions")
	}
	w.source.set(func(Position) (Batch, error) { return Batch{}, errors.New("connection reset") })
	if err := w.once(t); err == nil || !w.follower.Reached(server(), 8) {
		t.Error("a poll that fails takes nothing back")
	}
	w.source.set(at(9, 11, unblock()))
	if err := w.once(t); err != nil || !w.follower.Reached(server(), 9) {
		t.Errorf("after the next: %v", err)
	}
}
