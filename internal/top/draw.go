// SPDX-License-Identifier: MIT

package top

import (
	"fmt"
	"strings"
	"time"

	"picket/internal/show"
)

// Lines above the rows of a pane: two of counters, the panes, the table's head;
// and one below.
const above, below = 4, 1

// page is the number of rows that fit. The kernel's limits take a third line of counters.
func (s *screen) page() int {
	n := s.height - above - below
	if s.view.limits() != "" {
		n--
	}
	return max(1, n)
}

const (
	bold    = "\x1b[1m"
	reverse = "\x1b[7m"
	normal  = "\x1b[0m"
)

// View implements tea.Model.
func (s *screen) View() string {
	var b strings.Builder
	s.view.counters(&b)
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = show.Cut(lines[i], s.width)
	}
	lines[0] = bold + lines[0] + normal
	lines = append(lines, s.panesLine())
	if s.text != nil {
		lines = append(lines, s.textLines()...)
	} else {
		lines = append(lines, s.table()...)
	}
	for len(lines) < s.height-below {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, min(len(lines), s.height-below))],
		reverse+show.Cut(s.lastLine(), s.width)+normal)
	return strings.Join(lines, "\n")
}

// panesLine names the panes, and the order of the visible one.
func (s *screen) panesLine() string {
	var b strings.Builder
	width := s.width
	put := func(text, style string) {
		text = show.Cut(text, width)
		width -= len([]rune(text))
		b.WriteString(style + text + normal)
	}
	for i, name := range [panes]string{"sources", "blocks", "events"} {
		style := ""
		if i == s.pane {
			style = reverse
		}
		put(fmt.Sprintf(" %d %s %d ", i+1, name, s.rowsOf(i)), style)
	}
	by := [panes]string{sourceOrders[s.order[sourcePane]%len(sourceOrders)].name,
		blockOrders[s.order[blockPane]%len(blockOrders)].name, "time"}[s.pane]
	if s.reverse[s.pane] {
		by += ", reversed"
	}
	put("  by "+by, "")
	if s.filter != "" || s.typing {
		put("  only /"+s.filter, bold)
	}
	return b.String()
}

// table returns the head and the rows that fit, around the chosen one.
func (s *screen) table() []string {
	n, page := s.rows(), s.page()
	if n == 0 {
		text := [panes]string{"nobody has probed yet", "nobody is blocked", "nothing has changed yet"}[s.pane]
		if s.filter != "" {
			text = "nothing matches the filter"
		}
		return []string{"", show.Cut(text, s.width)}
	}
	first := &s.first[s.pane]
	*first = max(0, min(max(*first, s.chosen()-page+1), s.chosen(), n-1))
	end := min(n, *first+page)
	var t *show.Table
	switch s.pane {
	case sourcePane:
		t = s.view.sourceTable(s.sources[*first:end])
	case blockPane:
		t = s.view.blockTable(s.blocks[*first:end])
	default:
		t = &show.Table{Head: []string{"TIME", "SOURCE", "WHAT"}}
		for _, c := range s.events[*first:end] {
			t.Add(c.at.Local().Format(time.TimeOnly), c.source, c.words)
		}
	}
	var b strings.Builder
	t.Print(&b)
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = show.Cut(lines[i], s.width)
	}
	lines[0] = bold + lines[0] + normal
	if i := s.chosen() - *first + 1; i < len(lines) {
		lines[i] = reverse + lines[i] + strings.Repeat(" ", max(0, s.width-len([]rune(lines[i])))) + normal
	}
	return lines
}

// textLines returns the lines of the text that fit.
func (s *screen) textLines() []string {
	out := []string{""}
	for _, line := range s.text[s.textAt:min(len(s.text), s.textAt+s.page())] {
		out = append(out, show.Cut(strings.ReplaceAll(line, "\t", "    "), s.width))
	}
	return out
}

// lastLine returns a question, the last result, or the keys.
func (s *screen) lastLine() string {
	switch {
	case s.question != nil:
		return s.question.words
	case s.typing:
		return "/" + s.filter + "_   enter keeps it, escape drops it"
	case s.said != "":
		return s.said
	case s.text != nil && s.title != "":
		return "escape back   arrows scroll   b block   u unblock   a allow"
	case s.text != nil:
		return "escape back   arrows scroll"
	}
	return "? help  enter explain  b block  u unblock  a allow  / filter  s order  q quit"
}
