package postgres

import (
	"context"
	"sync"

	"github.com/sidegate/sidegate/filter"
)

// turns lets the writers of one list take turns before they ask for a
// connection. They would wait for each other in the database anyway, each with a
// connection of the pool in its hand: a list that somebody holds locked would
// then keep the writers of all other lists waiting too.
type turns struct {
	mu    sync.Mutex
	lists map[filter.ListID]*turn
}

// turn is a list that somebody writes or waits to write.
type turn struct {
	taken chan struct{} // holds one element while somebody writes
	users int           // writers and waiters, under turns.mu
}

// take waits until nobody else of this process writes the list, or ctx ends. The
// function it returns gives the turn back.
func (t *turns) take(ctx context.Context, list filter.ListID) (done func(), err error) {
	t.mu.Lock()
	if t.lists == nil {
		t.lists = make(map[filter.ListID]*turn)
	}
	one := t.lists[list]
	if one == nil {
		one = &turn{taken: make(chan struct{}, 1)}
		t.lists[list] = one
	}
	one.users++
	t.mu.Unlock()

	select {
	case one.taken <- struct{}{}:
		return func() { <-one.taken; t.leave(list, one) }, nil
	case <-ctx.Done():
		t.leave(list, one)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(list filter.ListID, one *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(t.lists, list)
	}
}
