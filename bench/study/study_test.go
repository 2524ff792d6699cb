package study

import "testing"

func TestMedianAndQuartiles(t *testing.T) {
	for _, c := range []struct {
		values            []float64
		low, median, high float64
	}{
		{nil, 0, 0, 0},
		{[]float64{3}, 3, 3, 3},
		{[]float64{4, 1, 3, 2}, 1.75, 2.5, 3.25},
		{[]float64{5, 1, 4, 2, 3}, 2, 3, 4},
	} {
		low, high := Quartiles(c.values)
		if m := Median(c.values); m != c.median || low != c.low || high != c.high {
			t.Errorf("%v: %v between %v and %v", c.values, m, low, high)
		}
	}
}

func TestRowsAreJudgedByTheirMedian(t *testing.T) {
	ratio := Row{AtMost: AtMost(1.1)}.Ratio(Side{Values: []float64{2, 9, 2}}, Side{Values: []float64{2, 3, 1}})
	for name, c := range map[string]struct {
		row   Row
		met   bool
		short float64
	}{
		"kept":              {Row{Values: []float64{1, 2, 9}, AtMost: AtMost(2)}, true, 0},
		"over":              {Row{Values: []float64{3}, AtMost: AtMost(2)}, false, 0.5},
		"under":             {Row{Values: []float64{3}, AtLeast: AtLeast(4)}, false, 0.25},
		"without a bound":   {Row{Values: []float64{3}}, true, 0},
		"without a value":   {Row{AtMost: AtMost(2)}, false, 0},
		"a ratio of rounds": {ratio, false, 2/1.1 - 1},
	} {
		if met, short := c.row.Met(); met != c.met || short-c.short > 1e-9 || c.short-short > 1e-9 {
			t.Errorf("%s: met %v, short by %v", name, met, short)
		}
	}
}
