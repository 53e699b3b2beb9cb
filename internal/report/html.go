// SPDX-License-Identifier: MIT

package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/show"
)

// The page needs nothing but itself: its policy forbids to load anything and to
// run scripts. html/template escapes the texts of events.
//
//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number, "stamp": show.Stamp, "cell": newCell, "what": what,
	"origin": func(s Source) string { return show.Origin(s.Country, s.ASN, s.Network) },
}).Parse(pageText))

// HTML writes a report as one page under a heading, with charts as inline SVG.
func HTML(out io.Writer, r *Report, heading string) error {
	s := newScale(r.Hours, pageSlots)
	v := pageView{
		Heading: heading, Report: r, Figures: r.figures(), Kinds: counted(kinds(r.Events), number),
		Lists: r.pageLists(),
	}
	if len(s.slots) > 0 {
		v.Slot, v.First, v.Last = s.stretch(), s.label(s.slots[0].Time), s.label(s.slots[len(s.slots)-1].Time)
		v.Charts = append(v.Charts, s.chart("arrivals", "Sources, when they came",
			"new, or again after an hour of quiet", []series{
				{"new", "one", func(h *Hour) int { return h.New }},
				{"again", "two", func(h *Hour) int { return h.Returning }},
			}))
		if r.Blocks > 0 {
			v.Charts = append(v.Charts, s.chart("blocks", "Blocks, when they were made",
				"each response for itself", []series{
					{"dark", "two", func(h *Hour) int { return h.Dark }},
					{"fence", "one", func(h *Hour) int { return h.Fence }},
					{"block", "three", func(h *Hour) int { return h.Block }},
				}))
		}
		v.Ports = s.ports(r)
	}
	return page.Execute(out, v)
}

// pageSlots is the most stretches of a chart: a week has 84 of two hours. A phone
// still shows them apart.
const pageSlots = 85

// A pageView is the content of the page.
type pageView struct {
	Heading           string
	Report            *Report
	Figures           []figure
	Kinds             string
	Slot, First, Last string
	Charts            []chart
	Ports             []portRow
	Lists             []pageList
}

// A figure is a number with a name.
type figure struct{ Name, Value, More string }

func (r *Report) figures() []figure {
	more := ""
	if r.Returning > 0 {
		more = number(r.Returning) + " came again"
	}
	made := ""
	if len(r.Responses) > 0 {
		made = counted(r.Responses, number)
	}
	return []figure{
		{"Sources", number(r.Sources), more},
		{"Sources blocked", number(r.Blocked), ""},
		{"Blocks made", number(r.Blocks), made}, {"In force at the end", number(r.InForce), ""},
		{"Packets kept off", number(r.Drops), ""},
	}
}

// A series is one kind of number in a chart.
type series struct {
	Name, Class string
	of          func(*Hour) int
}

// A chart has stacked bars over time, and the same numbers as rows.
type chart struct {
	ID, Title, Label, Slot string
	Most, Width            int
	Series                 []series
	Bars                   []bar
	Axis                   []string
	Rows                   []chartRow
}

// A bar is a rectangle of a picture of 100 units' height.
type bar struct{ Class, X, Y, Height, Title string }

type chartRow struct {
	From   string
	Counts []int
}

// chart draws the stretches and leaves out a series without counts.
func (s *scale) chart(id, title, label string, of []series) chart {
	of = slices.DeleteFunc(of, func(x series) bool {
		return !slices.ContainsFunc(s.slots, func(h Hour) bool { return x.of(&h) > 0 })
	})
	c := chart{ID: id, Title: title, Slot: s.stretch(), Width: len(s.slots), Series: of}
	busiest := 0
	for i := range s.slots {
		row := chartRow{From: s.label(s.slots[i].Time)}
		n := 0
		for _, x := range of {
			row.Counts = append(row.Counts, x.of(&s.slots[i]))
			n += x.of(&s.slots[i])
		}
		if n > c.Most {
			c.Most, busiest = n, i
		}
		c.Rows = append(c.Rows, row)
	}
	for i, row := range c.Rows {
		n := 0
		for j, k := range row.Counts {
			if n += k; k > 0 {
				c.Bars = append(c.Bars, newBar(of[j].Class, i, k, n, c.Most,
					fmt.Sprintf("%s: %d %s", row.From, k, of[j].Name)))
			}
		}
	}
	if len(c.Rows) > 0 {
		c.Label = fmt.Sprintf("%s: %s; most, %d, from %s on", title, label, c.Most, c.Rows[busiest].From)
		c.Axis = []string{c.Rows[0].From, c.Rows[len(c.Rows)/2].From, c.Rows[len(c.Rows)-1].From}
		c.Axis = slices.Compact(c.Axis)
	}
	return c
}

// newBar draws k of most, with its top at n.
func newBar(class string, at, k, n, most int, title string) bar {
	unit := func(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }
	return bar{class, unit(float64(at) + .08), unit(100 - 100*float64(n)/float64(most)),
		unit(100 * float64(k) / float64(most)), title}
}

// stretch names one stretch of time.
func (s *scale) stretch() string {
	if s.width == time.Hour {
		return "an hour"
	}
	if s.width == 24*time.Hour {
		return "a day"
	}
	return s.name()
}

// A portRow has the times of the probes of a port.
type portRow struct {
	Name  string
	Count int
	Width int
	Bars  []bar
	Label string
}

func (s *scale) ports(r *Report) (out []portRow) {
	for i, p := range r.PortHours {
		list := s.counts(p.Hours)
		row := portRow{Name: p.Name, Count: r.Ports[i].Count, Width: len(list)}
		most := slices.Max(list)
		for at, n := range list {
			if n > 0 {
				row.Bars = append(row.Bars, newBar("", at, n, n, most, ""))
			}
		}
		row.Label = fmt.Sprintf("most, %d, from %s on", most, s.label(s.slots[slices.Index(list, most)].Time))
		out = append(out, row)
	}
	return out
}

// A pageList is a list of counts, each with its percentage of the highest.
type pageList struct {
	ID, Title, Head, Of string
	Rows                []shareRow
}

type shareRow struct {
	Name         string
	Count, Share int
}

func (r *Report) pageLists() (out []pageList) {
	titles := map[string]string{
		"PATTERN": "Patterns", "TOOL": "Tools", "COUNTRY": "Countries", "LIST": "Your lists",
		"NETWORK": "Networks", "WHY": "Why blocked",
	}
	for _, l := range r.lists() {
		if titles[l.Title] == "" {
			continue // ports have their own
		}
		p := pageList{ID: "list-" + strings.ToLower(l.Title), Title: titles[l.Title], Head: sentence(l.Title),
			Of: sentence(l.Of)}
		for _, c := range l.Counts {
			p.Rows = append(p.Rows, shareRow{c.Name, c.Count, max(1, 100*c.Count/max(1, l.Counts[0].Count))})
		}
		out = append(out, p)
	}
	return out
}

// sentence writes a word of capitals with one capital.
func sentence(word string) string { return word[:1] + strings.ToLower(word[1:]) }

// A cell is one of the table; on a phone the rows are cards.
type cell struct {
	Name, Class, Text string
	None              bool
}

func newCell(name, class, text string) cell {
	return cell{name, class, cmp.Or(text, "-"), text == "" || text == "0"}
}

// what describes a source and the response to it.
func what(s Source) string {
	words := []string{s.Pattern, s.Technique, s.Tool, s.Known, s.Response}
	if s.Proven {
		words = append(words, "proven")
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", ")
}

// number writes a number in groups of three digits.
func number(n any) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
