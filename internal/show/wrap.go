// SPDX-License-Identifier: MIT

package show

import (
	"cmp"
	"slices"
)

// Wrap breaks a text into lines of at most so many columns; with less than one
// there is one line. It breaks at blanks, but not beside an equals sign or in
// what is quoted, as long as that is short: people copy it. A word that is
// longer than a line is broken behind a comma if it has one.
func Wrap(text string, columns int) (out []string) {
	rest := []rune(text)
	for columns > 0 && len(rest) > columns {
		end := lineEnd(rest, columns)
		out, rest = append(out, string(rest[:end])), rest[end:]
		if rest[0] == ' ' {
			rest = rest[1:]
		}
	}
	return append(out, string(rest))
}

// lineEnd returns where the first line of a text ends that is longer than that.
func lineEnd(text []rune, columns int) int {
	blank, quote := 0, -1
	for i, r := range text[:columns+1] {
		switch {
		case r == '"' && quote < 0:
			quote = i
		case r == '"':
			quote = -1
		case r == ' ' && i > 0 && text[i-1] != '=' && text[min(i+1, len(text)-1)] != '=' && !shortQuote(text, quote, columns):
			blank = i
		}
	}
	word := len(text)
	if i := slices.Index(text[blank+1:], ' '); i >= 0 {
		word = blank + 1 + i
	}
	if blank > 0 && word-blank <= columns {
		return blank
	}
	for i := columns; i > max(blank, columns/2); i-- {
		if text[i-1] == ',' {
			return i
		}
	}
	return cmp.Or(blank, columns)
}

// shortQuote reports whether what is quoted from there on fits into half a line.
func shortQuote(text []rune, quote, columns int) bool {
	if quote < 0 {
		return false
	}
	end := slices.Index(text[quote+1:], '"')
	return end >= 0 && end <= columns/2
}
