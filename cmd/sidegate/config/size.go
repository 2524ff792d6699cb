package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units are those of the International System and of IEC 80000-13. They
// are ordered so that the longer of two suffixes is met first: MiB ends
// in B as well.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1},
}

// ParseSize reads a number of bytes: a whole number, optionally followed by B,
// kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024).
func ParseSize(text string) (int64, error) {
	digits, factor := strings.TrimSpace(text), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, factor = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > uint64(math.MaxInt64/factor) {
		return 0, fmt.Errorf("%q is more bytes than a file or a memory can have", text)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a size; write a whole number of bytes with or without a unit, such as 256MiB, 64KiB or 1048576", text)
	}
	return int64(n) * factor, nil
}

// FormatSize writes a number of bytes with the largest unit of 1024 that loses
// nothing. [ParseSize] reads it back.
func FormatSize(n int64) string {
	for i := 3; i >= 0; i-- {
		if u := units[i]; n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// parseDuration reads a Go duration. A bare number is refused, because the
// systems that people come from disagree on whether it means seconds or
// milliseconds; 0 means the same in all of them.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, bare := strconv.ParseFloat(text, 64); bare == nil {
		return 0, fmt.Errorf("%s has no unit; write %sms, %ss or %sm", text, text, text, text)
	}
	return 0, fmt.Errorf("%q is not a duration; write a number with a unit, such as 100ms, 2s or 5m", text)
}

// formatDuration writes a duration without the zero parts that Go adds: 5m, not
// 5m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
