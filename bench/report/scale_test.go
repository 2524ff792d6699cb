package report

import (
	"math"
	"slices"
	"testing"
)

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 1.005: "1", 1.0749: "1.07", 14.46: "14.5", 99.96: "100", 145.4: "145", 12_345: "12,300", 1_234_567: "1,230,000",
		0.145: "0.145", 0.0357: "0.0357", -2.5: "-2.5", 0.00001: "1e-05", math.Inf(1): "–", 100: "100", 20: "20",
	} {
		if got := Figure(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func TestScales(t *testing.T) {
	for _, c := range []struct {
		log    bool
		values []float64
		ticks  []float64
	}{
		{false, []float64{6.8, 7.9}, []float64{0, 2, 4, 6, 8}},
		{false, []float64{0, 0}, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{false, []float64{-1, 3}, []float64{-1, 0, 1, 2, 3}},
		{true, []float64{6.7, 253}, []float64{5, 10, 20, 50, 100, 200, 500}},
		{true, []float64{1e5, 1e7}, []float64{5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7}},
		{true, []float64{3, 40_000}, []float64{10, 100, 1000, 10_000}},
		{true, []float64{1}, []float64{0.5, 1}},
	} {
		s := newScale(c.log, c.values, 100, 200)
		got := s.ticks()
		if !slices.EqualFunc(got, c.ticks, func(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) }) {
			t.Errorf("ticks of %v: %v, want %v", c.values, got, c.ticks)
		}
		for _, v := range append(slices.Clone(c.values), got...) {
			if at := s.at(v); at < 100-1e-6 || at > 200+1e-6 {
				t.Errorf("%v of %v is at %v", v, c.values, at)
			}
		}
	}
	// Equal ratios are equally far apart.
	s := newScale(true, []float64{1, 1000}, 0, 100)
	if a, b := s.at(10)-s.at(1), s.at(1000)-s.at(100); math.Abs(a-b) > 1e-9 {
		t.Errorf("a decade is %v here and %v there", a, b)
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"open /tmp/x/y.json: no such file\nat all": "open y.json: no such file at all",
		`exec "/usr/lib/a/bin/postgres" failed`:    `exec "postgres" failed`,
		"GET /v1/can-deliver":                      "GET can-deliver",
		"3 / 4 and a/b":                            "3 / 4 and a/b",
		"dial unix /tmp/a/.s.PGSQL.5432: refused":  "dial unix .s.PGSQL.5432: refused",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestMachineNamesNoHost(t *testing.T) {
	m := ThisMachine(t.Context())
	if m.CPU == "" || m.Cores < 1 || m.Go == "" {
		t.Errorf("%+v", m)
	}
	if got := (Machine{CPU: "C", Cores: 1, System: "s", Go: "g"}).String(); got != "C · 1 core · s · g · commit unknown" {
		t.Error(got)
	}
}
