//go:build !race

package filter

// raceEnabled tells tests that count allocations: the race detector makes some
// of its own.
const raceEnabled = false
