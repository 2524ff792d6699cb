package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/filter"
)

func TestTurnsOfAList(t *testing.T) {
	var turns turns
	bob, carol := filter.ListID{Owner: "bob"}, filter.ListID{Owner: "carol"}
	done, err := turns.take(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	other, err := turns.take(t.Context(), carol)
	if err != nil {
		t.Fatal("another list has to wait")
	}
	other()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := turns.take(ended, bob); !errors.Is(err, context.Canceled) {
		t.Errorf("a second writer of one list got %v", err)
	}
	done()
	if again, err := turns.take(t.Context(), bob); err != nil {
		t.Error("a turn that was given back is still taken")
	} else {
		again()
	}
	if len(turns.lists) != 0 {
		t.Errorf("%d lists are kept in mind that nobody writes", len(turns.lists))
	}
}

func TestTurnsOfMany(t *testing.T) {
	var turns turns
	var wg sync.WaitGroup
	inside := 0 // only the turns guard it: the race detector would see two at once
	for range 50 {
		wg.Go(func() {
			done, err := turns.take(t.Context(), filter.ListID{Owner: "hot"})
			if err != nil {
				t.Error(err)
				return
			}
			inside++
			done()
		})
	}
	wg.Wait()
	if inside != 50 || len(turns.lists) != 0 {
		t.Errorf("%d of 50 had their turn, %d lists are kept", inside, len(turns.lists))
	}
}
