// SPDX-License-Identifier: MIT

package show

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Wrap breaks a text into lines of at most so many columns; below one column there
// is one line. It breaks at blanks, but not beside an equals sign nor in a short
// quotation: people copy these. A word longer than a line is broken behind a comma,
// if it has one.
func Wrap(text string, columns int) (out []string) {
	rest := []rune(text)
	for columns > 0 {
		fits := fit(rest, columns)
		if fits == len(rest) {
			break
		}
		end := lineEnd(rest, fits, columns)
		out, rest = append(out, string(rest[:end])), rest[end:]
		if rest[0] == ' ' {
			rest = rest[1:]
		}
	}
	return append(out, string(rest))
}

// Reflow wraps each paragraph of a text anew. One with an indented line stays as it is.
func Reflow(text string, columns int) string {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, p := range paragraphs {
		if !strings.Contains(p, "\n ") && !strings.Contains(p, "\n\t") && !strings.HasPrefix(p, "\t") {
			paragraphs[i] = strings.Join(Wrap(strings.ReplaceAll(p, "\n", " "), columns), "\n")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// fit returns the number of runes in so many columns, at least one.
func fit(text []rune, columns int) int {
	for i, r := range text {
		if columns -= runewidth.RuneWidth(r); columns < 0 {
			return max(i, 1)
		}
	}
	return len(text)
}

// lineEnd returns the end of the first line of a text; so many of its runes fit
// into a line.
func lineEnd(text []rune, fits, columns int) int {
	blank, quote := 0, -1
	for i, r := range text[:fits+1] {
		switch {
		case r == '"' && quote < 0:
			quote = i
		case r == '"':
			quote = -1
		case r == ' ' && i > 0 && text[i-1] != '=' && text[min(i+1, len(text)-1)] != '=' &&
			!shortQuote(text, quote, columns):
			blank = i
		}
	}
	word := len(text)
	if i := slices.Index(text[blank+1:], ' '); i >= 0 {
		word = blank + 1 + i
	}
	if blank > 0 && width(text[blank:word]) <= columns {
		return blank
	}
	for i := fits; i > max(blank, fits/2); i-- {
		if text[i-1] == ',' {
			return i
		}
	}
	return cmp.Or(blank, fits)
}

// shortQuote reports whether the quotation from there fits into half a line.
func shortQuote(text []rune, quote, columns int) bool {
	if quote < 0 {
		return false
	}
	end := slices.Index(text[quote+1:], '"')
	return end >= 0 && width(text[quote+1:][:end]) <= columns/2
}

// width returns the columns of a text.
func width(text []rune) int { return runewidth.StringWidth(string(text)) }
