package scaling

import (
	"strconv"
)

// figure writes a number with three digits that count.
func figure(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1 || v <= -1 || v == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// orDash writes a number that was measured.
func orDash(v float64) string {
	if v == 0 {
		return "–"
	}
	return figure(v)
}

func mebi(bytes int64) string { return figure(float64(bytes) / (1 << 20)) }
