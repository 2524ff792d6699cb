package postgres

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/filter"
)

func traveller(app string, i int) *passenger {
	return &passenger{
		edit:   filter.Edit{List: filter.ListID{App: app, Owner: fmt.Sprint("o", i)}},
		called: make(chan bool, 1),
	}
}

// Whoever comes first drives at once; those who come meanwhile share the next
// batch, app by app, and one of them drives it.
func TestTogetherSharesTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q together
		first := traveller("a", 0)
		if drive, ok := q.enter(t.Context(), first); !drive || !ok {
			t.Fatal("a lone writer waits")
		}
		alone := q.board(first)
		batches := make(chan []string, 10)
		for i := 1; i <= 5; i++ {
			p := traveller([]string{"a", "b"}[i/5], i) // the last one is of another app
			go func() {
				drive, ok := q.enter(t.Context(), p)
				if !ok {
					t.Error("turned away")
				}
				if drive {
					batches <- q.finish(p)
				}
			}()
			synctest.Wait()
		}
		q.handOver()
		synctest.Wait()
		got := []string{fmt.Sprint(<-batches), fmt.Sprint(<-batches)}
		slices.Sort(got) // the second may tell before the first
		if len(alone) != 1 || fmt.Sprint(got) != "[[o1 o2 o3 o4] [o5]]" || q.busy != 0 || len(q.queue) != 0 {
			t.Errorf("batches %v, then %d busy and %d waiting", got, q.busy, len(q.queue))
		}
	})
}

// finish is drive without the database.
func (t *together) finish(p *passenger) (names []string) {
	batch := t.board(p)
	t.handOver()
	for _, q := range batch {
		names = append(names, q.edit.List.Owner)
		if q != p {
			q.called <- false
		}
	}
	return names
}

func TestTogetherLetsGoOfWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q together
		first := traveller("a", 0)
		q.enter(t.Context(), first)
		ctx, cancel := context.WithCancel(t.Context())
		given := make(chan bool, 1)
		go func() {
			_, ok := q.enter(ctx, traveller("a", 1))
			given <- !ok
		}()
		synctest.Wait()
		cancel()
		if !<-given {
			t.Error("who gave up before it began was stored")
		}
		if got := q.finish(first); len(got) != 1 || q.busy != 0 {
			t.Errorf("batch %v, %d busy", got, q.busy)
		}
	})
}

// A batch that takes long does not hold up those who come later.
func TestTogetherPassesASlowBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q together
		for i := range lanes {
			if drive, _ := q.enter(t.Context(), traveller("a", i)); !drive {
				t.Fatalf("number %d waits for the slow ones", i)
			}
			time.Sleep(slow + 1)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, ok := q.enter(ctx, traveller("a", lanes)); ok {
			t.Error("more under way than there are lanes")
		}
	})
}

// Who came while a batch was still quick is not stuck behind it when it turns out
// to be slow, though nobody else comes.
func TestTogetherPassesASlowBatchWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q together
		stuck := traveller("a", 0)
		q.enter(t.Context(), stuck)
		q.board(stuck)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := traveller("a", 1)
		drive, ok := q.enter(ctx, p)
		if !drive || !ok {
			t.Fatalf("drives %v, stored %v: it waited for the slow one until it gave up", drive, ok)
		}
		if got := q.finish(p); len(got) != 1 || q.busy != 1 {
			t.Errorf("batch %v, %d busy", got, q.busy)
		}
	})
}
