package load

import "slices"

// Of returns one figure of each round, such as [Round.Rate].
func Of(rounds []Round, figure func(Round) float64) []float64 {
	out := make([]float64, len(rounds))
	for i, r := range rounds {
		out[i] = figure(r)
	}
	return out
}

// Ratios divides a figure of each round of a by that of the same turn of b. Both
// must come from the same [Turns].
func Ratios(a, b []Round, figure func(Round) float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = figure(a[i]) / figure(b[i])
	}
	return out
}

// Spread is how values are distributed: the median, and the values between which
// the middle half lies.
type Spread struct{ Median, Low, High float64 }

// SpreadOf returns the spread of values, the zero Spread of none.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	last := len(sorted) - 1
	return Spread{Median: middle(sorted), Low: sorted[last/4], High: sorted[last-last/4]}
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
