//go:build race

package main

// raceEnabled: the program is then built with the race detector as well, which
// makes it slower and several times as large.
const raceEnabled = true
