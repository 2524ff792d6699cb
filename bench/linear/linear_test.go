package linear

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

const patience = 10 * time.Second

// at is a request that lasts from one moment to another.
func at(call, end time.Duration, o Op) Op {
	o.Owner, o.Call, o.End = "o", call, end
	return o
}

// TestVerdicts: each answer that fits, and its neighbour that does not.
func TestVerdicts(t *testing.T) {
	added := at(1, 2, Op{Kind: Add, Target: "a", Changed: true, Version: 1})
	for _, tc := range []struct {
		name string
		ops  []Op
		good bool
	}{
		{"nothing", nil, true},
		{"an addition", []Op{added}, true},
		{"an addition that skips a version", []Op{at(1, 2, Op{Kind: Add, Target: "a", Changed: true, Version: 2})}, false},
		{"an addition of what is there", []Op{added, at(3, 4, Op{Kind: Add, Target: "a", Version: 1})}, true},
		{"an addition that is new twice", []Op{added, at(3, 4, Op{Kind: Add, Target: "a", Changed: true, Version: 2})}, false},
		{"a removal", []Op{added, at(3, 4, Op{Kind: Remove, Target: "a", Changed: true, Version: 2})}, true},
		{"a removal of what is there, not found", []Op{added, at(3, 4, Op{Kind: Remove, Target: "a"})}, false},
		{"a removal at the same time, not found", []Op{added, at(2, 4, Op{Kind: Remove, Target: "a"})}, true},
		{"the list", []Op{added, at(3, 4, Op{Kind: List, Set: []string{"a"}, Version: 1})}, true},
		{"a list without an entry", []Op{added, at(3, 4, Op{Kind: List, Version: 1})}, false},
		{"the list as it was", []Op{added, at(3, 4, Op{Kind: List})}, false},
		{"not modified", []Op{added, at(3, 4, Op{Kind: List, IfNot: 1, Same: true})}, true},
		{"not modified, and it was", []Op{added, at(3, 4, Op{Kind: List, IfNot: 5, Same: true})}, false},
		{"full", []Op{added, at(3, 4, Op{Kind: Add, Target: "b", Full: true, Size: 1})}, true},
		{"over the limit", []Op{added, at(3, 4, Op{Kind: Add, Target: "b", Changed: true, Version: 2})}, false},
		{"full, of what is there", []Op{added, at(3, 4, Op{Kind: Add, Target: "a", Full: true, Size: 1})}, false},
		{"full of another size", []Op{added, at(3, 4, Op{Kind: Add, Target: "b", Full: true, Size: 2})}, false},
		{"an answer that was lost, seen", []Op{at(1, 2, Op{Kind: Add, Target: "a", Unknown: true}), at(3, 4, Op{Kind: List, Set: []string{"a"}, Version: 1})}, true},
		{"an answer that was lost, not seen", []Op{at(1, 2, Op{Kind: Add, Target: "a", Unknown: true}), at(3, 4, Op{Kind: List})}, true},
		{"an answer that was lost, seen and gone", []Op{
			at(1, 2, Op{Kind: Add, Target: "a", Unknown: true}),
			at(3, 4, Op{Kind: List, Set: []string{"a"}, Version: 1}), at(5, 6, Op{Kind: List}),
		}, false},
		{"a decision with a token", []Op{added, at(3, 4, Op{Kind: Decide, Target: "a", AtLeast: 1, TokenSince: 1, Listed: true})}, true},
		{"a decision from before its token", []Op{added, at(3, 4, Op{Kind: Decide, Target: "a", AtLeast: 1, TokenSince: 1})}, false},
		{"a decision that lags behind, but not its token", []Op{
			added, at(3, 4, Op{Kind: Remove, Target: "a", Changed: true, Version: 2}),
			at(5, 6, Op{Kind: Decide, Target: "a", AtLeast: 1, TokenSince: 1, Listed: true}),
		}, true},
		{"a decision that lags behind its token", []Op{
			added, at(3, 4, Op{Kind: Remove, Target: "a", Changed: true, Version: 2}),
			at(5, 6, Op{Kind: Decide, Target: "a", AtLeast: 2, TokenSince: 3, Listed: true}),
		}, false},
		{"what nobody asks", []Op{at(1, 2, Op{})}, false},
	} {
		r := Check(tc.ops, 1, patience)
		if good := len(r.Wrong) == 0; good != tc.good || len(r.Undecided) > 0 {
			t.Errorf("%s: %v\n%v", tc.name, &r, tc.ops)
		}
	}
}

// store is a store that is right, since one lock orders everything.
type store struct {
	mu    sync.Mutex
	now   state
	limit int
}

func (s *store) do(o *Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o.Kind {
	case Add, Remove:
		if o.Full = o.Kind == Add && !s.now.holds(o.Target) && s.now.size >= s.limit; o.Full {
			o.Size = s.now.size
			return
		}
		if o.Changed = s.now.holds(o.Target) == (o.Kind == Remove); o.Changed {
			s.now = s.now.changed(o.Target)
		}
		o.Version = s.now.version
	case List:
		o.Version = s.now.version
		for _, t := range []string{"a", "b", "c", "d"} {
			if s.now.holds(t) {
				o.Set = append(o.Set, t)
			}
		}
	}
}

// TestALieIsFound: clients share a list of a store that is right; the recording
// is explained. Then one answer of it is changed, each kind of answer in turn, and
// no order explains it any more.
func TestALieIsFound(t *testing.T) {
	s := &store{limit: 3}
	begin := time.Now()
	var mu sync.Mutex
	var all []Op
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for range 30 {
				o := Op{Client: client, Owner: "o", Kind: Kind(rand.IntN(3) + 1), Target: string(rune('a' + rand.IntN(4)))}
				if o.Kind == List {
					o.Target = ""
				}
				o.Call = time.Since(begin)
				s.do(&o)
				o.End = time.Since(begin)
				mu.Lock()
				all = append(all, o)
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	if r := Check(all, s.limit, patience); len(r.Wrong)+len(r.Undecided) > 0 || r.Ops != 120 || r.Lists != 1 {
		t.Fatalf("the truth: %v", &r)
	}
	lies := map[string]func(*Op) bool{
		"a change that was none": func(o *Op) bool { o.Changed = !o.Changed; return o.Kind == Remove },
		"another version":        func(o *Op) bool { o.Version += 7; return o.Kind == Add && o.Changed },
		"an entry too many":      func(o *Op) bool { o.Set = append(slices.Clone(o.Set), "nobody"); return o.Kind == List },
	}
	for name, lie := range lies {
		told := slices.Clone(all)
		for i := range told {
			o := told[i]
			if lie(&o) {
				told[i] = o
				break
			}
		}
		r := Check(told, s.limit, patience)
		if len(r.Wrong["o"]) != len(all) {
			t.Errorf("%s: %v", name, &r)
		}
		for _, o := range r.Wrong["o"][:min(1, len(r.Wrong["o"]))] {
			if fmt.Sprint(&o) == "" {
				t.Error("no evidence")
			}
		}
	}
}
