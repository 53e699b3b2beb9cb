// SPDX-License-Identifier: MIT

package show

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Clean makes a text from outside fit for a terminal, a journal field or a cell. A
// question mark replaces each rune that is not printable: control characters, line
// ends, marks that turn the direction of writing or take no room (Unicode's Cc,
// Cf, Zl, Zp), and bytes that are not UTF-8.
func Clean(s string) string { return replace(s, clean) }

// CleanLines is [Clean] for a text of several lines: line ends and tabs stay.
func CleanLines(s string) string {
	return replace(s, func(r rune) bool { return r == '\n' || r == '\t' || clean(r) })
}

// replace writes a question mark for each bad rune.
func replace(s string, good func(rune) bool) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !good(r) }) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if good(r) {
			return r
		}
		return '?'
	}, s)
}

// clean reports whether a rune is printable. A blank is the only white space.
func clean(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }

// Cut cleans a text and cuts it to at most so many columns and runes: a combining
// mark takes no column.
func Cut(s string, columns int) string {
	if len(s) <= columns && ascii(s) {
		return s
	}
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

// ascii reports whether a text is all printable ASCII.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Quote writes bytes from outside as a Go string without its quotes.
func Quote(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	s := strconv.QuoteToASCII(string(data))
	return s[1 : len(s)-1]
}

// Origin writes the origin of an address: "NL AS64496 Example Networks". An empty
// part is left out, and the network's name without its number too.
func Origin(country string, asn uint32, network string) string {
	words := []string{country}
	if asn != 0 {
		words = append(words, "AS"+strconv.FormatUint(uint64(asn), 10), network)
	}
	return strings.TrimSpace(strings.Join(words, " "))
}
