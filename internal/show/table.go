// SPDX-License-Identifier: MIT

package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// A Table prints without its empty columns, numbers to the right. Head names the
// columns, in ASCII. It is for one goroutine.
type Table struct {
	Head []string
	rows [][]string
}

// Add adds a row, with a cell for each column; each is cleaned.
func (t *Table) Add(cells ...string) {
	for i := range cells {
		cells[i] = Clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// Print writes the table. An error of writing shows when out is flushed.
func (t *Table) Print(out io.Writer) {
	for _, line := range t.lines() {
		fmt.Fprintln(out, line)
	}
}

// lines returns the head and the rows.
func (t *Table) lines() (out []string) {
	width, right := make([]int, len(t.Head)), make([]bool, len(t.Head))
	for i, h := range t.Head {
		used := false
		right[i] = true
		for _, r := range t.rows {
			if r[i] == "" {
				continue
			}
			used = true
			width[i] = max(width[i], runewidth.StringWidth(r[i]))
			right[i] = right[i] && strings.Trim(r[i], "0123456789.") == "" && strings.Count(r[i], ".") < 2
		}
		if used {
			width[i] = max(width[i], len(h))
		}
	}
	for n, r := range append([][]string{t.Head}, t.rows...) {
		var line strings.Builder
		for i, cell := range r {
			if width[i] == 0 {
				continue
			}
			if n > 0 {
				cell = cmp.Or(cell, "-")
			}
			if right[i] {
				cell = runewidth.FillLeft(cell, width[i])
			} else {
				cell = runewidth.FillRight(cell, width[i])
			}
			line.WriteString(cell + "  ")
		}
		out = append(out, strings.TrimRight(line.String(), " "))
	}
	return out
}

// Beside prints tables side by side, as many as fit into so many columns, one at
// least, with a blank line above each row of them. It leaves out a table without rows.
func Beside(out io.Writer, columns int, tables ...*Table) {
	tables = slices.DeleteFunc(tables, func(t *Table) bool { return len(t.rows) == 0 })
	for len(tables) > 0 {
		var lines []string
		used, n := 0, 0
		for _, t := range tables {
			part, wide := t.lines(), 0
			for _, l := range part {
				wide = max(wide, runewidth.StringWidth(l))
			}
			if n > 0 && used+wide > columns {
				break
			}
			for i := range max(len(lines), len(part)) {
				if i == len(lines) {
					lines = append(lines, "")
				}
				if i < len(part) {
					lines[i] = runewidth.FillRight(lines[i], used) + part[i]
				}
			}
			used += wide + 3
			n++
		}
		fmt.Fprintln(out)
		for _, l := range lines {
			fmt.Fprintln(out, l)
		}
		tables = tables[n:]
	}
}
