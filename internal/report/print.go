// SPDX-License-Identifier: MIT

package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/show"
)

// Print shows a report as tables under a heading, on a terminal of so many columns; 0 is
// none. An error of writing shows when out is flushed.
func Print(out io.Writer, r *Report, heading string, width int) {
	fmt.Fprintf(out, "%s\n\n", heading)
	if len(r.Events) == 0 {
		fmt.Fprintln(out, "picket reported nothing in that time")
		return
	}
	row := func(name, format string, args ...any) {
		indent := strings.Repeat(" ", 10)
		show.Lines(out, fmt.Sprintf("%-9s ", name), indent, fmt.Sprintf(format, args...), width)
	}
	sources := fmt.Sprintf("%d, %d blocked", r.Sources, r.Blocked)
	if r.Returning > 0 {
		sources += fmt.Sprintf("; %d came back after an hour of quiet, %d did not", r.Returning, r.New)
	}
	if r.Others > 0 {
		sources += fmt.Sprintf("; %d with few probes only counted", r.Others)
	}
	row("sources", "%s", sources)
	blocks := fmt.Sprintf("%d made, %d in force at the end", r.Blocks, r.InForce)
	if r.Drops > 0 {
		blocks += fmt.Sprintf("; %s kept off", show.Plural(r.Drops, "packet"))
	}
	row("blocks", "%s", blocks)
	if len(r.Responses) > 1 || len(r.Responses) == 1 && r.Responses[0].Name != "block" {
		row("responses", "%s", counted(r.Responses, plain))
	}
	if r.Trial != nil {
		row("trial", "%s", r.Trial)
	}
	row("events", "%s", counted(kinds(r.Events), plain))
	var tables []*show.Table
	for _, l := range r.lists() {
		t := &show.Table{Head: []string{l.Title, l.Of}}
		for _, c := range l.Counts {
			t.Add(show.Cut(c.Name, l.Width), strconv.Itoa(c.Count))
		}
		tables = append(tables, t)
	}
	columns := lineWidth
	if width > 0 {
		columns = min(columns, width)
	}
	show.Beside(out, columns, tables...)
	printHours(out, r, width)
	printBusiest(out, r.Busiest, width)
}

// A counts is a list of a report, and the unit of its numbers.
type counts struct {
	Title  string
	Of     string
	Counts []Count
	Width  int // columns of the widest name
}

// lists returns the lists with entries, the most useful first.
func (r *Report) lists() []counts {
	return slices.DeleteFunc([]counts{
		{"PATTERN", "SOURCES", r.Patterns, nameWidth}, {"TOOL", "SOURCES", r.Tools, nameWidth},
		{"PORT", "SOURCES", r.Ports, nameWidth}, {"COUNTRY", "SOURCES", r.Countries, nameWidth},
		{"LIST", "SOURCES", r.Known, nameWidth}, {"NETWORK", "SOURCES", r.Networks, nameWidth},
		{"WHY", "BLOCKS", r.Reasons, whyWidth},
	}, func(l counts) bool { return len(l.Counts) == 0 })
}

// counted writes counts as words, each number by a function.
func counted(list []Count, number func(any) string) string {
	var words []string
	for _, c := range list {
		words = append(words, number(c.Count)+" "+c.Name)
	}
	return strings.Join(words, ", ")
}

// plain writes a number as it is.
func plain(n any) string { return fmt.Sprint(n) }

// mostSlots is the most lines of the histogram.
const mostSlots = 30

// printHours shows the course of time, if there is more than one stretch.
func printHours(out io.Writer, r *Report, width int) {
	s := newScale(r.Hours, mostSlots)
	if len(s.slots) < 2 {
		return
	}
	var most int
	for i := range s.slots {
		most = max(most, s.slots[i].Sources)
	}
	sources := "SOURCES"
	if s.width > time.Hour {
		sources = "SOURCES/HOUR AT MOST"
	}
	bar := barWidth
	if width > 0 {
		bar = max(leastBar, min(bar, width-besideBar))
	}
	t := show.Table{Head: []string{"BY " + strings.ToUpper(s.name()), sources, "NEW", "AGAIN", "BLOCKS",
		"EVENTS", ""}}
	for i := range s.slots {
		h := &s.slots[i]
		t.Add(s.label(h.Time), some(uint64(h.Sources)), some(uint64(h.New)), some(uint64(h.Returning)),
			some(uint64(h.blocks())), some(uint64(h.Events)),
			strings.Repeat("#", (h.Sources*bar+most-1)/max(most, 1)))
	}
	fmt.Fprintln(out)
	t.Print(out)
	p := show.Table{Head: []string{"PORT", "SOURCES", "NEW SOURCES BY " + strings.ToUpper(s.name())}}
	for i, x := range r.PortHours {
		p.Add(x.Name, strconv.Itoa(r.Ports[i].Count), steps(s.counts(x.Hours)))
	}
	if len(r.PortHours) > 0 {
		fmt.Fprintln(out)
		p.Print(out)
	}
}

// Bars have barWidth columns, and leastBar or more on a narrow terminal, with besideBar
// columns beside them.
const (
	barWidth  = 30
	leastBar  = 8
	besideBar = 70
)

// steps draws counts as columns of eight heights, and 0 as a dot.
func steps(list []int) string {
	heights := []rune("\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588")
	most := slices.Max(list)
	var b strings.Builder
	for _, n := range list {
		if n == 0 {
			b.WriteByte('.')
			continue
		}
		b.WriteRune(heights[(n*len(heights)-1)/most])
	}
	return b.String()
}

// kinds lists the events by kind.
func kinds(events map[string]int) (list []Count) {
	for _, name := range slices.Sorted(maps.Keys(events)) {
		list = append(list, Count{name, events[name]})
	}
	return list
}

const (
	lineWidth = 98 // of tables side by side
	nameWidth = 34 // of the widest name
	whyWidth  = 43 // of the longest reason of a response that is common
)

// printBusiest lists sources without the columns that are empty in all of them.
func printBusiest(out io.Writer, list []Source, width int) {
	if len(list) == 0 {
		return
	}
	t := show.Table{Head: []string{"SOURCE", "PROBES", "PORTS", "AGAIN", "BLOCKS", "DROPS", "PATTERN",
		"TECHNIQUE", "TOOL", "PROVEN", "LIST", "FROM", "LAST SEEN", "WHY"},
		Spare: []string{"TECHNIQUE", "PROVEN", "AGAIN", "FROM", "LIST", "PORTS", "TOOL", "DROPS"}}
	for i := range list {
		s := &list[i]
		t.Add(s.Source, some(uint64(s.Probes)), some(uint64(s.PortsSeen)), some(uint64(s.Visits-1)),
			some(uint64(s.Blocks)), some(s.Drops), s.Pattern, s.Technique, s.Tool,
			map[bool]string{true: "yes"}[s.Proven],
			s.Known, show.Cut(show.Origin(s.Country, s.ASN, s.Network),
				nameWidth), s.Last.Local().Format("01-02 15:04:05"), s.Why)
	}
	fmt.Fprintln(out)
	t.PrintOn(out, width)
}

// some writes a number, and 0 as nothing.
func some(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
