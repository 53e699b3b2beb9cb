// SPDX-License-Identifier: MIT

package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// When reads a time as people write it, in the zone of now: "now", "today",
// "yesterday" or a day of the week, from midnight, the last that has begun; a
// date, a time of day, or one after the other; RFC 3339; "@" and Unix seconds.
func When(text string, now time.Time) (time.Time, error) {
	t := strings.ToLower(strings.TrimSpace(text))
	if t == "now" {
		return now, nil
	}
	if seconds, ok := strings.CutPrefix(t, "@"); ok {
		if n, err := strconv.ParseInt(seconds, 10, 40); err == nil {
			return time.Unix(n, 0), nil
		}
	}
	if at, err := time.Parse(time.RFC3339, strings.ToUpper(t)); err == nil {
		return at, nil
	}
	words := strings.Fields(t)
	if len(words) == 1 && strings.Contains(t, ":") {
		words = []string{"today", t}
	}
	if len(words) == 0 || len(words) > 2 {
		words = []string{"", ""}
	}
	day, ok := dayOf(words[0], now)
	if ok && len(words) == 1 {
		return day, nil
	}
	for _, layout := range [...]string{"15:04", "15:04:05"} {
		if c, err := time.Parse(layout, words[len(words)-1]); ok && err == nil {
			return time.Date(day.Year(), day.Month(), day.Day(), c.Hour(), c.Minute(), c.Second(), 0,
				now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: try \"24h\", \"yesterday\", \"monday 08:00\" or %q", text,
		now.Format("2006-01-02 15:04"))
}

// dayOf returns the midnight at the beginning of a day.
func dayOf(word string, now time.Time) (time.Time, bool) {
	midnight := func(back int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()-back, 0, 0, 0, 0, now.Location())
	}
	switch word {
	case "today":
		return midnight(0), true
	case "yesterday":
		return midnight(1), true
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := strings.ToLower(d.String()); word == name || word == name[:3] {
			return midnight((int(now.Weekday()-d) + 7) % 7), true
		}
	}
	day, err := time.ParseInLocation(time.DateOnly, word, now.Location())
	return day, err == nil
}
