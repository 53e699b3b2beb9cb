// SPDX-License-Identifier: MIT

package config

import "strings"

// Nearest returns the name nearest to a word, "" if none is near: the one with
// the fewest letters wrong, missing, added or swapped with the next, at most half
// of them. Capitals and hyphens do not count.
func Nearest(word string, names []string) (best string) {
	least := len(word)/3 + 1 // with half of it changed it is another word
	for _, n := range names {
		if d := edits(plain(word), plain(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

func plain(word string) string { return strings.ReplaceAll(strings.ToLower(word), "-", "_") }

// edits counts the edits between two short words: the optimal string alignment
// distance, Levenshtein's with swaps.
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			n := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, rows[i-2][j-2]+1)
			}
			rows[i][j] = n
		}
	}
	return rows[len(a)][len(b)]
}
