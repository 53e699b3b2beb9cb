// SPDX-License-Identifier: MIT

package show

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// A Table is printed without its empty columns, numbers to the right. Head names
// the columns, in ASCII. It is for one goroutine.
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
	for _, r := range append([][]string{t.Head}, t.rows...) {
		var line strings.Builder
		for i, cell := range r {
			if width[i] == 0 {
				continue
			}
			cell = cmp.Or(cell, "-")
			if right[i] {
				cell = runewidth.FillLeft(cell, width[i])
			} else {
				cell = runewidth.FillRight(cell, width[i])
			}
			line.WriteString(cell + "  ")
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}
