// SPDX-License-Identifier: MIT

package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"picket/internal/show"
)

// Print shows a report as tables, behind a heading. An error of writing shows when
// out is flushed.
func Print(out io.Writer, r *Report, heading string) {
	fmt.Fprintf(out, "%s\n\n", heading)
	if len(r.Events) == 0 {
		fmt.Fprintln(out, "picket told of nothing in that time")
		return
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	sources := fmt.Sprintf("%d, %d of them blocked", r.Sources, r.Blocked)
	if r.Others > 0 {
		sources += fmt.Sprintf("; %d with few probes are not told apart", r.Others)
	}
	row("sources", "%s", sources)
	blocks := fmt.Sprintf("%d made, %d in force at the end", r.Blocks, r.InForce)
	if r.Drops > 0 {
		blocks += fmt.Sprintf("; those in force now have dropped %s", show.Plural(r.Drops, "packet"))
	}
	row("blocks", "%s", blocks)
	row("events", "%s", kinds(r.Events))
	var tables []*show.Table
	for _, l := range []struct {
		title string
		list  []Count
	}{
		{"PATTERNS", r.Patterns}, {"TOOLS", r.Tools}, {"PORTS", r.Ports}, {"COUNTRIES", r.Countries}, {"LISTS", r.Known}, {"NETWORKS", r.Networks}, {"WHY BLOCKED", r.Reasons},
	} {
		t := &show.Table{Head: []string{l.title, ""}}
		for _, c := range l.list {
			t.Add(show.Cut(c.Name, nameWidth), strconv.Itoa(c.Count))
		}
		tables = append(tables, t)
	}
	show.Beside(out, lineWidth, tables...)
	printBusiest(out, r.Busiest)
}

// kinds lists the events by kind.
func kinds(events map[string]int) string {
	var words []string
	for name, n := range events {
		words = append(words, fmt.Sprintf("%d %s", n, name))
	}
	slices.SortFunc(words, func(a, b string) int {
		_, a, _ = strings.Cut(a, " ")
		_, b, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	})
	return strings.Join(words, ", ")
}

const (
	lineWidth = 98 // of tables side by side
	nameWidth = 34 // of the widest name
)

// printBusiest lists sources. Columns that none of them has anything for are
// left out.
func printBusiest(out io.Writer, list []Source) {
	if len(list) == 0 {
		return
	}
	t := show.Table{Head: []string{"SOURCE", "PROBES", "PORTS", "BLOCKS", "DROPS", "PATTERN", "TECHNIQUE", "TOOL", "PROVEN", "LIST", "FROM", "LAST SEEN"}}
	for i := range list {
		s := &list[i]
		t.Add(s.Source, some(uint64(s.Probes)), some(uint64(s.PortsSeen)), some(uint64(s.Blocks)), some(s.Drops), s.Pattern, s.Technique, s.Tool, map[bool]string{true: "yes"}[s.Proven],
			s.Known, show.Cut(show.Origin(s.Country, s.ASN, s.Network), nameWidth), s.Last.Local().Format("01-02 15:04:05"))
	}
	fmt.Fprintln(out)
	t.Print(out)
}

// some writes a number, 0 as nothing.
func some(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
