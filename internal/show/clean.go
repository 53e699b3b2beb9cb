// SPDX-License-Identifier: MIT

package show

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Clean returns a text from outside as a terminal, a journal field or a cell may
// have it. A question mark stands for each rune that is not printable: control
// characters, line ends, marks that turn the direction of writing or take no
// room (Unicode's Cc, Cf, Zl, Zp), and bytes that are not UTF-8.
func Clean(s string) string {
	for _, r := range s {
		if !clean(r) {
			return strings.Map(func(r rune) rune {
				if clean(r) {
					return r
				}
				return '?'
			}, s)
		}
	}
	return s
}

// clean reports whether a rune can be shown. A blank is the only white space.
func clean(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }

// Cut returns a text cleaned and cut to at most so many columns and runes: a
// mark that combines with the rune before it takes no column.
func Cut(s string, columns int) string {
	s = Clean(s)
	width, runes := 0, 0
	for i, r := range s {
		width += runewidth.RuneWidth(r)
		if runes++; width > columns || runes > columns {
			return s[:i]
		}
	}
	return s
}
