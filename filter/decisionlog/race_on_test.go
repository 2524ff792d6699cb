//go:build race

package decisionlog

// raceEnabled: the race detector allocates on behalf of what it watches.
const raceEnabled = true
