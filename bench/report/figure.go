package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Figure writes a number with three significant digits, as people do: 12,300,
// 145, 14.5, 0.145.
func Figure(v float64) string {
	size := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case size == 0:
		return "0"
	case size < 0.0001:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case size < 100:
		digits := 2 - int(math.Floor(math.Log10(size)))
		return trimZeros(strconv.FormatFloat(v, 'f', digits, 64))
	}
	// Three digits are enough: what follows them is not known.
	unit := math.Pow(10, max(0, math.Floor(math.Log10(size))-2))
	return thousands(int64(math.Round(v/unit) * unit))
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// thousands sets commas.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// bounds of shares are written as shares: 1/8 is easier to read than 0.125.
var shares = map[float64]string{1. / 4: "1/4", 1. / 8: "1/8", 1. / 10: "1/10", 1. / 14: "1/14", 1. / 28: "1/28"}

// withUnit writes a number and its unit: "1.07 × no-op", "450 ns".
func withUnit(v float64, unit string) string {
	number := Figure(v)
	if share, is := shares[v]; is {
		number = share
	}
	if unit == "" {
		return number
	}
	return number + " " + unit
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
