// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"picket/internal/journal"
)

// What is written for people. Names, reasons, keys and what peers sent come
// from outside, and a terminal obeys control characters: here they are taken
// out, of whatever is a line of standard error or a cell of a table.

// complain writes to standard error, each line behind "picket: " and what kind
// of complaint it is.
func complain(kind, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(os.Stderr, "picket: "+kind+journal.Clean(line))
	}
}

// warn tells what does not keep a command from its work.
func warn(format string, args ...any) { complain("warning: ", fmt.Sprintf(format, args...)) }

// wrap breaks a text into lines of at most so many columns; with less than one
// there is one line. It breaks at blanks, but not beside an equals sign or in
// what is quoted, as long as that is short: people copy it. A word that is
// longer than a line is broken behind a comma if it has one.
func wrap(text string, columns int) (out []string) {
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

// terminalWidth returns how many columns the terminal has that out is, 0 if it
// is none.
func terminalWidth(out io.Writer) int {
	size, ok := terminalSize(out)
	if !ok {
		return 0
	}
	width, _ := size()
	return width
}

// A table is printed without its empty columns, numbers to the right.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = journal.Clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

func (t *table) print(out io.Writer) {
	width, right := make([]int, len(t.head)), make([]bool, len(t.head))
	for i, h := range t.head {
		used := false
		right[i] = true
		for _, r := range t.rows {
			if r[i] == "" {
				continue
			}
			used = true
			width[i] = max(width[i], len([]rune(r[i])))
			right[i] = right[i] && strings.Trim(r[i], "0123456789.") == "" && strings.Count(r[i], ".") < 2
		}
		if used {
			width[i] = max(width[i], len(h))
		}
	}
	for _, r := range append([][]string{t.head}, t.rows...) {
		var line strings.Builder
		for i, cell := range r {
			if width[i] == 0 {
				continue
			}
			cell, pad := cmp.Or(cell, "-"), width[i]
			if !right[i] {
				pad = -pad
			}
			fmt.Fprintf(&line, "%*s  ", pad, cell)
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// plural writes how many there are of something: "1 port", "2 addresses".
func plural[N int | uint32 | uint64](n N, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "s"):
		what += "es"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
