package linear

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestLostAnswersDoNotHideTheOrder: of a list that six clients share, a third of the
// changes had no answer, and half of those took effect. Decisions lag behind, but not
// their tokens. The order is found. Were a lost change tried at versions that others
// were answered with, the search for one of these would not end in time.
func TestLostAnswersDoNotHideTheOrder(t *testing.T) {
	for seed := uint64(10); seed < 15; seed++ {
		ops := recordLost(rand.New(rand.NewPCG(seed, 1)), 600)
		if r := Check(ops, lostLimit, patience); len(r.Wrong)+len(r.Undecided) > 0 || r.Unknown == 0 {
			t.Errorf("seed %d: %v", seed, &r)
		}
	}
}

const lostLimit = 4

// recordLost makes up requests to a list, one a millisecond, each of which lasts up to
// six before and after the moment at which it takes effect.
func recordLost(rng *rand.Rand, n int) (ops []Op) {
	s := state{}
	states := []state{s} // that decisions may lag behind to
	var token *Op
	short := func() time.Duration { return time.Duration(rng.Int64N(int64(6 * time.Millisecond))) }
	for i := range n {
		moment := time.Duration(i+10) * time.Millisecond
		o := Op{Owner: "o", Client: i % 6, Target: string(rune('a' + rng.IntN(6))), Call: moment - short(), End: moment + short()}
		switch k := rng.IntN(20); {
		case k < 8:
			o.Kind = Add
		case k < 13:
			o.Kind = Remove
		case k < 16 || token == nil:
			o.Kind, o.Target, o.Version = List, "", s.version
			for _, target := range []string{"a", "b", "c", "d", "e", "f"} {
				if s.holds(target) {
					o.Set = append(o.Set, target)
				}
			}
		default:
			o.Kind, o.AtLeast, o.TokenSince = Decide, token.Version, token.Call
			lag := rng.IntN(len(states))
			for lag > 0 && states[lag].version < o.AtLeast {
				lag = rng.IntN(len(states))
			}
			for lag < len(states) && states[lag].version < o.AtLeast {
				lag++
			}
			o.Listed = states[lag].holds(o.Target)
		}
		if o.Kind == Add || o.Kind == Remove {
			lost := rng.IntN(3) == 0
			if lost && rng.IntN(2) == 0 {
				o.Unknown = true // and never happened
				ops = append(ops, o)
				continue
			}
			o.Full = o.Kind == Add && !s.holds(o.Target) && s.size >= lostLimit
			if o.Full {
				o.Size = s.size
			} else if o.Changed = s.holds(o.Target) == (o.Kind == Remove); o.Changed {
				s = s.changed(o.Target)
				states = append(states, s)
			}
			if !o.Full && (o.Changed || o.Kind == Add) {
				o.Version = s.version
			}
			if lost {
				o = Op{Owner: o.Owner, Client: o.Client, Kind: o.Kind, Target: o.Target, Call: o.Call, Unknown: true}
			} else if o.Version > 0 {
				known := o
				token = &known
			}
		}
		ops = append(ops, o)
	}
	// At rest everything shows.
	last := Op{Owner: "o", Kind: List, Version: s.version, Call: time.Hour, End: time.Hour + 1}
	for _, target := range []string{"a", "b", "c", "d", "e", "f"} {
		if s.holds(target) {
			last.Set = append(last.Set, target)
		}
	}
	return append(ops, last)
}
