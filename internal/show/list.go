// SPDX-License-Identifier: MIT

package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Lines prints a text behind first and, if it is longer than so many columns, its
// further lines behind indent; with a width of 0 it is one line.
func Lines(out io.Writer, first, indent, text string, width int) {
	for i, line := range Wrap(Clean(text), width-len(indent)) {
		if i > 0 {
			first = indent
		}
		fmt.Fprintln(out, first+line)
	}
}

// Say prints a sentence, in lines of the terminal.
func Say(out io.Writer, text string) { Lines(out, "", "", text, Width(out)) }

// A List is a table with text of several lines in its last column. Head names the
// other columns and Last that one, in ASCII; without Last no names are printed. It
// is for one goroutine.
type List struct {
	Head []string
	Last string
	rows [][]string
	text [][]string
}

// Add adds a row, with a cell for each column but the last; each text of the last
// begins on a line of its own.
func (l *List) Add(text []string, cells ...string) {
	for i := range cells {
		cells[i] = Clean(cells[i])
	}
	l.rows, l.text = append(l.rows, cells), append(l.text, text)
}

// leastText is the least width of the text beside the other columns; on a narrower
// terminal it goes below them.
const leastText = 32

// Print prints the list without its empty columns, on a terminal of so many
// columns or, with a width of 0, each row on one line.
func (l *List) Print(out io.Writer, width int) {
	widths, used := make([]int, len(l.Head)), 0
	for i, h := range l.Head {
		for _, r := range l.rows {
			widths[i] = max(widths[i], runewidth.StringWidth(r[i]))
		}
		if widths[i] > 0 {
			widths[i] = max(widths[i], len(h)) + 2
			used += widths[i]
		}
	}
	below := width > 0 && width-used < leastText
	cells := func(r []string) string {
		var b strings.Builder
		for i, w := range widths {
			if w > 0 {
				b.WriteString(runewidth.FillRight(r[i], w))
			}
		}
		return b.String()
	}
	indent := strings.Repeat(" ", used)
	if below {
		indent = "    "
	}
	if head := cells(l.Head); l.Last != "" {
		if below {
			fmt.Fprintln(out, strings.TrimRight(head, " "))
			head = indent
		}
		fmt.Fprintln(out, head+l.Last)
	}
	for i, r := range l.rows {
		first, texts := cells(r), l.text[i]
		if below {
			if first = strings.TrimRight(first, " "); first != "" {
				fmt.Fprintln(out, first)
			}
			first = indent
		}
		if width == 0 {
			texts = []string{strings.Join(texts, "; ")}
		}
		for _, text := range texts {
			Lines(out, first, indent, text, width)
			first = indent
		}
	}
}
