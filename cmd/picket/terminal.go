// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
)

// What is written for people. Names, reasons, keys and what peers sent come
// from outside, and a terminal obeys control characters: here they are taken
// out, of whatever is a line of standard error or a cell of a table.

// printable replaces control characters, and those that turn the direction of
// writing or end a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

// complain writes to standard error, each line behind "picket: " and what kind
// of complaint it is.
func complain(kind, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(os.Stderr, "picket: "+kind+printable(line))
	}
}

// warn tells what does not keep a command from its work.
func warn(format string, args ...any) { complain("warning: ", fmt.Sprintf(format, args...)) }

// A table is printed without its empty columns, numbers to the right.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = printable(cells[i])
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
