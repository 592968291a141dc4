package ctl

import (
	"slices"
	"strings"
)

// nearestMost is how many letters may be wrong in a word that is taken for another.
const nearestMost = 2

// Nearest returns the words that word may have been meant for, the likeliest
// first: those a few letters away, and those that begin with it.
func Nearest(word string, words []string) []string {
	word = strings.ToLower(word)
	var near []string
	away := map[string]int{}
	for _, w := range words {
		d := distance(word, strings.ToLower(w))
		switch {
		case d <= nearestMost && d < len(word):
		case word != "" && strings.HasPrefix(strings.ToLower(w), word):
			d = nearestMost
		default:
			continue
		}
		near = append(near, w)
		away[w] = d
	}
	slices.SortStableFunc(near, func(a, b string) int { return away[a] - away[b] })
	return near
}

// distance is how many letters must be added, removed or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}
