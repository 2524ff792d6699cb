//go:build race

package server

// raceEnabled: the race detector allocates on behalf of what it watches.
const raceEnabled = true
