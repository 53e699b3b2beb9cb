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
// columns, in ASCII. On a terminal too narrow for it, it is printed without those in
// Spare, the first of them first. It is for one goroutine.
type Table struct {
	Head  []string
	Spare []string
	rows  [][]string
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

// PrintOn writes the table on a terminal of so many columns: without spare columns, and
// with the last, a text, in several lines or, for want of room, below the others. With a
// width of 0 it is as Print. A row that is too long even then is wrapped.
func (t *Table) PrintOn(out io.Writer, width int) {
	last := len(t.Head) - 1
	if width == 0 || last < 1 || widest(t.lines()) <= width {
		t.Print(out)
		return
	}
	others := &Table{Head: t.Head[:last]}
	var texts []string
	for _, r := range t.rows {
		others.rows, texts = append(others.rows, r[:last]), append(texts, cmp.Or(r[last], "-"))
	}
	for _, name := range t.Spare {
		if widest(others.lines()) <= width {
			break
		}
		others = others.without(name)
	}
	lines := others.lines()
	if widest(lines) > width {
		for i, text := range append([]string{t.Head[last]}, texts...) {
			Lines(out, "", "    ", strings.Join(strings.Fields(lines[i]), " "), width)
			Lines(out, "    ", "    ", text, width)
		}
		return
	}
	used := widest(lines) + 2
	below := width-used < leastText
	for i, text := range append([]string{t.Head[last]}, texts...) {
		first, indent := runewidth.FillRight(lines[i], used), strings.Repeat(" ", used)
		if below {
			fmt.Fprintln(out, lines[i])
			first, indent = "    ", "    "
		}
		Lines(out, first, indent, text, width)
	}
}

// widest is the columns of the widest line.
func widest(lines []string) (n int) {
	for _, l := range lines {
		n = max(n, runewidth.StringWidth(l))
	}
	return n
}

// without returns the table without a column.
func (t *Table) without(name string) *Table {
	i := slices.Index(t.Head, name)
	if i < 0 {
		return t
	}
	less := &Table{Head: slices.Delete(slices.Clone(t.Head), i, i+1)}
	for _, r := range t.rows {
		less.rows = append(less.rows, slices.Delete(slices.Clone(r), i, i+1))
	}
	return less
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
			part := t.lines()
			wide := widest(part)
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
