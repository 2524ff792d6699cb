package report

import (
	"math"
	"strconv"
)

// scale maps values to places on a picture.
type scale struct {
	log      bool
	lo, hi   float64 // values at the ends
	from, to float64 // places of the ends
}

// newScale makes a scale on which all values have a place, with round ends. A
// linear one begins at 0, so that lengths and slopes say what they seem to say.
func newScale(log bool, values []float64, from, to float64) scale {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	s := scale{log: log, from: from, to: to}
	if log {
		s.lo, s.hi = roundDown(least), roundUp(most)
		if s.hi <= s.lo {
			s.hi = 10 * s.lo
		}
		return s
	}
	s.lo, s.hi = min(0, least), max(0, most)
	if s.hi == s.lo {
		s.hi = s.lo + 1
	}
	step := niceStep(s.hi-s.lo, wantedTicks)
	s.lo, s.hi = math.Floor(s.lo/step)*step, math.Ceil(s.hi/step)*step
	return s
}

// at returns the place of a value.
func (s scale) at(v float64) float64 {
	share := (v - s.lo) / (s.hi - s.lo)
	if s.log {
		share = math.Log(v/s.lo) / math.Log(s.hi/s.lo)
	}
	return s.from + share*(s.to-s.from)
}

const wantedTicks = 6

// ticks returns round values from end to end.
func (s scale) ticks() (ticks []float64) {
	if !s.log {
		step := niceStep(s.hi-s.lo, wantedTicks)
		for i := math.Round(s.lo / step); i*step <= s.hi+step/2; i++ {
			ticks = append(ticks, i*step)
		}
		return ticks
	}
	steps := []float64{1, 2, 5}
	if math.Log10(s.hi/s.lo) > 2.5 {
		steps = steps[:1]
	}
	const slack = 1 + 1e-9
	for decade := math.Pow(10, math.Floor(math.Log10(s.lo))); decade <= s.hi*slack; decade *= 10 {
		for _, m := range steps {
			if v := m * decade; v*slack >= s.lo && v <= s.hi*slack {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

// niceStep divides a length into about n steps of 1, 2 or 5 times a power of ten.
func niceStep(length float64, n int) float64 {
	raw := length / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}

// roundDown returns the 1, 2 or 5 times a power of ten that is clearly below v, so
// that a bar that ends at v has a length.
func roundDown(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{5, 2, 1} {
		if m*unit <= v*0.9 {
			return m * unit
		}
	}
	return unit / 2
}

// roundUp returns the 1, 2 or 5 times a power of ten that is not below v.
func roundUp(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*unit*(1+1e-9) {
			return m * unit
		}
	}
	return 10 * unit
}

// tick writes a value of an axis: 0.5, 200, 20k, 10M.
func tick(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.size {
			return strconv.FormatFloat(v/unit.size, 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
