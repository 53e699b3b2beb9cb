// SPDX-License-Identifier: MIT

package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/show"
)

// The panes.
const (
	sourcePane = iota
	blockPane
	eventPane
	panes
)

// A screen is the content of the terminal, and a person's place in it. It is for
// the goroutine of its program.
type screen struct {
	view    *View
	actions Actions
	feed    feed
	asking  bool
	changed bool // by an order: read the blocks at once

	width, height int
	pane          int
	order         [panes]int
	reverse       [panes]bool
	filter        string
	typing        bool
	name          [panes]string // of the chosen source
	at            [panes]int    // its line
	first         [panes]int    // the line at the top

	sources []control.Source // as shown
	blocks  []control.Block
	events  []change

	title    string
	text     []string // over the tables; nil: none
	textAt   int
	question *order
	said     string
}

func newScreen(v *View, a Actions) *screen {
	s := &screen{view: v, actions: a, width: 80, height: 24}
	s.arrange()
	return s
}

// A sorting is one order of a table: the highest or latest first.
type sorting[T any] struct {
	name string
	less func(v *View, a, b *T) int
}

var sourceOrders = []sorting[control.Source]{
	{"rate", nil}, // the view's order
	{"probes", func(_ *View, a, b *control.Source) int { return cmp.Compare(b.Probes, a.Probes) }},
	{"ports", func(_ *View, a, b *control.Source) int { return cmp.Compare(b.Ports, a.Ports) }},
	{"last seen", func(_ *View, a, b *control.Source) int { return b.Last.Compare(a.Last) }},
	{"source", func(_ *View, a, b *control.Source) int { return strings.Compare(a.Name, b.Name) }},
}

var blockOrders = []sorting[control.Block]{
	{"since", nil},
	{"drops", func(_ *View, a, b *control.Block) int { return cmp.Compare(b.Drops, a.Drops) }},
	{"left", func(_ *View, a, b *control.Block) int { return a.Expires.Compare(b.Expires) }},
	{"response", func(_ *View, a, b *control.Block) int { return strings.Compare(a.Response, b.Response) }},
	{"source", func(_ *View, a, b *control.Block) int { return strings.Compare(a.Name, b.Name) }},
}

// arrange sorts and filters the lists; the chosen source stays chosen.
func (s *screen) arrange() {
	s.sources = arranged(s, sourcePane, s.view.busiest(), sourceOrders, func(x *control.Source) []string {
		return []string{x.Name, x.Pattern, x.Tool, x.Country, x.Network, state(x)}
	})
	s.blocks = arranged(s, blockPane, s.view.latest(), blockOrders, func(x *control.Block) []string {
		return []string{x.Name, x.Response, x.Pattern, x.Technique, x.Country, x.Known, x.Reason}
	})
	s.events = s.events[:0]
	for _, c := range s.feed.latest() {
		if s.matches(c.source, c.words) {
			s.events = append(s.events, c)
		}
	}
	if s.reverse[eventPane] {
		slices.Reverse(s.events)
	}
	for pane := range panes {
		s.follow(pane)
	}
}

// arranged returns a list sorted and filtered.
func arranged[T any](s *screen, pane int, list []T, orders []sorting[T], texts func(*T) []string) []T {
	if less := orders[s.order[pane]%len(orders)].less; less != nil {
		slices.SortStableFunc(list, func(a, b T) int { return less(s.view, &a, &b) })
	}
	if s.reverse[pane] {
		slices.Reverse(list)
	}
	return slices.DeleteFunc(list, func(x T) bool { return s.filter != "" && !s.matches(texts(&x)...) })
}

// matches reports whether one of the texts passes the filter.
func (s *screen) matches(texts ...string) bool {
	want := strings.ToLower(s.filter)
	return slices.ContainsFunc(texts,
		func(t string) bool { return strings.Contains(strings.ToLower(t), want) })
}

// follow finds the chosen source in its new place; if it is gone, its place is
// chosen.
func (s *screen) follow(pane int) {
	n := s.rowsOf(pane)
	for i := range n {
		if s.sourceAt(pane, i) == s.name[pane] && s.name[pane] != "" && pane != eventPane {
			s.at[pane] = i
			return
		}
	}
	s.at[pane] = max(0, min(s.at[pane], n-1))
	s.name[pane] = s.sourceAt(pane, s.at[pane])
}

func (s *screen) rowsOf(pane int) int {
	return [panes]int{len(s.sources), len(s.blocks), len(s.events)}[pane]
}

// sourceAt returns the source of a line, "" for none.
func (s *screen) sourceAt(pane, i int) string {
	switch {
	case i < 0 || i >= s.rowsOf(pane):
		return ""
	case pane == sourcePane:
		return s.sources[i].Name
	case pane == blockPane:
		return s.blocks[i].Name
	}
	return s.events[i].source
}

func (s *screen) rows() int      { return s.rowsOf(s.pane) }
func (s *screen) chosen() int    { return s.at[s.pane] }
func (s *screen) source() string { return s.sourceAt(s.pane, s.chosen()) }
func (s *screen) turn(pane int)  { s.pane = pane }

func (s *screen) choose(i int) {
	s.at[s.pane], s.name[s.pane] = i, s.sourceAt(s.pane, i)
}

// state names the state of a source's blocks.
func state(s *control.Source) string {
	switch {
	case s.Blocked:
		return "blocked"
	case s.Offences > 0:
		return "offender" // blocked once, or only logged
	}
	return ""
}

// sourceTable is a table of sources.
func (v *View) sourceTable(list []control.Source) *show.Table {
	t := &show.Table{Head: []string{"SOURCE", "PROBES", "/S", "PORTS", "HOSTS", "PATTERN", "TOOL", "PROVEN",
		"STATE", "LAST", "FROM"}}
	for i := range list {
		s := &list[i]
		t.Add(s.Name, fmt.Sprint(s.Probes), rate(v.rate(s)), fmt.Sprint(s.Ports), fmt.Sprint(s.Targets),
			s.Pattern, s.Tool,
			map[bool]string{true: "yes"}[s.Proven], state(s),
			show.Ago(v.at.Sub(s.Last)), show.Origin(s.Country, s.ASN, s.Network))
	}
	return t
}

// blockTable is a table of blocks.
func (v *View) blockTable(list []control.Block) *show.Table {
	t := &show.Table{Head: []string{"BLOCKED", "LEFT", "RESPONSE", "DROPS", "/S", "PATTERN", "TECHNIQUE",
		"WHY"}}
	for i := range list {
		b := &list[i]
		t.Add(b.Name, config.Duration(max(time.Second, b.Expires.Sub(v.at).Round(time.Second))).String(),
			b.Response, fmt.Sprint(b.Drops), rate(v.dropRate(b)),
			b.Pattern, b.Technique, event.Why(b.Reason, b.Evidence, b.Known))
	}
	return t
}
