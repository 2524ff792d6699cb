package cache

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPlans(t *testing.T) {
	const budget = 100 << 20
	for name, row := range map[string]struct {
		demands  []demand
		fits     bool
		low      float64 // lists a page in the first directory
		high     float64
		slotsMax int64
	}{
		"nothing":               {[]demand{{}, {}, {}}, true, 0, 0, 3 * shards},
		"short lists that fit":  {[]demand{{500_000, 5_000_000}}, true, pageLists / 2, pageLists, 1 << 14},
		"long lists that fit":   {[]demand{{3000, 9_000_000}}, true, 1, 2, 1 << 12},
		"nearly fit":            {[]demand{{900_000, 9_000_000}}, false, 16, pageLists, 1 << 16},
		"twice too many":        {[]demand{{1_500_000, 15_000_000}}, false, 8, 32, 1 << 20},
		"ten times too many":    {[]demand{{8_000_000, 80_000_000}}, false, 3, 8, budget / slotShare / slotBytes},
		"far too many to index": {[]demand{{1 << 40, 1 << 42}}, false, 1, 1 << 30, budget / slotShare / slotBytes},
		"far too many rooms":    {[]demand{{1000, 10_000}, {}, {5_000_000, 50_000_000}}, false, 1, 5, budget / slotShare / slotBytes},
	} {
		p := planFor(budget, row.demands)
		slots, per := int64(0), float64(row.demands[0].lists)/float64(int64(1)<<p.bits[0])
		for _, b := range p.bits {
			slots += 1 << b
		}
		if p.fits != row.fits || per < row.low || per > row.high || slots > row.slotsMax {
			t.Errorf("%s: fits %v, %.1f lists a page, %d slots", name, p.fits, per, slots)
		}
	}
}

// TestThePlanIsNearTheBest draws who asks by Zipf's law, gives the room to the
// pages that are asked for most, and compares the share of questions that find
// their page with that of every other number of pages.
func TestThePlanIsNearTheBest(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine computes: there is nothing for the race detector to see")
	}
	const lists = 1 << 13
	for _, entries := range []int64{3, 10, 100} {
		for _, idle := range []int{0, 9} { // users without a list, for each who has one
			for _, s := range []float64{1.01, 1.2} {
				d := demand{lists, entries * lists}
				need := d.bytes(d.roomy())
				for _, share := range []float64{0.8, 0.5, 0.3, 0.1} {
					budget := int64(share * float64(need) / fitShare * 100)
					hits := map[uint8]float64{}
					best := uint8(0)
					for bits := bitsFor(lists, pageLists); bits <= 13; bits++ {
						hits[bits] = zipfHits(d, idle, s, bits, share*float64(need))
						if hits[bits] > hits[best] {
							best = bits
						}
					}
					p := planFor(budget, []demand{d})
					if p.fits {
						t.Fatal("it fits")
					}
					name := fmt.Sprintf("lists of %d, %d idle, s %.2f, %.0f %% of the need: %.3f of questions with %d lists a page, at best %.3f with %d",
						entries, idle, s, share*100, hits[p.bits[0]], lists>>p.bits[0], hits[best], lists>>best)
					t.Log(name)
					if hits[p.bits[0]] < hits[best]-0.02 {
						t.Error(name)
					}
				}
			}
		}
	}
}

// zipfHits is the share of questions that find their page if the best pages stay.
func zipfHits(d demand, idle int, s float64, bits uint8, room float64) float64 {
	type place struct{ asked, bytes float64 }
	pages := make([]place, 1<<bits)
	for i := range pages {
		pages[i].bytes = float64(pageCost - slotBytes)
	}
	room -= float64(slotBytes) * float64(len(pages)) // what ever stays in them
	rng := rand.New(rand.NewPCG(1, 2))
	all := 0.0
	for i := range int(d.lists) * (1 + idle) {
		p := &pages[rng.IntN(len(pages))]
		asked := math.Pow(float64(i+1), -s)
		p.asked, all = p.asked+asked, all+asked
		if rng.IntN(1+idle) == 0 {
			p.bytes += float64(d.each())
		}
	}
	slices.SortFunc(pages, func(a, b place) int {
		if a.asked > b.asked {
			return -1
		}
		return 1
	})
	hits := 0.0
	for _, p := range pages {
		if room -= p.bytes; room < 0 {
			break
		}
		hits += p.asked
	}
	return hits / all
}
