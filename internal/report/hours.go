// SPDX-License-Identifier: MIT

package report

import (
	"maps"
	"slices"
	"time"

	"picket/internal/show"
)

// An Hour is the sum of one hour.
type Hour struct {
	Time      time.Time `json:"time"`
	Events    int       `json:"events"`
	Sources   int       `json:"sources"`   // in a longer stretch, of the busiest hour
	New       int       `json:"new"`       // not seen before
	Returning int       `json:"returning"` // back after an hour of quiet
	Dark      int       `json:"dark"`      // blocks of each response
	Fence     int       `json:"fence"`
	Block     int       `json:"block"`
}

// block counts a block by its response.
func (h *Hour) block(response string) {
	switch response {
	case "dark":
		h.Dark++
	case "fence":
		h.Fence++
	default:
		h.Block++
	}
}

// blocks returns the blocks of all responses.
func (h *Hour) blocks() int { return h.Dark + h.Fence + h.Block }

// add adds another hour.
func (h *Hour) add(o *Hour) {
	h.Events += o.Events
	h.Sources = max(h.Sources, o.Sources)
	h.New += o.New
	h.Returning += o.Returning
	h.Dark += o.Dark
	h.Fence += o.Fence
	h.Block += o.Block
}

// quiet is the pause after which a source counts as returning.
const quiet = time.Hour

// seen counts a source in an hour, before the rest of the event is counted.
func (s *source) seen(number int, hour *Hour, at time.Time) {
	switch {
	case s.Visits == 0:
		s.Visits++
		hour.New++
	case at.Sub(s.Last) >= quiet:
		s.Visits++
		hour.Returning++
	}
	if s.hour != number+1 {
		s.hour = number + 1
		hour.Sources++
	}
}

// maxHours is the number of hours kept: 341 days. The first hour has everything
// earlier too, the last one everything later.
const maxHours = 1 << (32 - hourShift)

// hours are the hours since that of the first event.
type hours struct {
	first time.Time
	at    map[int]*Hour
}

// of returns the hour of a time, and its number.
func (h *hours) of(t time.Time) (int, *Hour) {
	if h.first.IsZero() {
		h.first = t.Truncate(time.Hour)
	}
	n := int(min(max(0, t.Sub(h.first)/time.Hour), maxHours-1))
	if h.at[n] == nil {
		h.at[n] = &Hour{Time: h.time(n)}
	}
	return n, h.at[n]
}

func (h *hours) time(n int) time.Time { return h.first.Add(time.Duration(n) * time.Hour) }

// list returns the hours in their order.
func (h *hours) list() []Hour {
	out := make([]Hour, 0, len(h.at))
	for _, n := range slices.Sorted(maps.Keys(h.at)) {
		out = append(out, *h.at[n])
	}
	return out
}

// PortHours are the hours in which a port met new sources.
type PortHours struct {
	Name  string      `json:"name"`
	Hours []HourCount `json:"hours"`
}

// An HourCount is a number of sources in an hour.
type HourCount struct {
	Time    time.Time `json:"time"`
	Sources int       `json:"sources"`
}

// portHours returns the hours of each port of a list.
func (c *Counter) portHours(ports []Count) []PortHours {
	counts := make(map[string]map[int]int, len(ports))
	for _, p := range ports {
		counts[p.Name] = map[int]int{}
	}
	for _, s := range c.sources {
		for _, p := range s.ports {
			if hours := counts[portName(p)]; hours != nil {
				hours[int(p>>hourShift)]++
			}
		}
	}
	out := make([]PortHours, 0, len(ports))
	for _, p := range ports {
		list := []HourCount{}
		for _, n := range slices.Sorted(maps.Keys(counts[p.Name])) {
			list = append(list, HourCount{c.hours.time(n), counts[p.Name][n]})
		}
		out = append(out, PortHours{p.Name, list})
	}
	return out
}

// A scale divides a period into stretches of equal length, few enough to show.
type scale struct {
	first time.Time
	width time.Duration
	slots []Hour
}

// widths are the possible lengths of a stretch.
var widths = [...]time.Duration{
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour,
}

// newScale divides the period of a report into at most so many stretches of
// hours or days of the local zone.
func newScale(list []Hour, most int) (s scale) {
	if len(list) == 0 {
		return s
	}
	first, last := list[0].Time.Local(), list[len(list)-1].Time
	for _, s.width = range widths {
		s.first = first
		if s.width > time.Hour {
			day := time.Date(first.Year(), first.Month(), first.Day(), 0, 0, 0, 0, time.Local)
			s.first = day.Add(first.Sub(day).Truncate(s.width))
		}
		if int(last.Sub(s.first)/s.width) < most {
			break
		}
	}
	s.slots = make([]Hour, min(s.slot(last), most-1)+1)
	for i := range s.slots {
		s.slots[i].Time = s.first.Add(time.Duration(i) * s.width)
	}
	for i := range list {
		s.slots[s.in(list[i].Time)].add(&list[i])
	}
	return s
}

func (s *scale) slot(t time.Time) int { return int(t.Sub(s.first) / s.width) }

// in returns the number of the stretch of a time.
func (s *scale) in(t time.Time) int { return min(max(0, s.slot(t)), len(s.slots)-1) }

// counts spreads the counts of a port over the stretches.
func (s *scale) counts(list []HourCount) []int {
	out := make([]int, len(s.slots))
	for _, h := range list {
		out[s.in(h.Time)] += h.Sources
	}
	return out
}

// label writes the beginning of a stretch.
func (s *scale) label(t time.Time) string {
	if s.width >= 24*time.Hour {
		return t.Local().Format("2006-01-02")
	}
	return t.Local().Format("01-02 15:04")
}

// name is the length of a stretch in words.
func (s *scale) name() string {
	switch h := int(s.width / time.Hour); {
	case h == 1:
		return "hour"
	case h < 24:
		return show.Plural(h, "hour")
	case h == 24:
		return "day"
	default:
		return show.Plural(h/24, "day")
	}
}
