package config

import "strings"

// nearest returns the candidate that takes the fewest edits to reach from
// text, and how many. Of equals the first wins.
func nearest(text string, candidates []string) (best string, edits int) {
	edits = -1
	for _, c := range candidates {
		if d := distance(text, c); edits < 0 || d < edits {
			best, edits = c, d
		}
	}
	return best, edits
}

// hint ends the message about an unknown name: the nearest known one if it is
// near enough to be meant, otherwise the names that may stand in its place.
func hint(text string, known, here []string) string {
	last := text[strings.LastIndexByte(text, '.')+1:]
	best, edits := nearest(text, known)
	if edits > 2 {
		for _, k := range known {
			// The right name in the wrong place: poll_interval without its sync.
			if strings.HasSuffix(k, "."+last) {
				return `did you mean "` + k + `"?`
			}
		}
	}
	if edits >= 0 && edits <= max(2, len(last)/3) {
		return `did you mean "` + best + `"?`
	}
	if len(here) == 0 {
		return "no key may stand here"
	}
	return "known here: " + strings.Join(here, ", ")
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// (the optimal string alignment distance), byte by byte.
// Ids of keys are ASCII, and of a name that is not any hint will do.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range len(a) {
		older, prev, row := rows[i%3], rows[(i+1)%3], rows[(i+2)%3]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
