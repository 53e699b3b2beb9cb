// SPDX-License-Identifier: MIT

package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/addresses"
)

// A section hands out the values of one table and remembers which keys it was
// asked for; end faults the others.
type section struct {
	d      *document
	name   string
	values map[string]any
	known  []string
	at     string // where its lines are noted, if not by its name
}

func (s *section) path(key string) string {
	if s.name == "" {
		return key
	}
	return s.name + "." + key
}

func (s *section) fault(key, problem string) { s.d.faults = append(s.d.faults, s.about(key, problem)) }

func (s *section) warn(key, problem string) {
	s.d.warnings = append(s.d.warnings, s.about(key, problem))
}

func (s *section) about(key, problem string) Fault {
	at := s.path(key)
	if s.at != "" {
		// A key that is missing is a fault of its table.
		if at = s.at + "." + key; s.d.lines[at] == 0 {
			at = s.at
		}
	}
	return Fault{s.d.file, s.d.lines[at], s.path(key), problem}
}

// get returns the value of a key, if it is there and of type T.
func get[T any](s *section, key, want string) (value T, ok bool) {
	s.known = append(s.known, key)
	v, there := s.values[key]
	if !there {
		return value, false
	}
	if value, ok = v.(T); !ok {
		s.fault(key, fmt.Sprintf("is %s: want %s", kindOf(v), want))
	}
	return value, ok
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a time"
}

func (s *section) section(key string) *section {
	values, _ := get[map[string]any](s, key, "a table, ["+s.path(key)+"]")
	return &section{d: s.d, name: s.path(key), values: values}
}

// sections returns the tables of an array of tables.
func (s *section) sections(key string) (out []*section) {
	list, _ := get[[]any](s, key, "tables, [["+s.path(key)+"]]")
	for i, v := range list {
		values, ok := v.(map[string]any)
		if !ok {
			s.fault(key, fmt.Sprintf("holds %s: want tables, [[%s]]", kindOf(v), s.path(key)))
			return nil
		}
		out = append(out, &section{d: s.d, name: s.path(key), values: values, at: itemName(s.path(key), i)})
	}
	return out
}

func (s *section) boolean(key string, to *bool) {
	if v, ok := get[bool](s, key, "true or false"); ok {
		*to = v
	}
}

func (s *section) text(key string, to *string, longest int) {
	if v, ok := get[string](s, key, "text in quotes"); ok {
		if len(v) > longest {
			s.fault(key, fmt.Sprintf("has %d bytes: want at most %d", len(v), longest))
			return
		}
		*to = v
	}
}

func number[T int | uint16 | uint32](s *section, key string, to *T, lowest, highest int64) {
	want := fmt.Sprintf("a whole number, %d to %d", lowest, highest)
	if v, ok := get[int64](s, key, want); ok {
		if v < lowest || v > highest {
			s.fault(key, fmt.Sprintf("is %d: want %s", v, want))
			return
		}
		*to = T(v)
	}
}

// choice reads a word, and returns as what it stands for one of from.
func choice[T fmt.Stringer](s *section, key string, to *T, from ...T) {
	if i, ok := s.oneOf(key, names(from)); ok {
		*to = from[i]
	}
}

// oneOf reads one of some words, and returns which it is.
func (s *section) oneOf(key string, from []string) (i int, ok bool) {
	v, ok := get[string](s, key, quoted(from))
	if !ok {
		return 0, false
	}
	if i = slices.Index(from, v); i < 0 {
		s.fault(key, fmt.Sprintf("is %q: want %s", v, quoted(from)))
	}
	return i, i >= 0
}

func names[T fmt.Stringer](values []T) (out []string) {
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

func quoted(words []string) string { return `"` + strings.Join(words, `" or "`) + `"` }

// strings reads a list of texts.
func (s *section) strings(key string, to *[]string) bool {
	list, ok := get[[]any](s, key, `a list of texts, ["...", "..."]`)
	if !ok {
		return false
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		text, isText := v.(string)
		if !isText {
			s.fault(key, fmt.Sprintf("holds %s: want texts in quotes", kindOf(v)))
			return false
		}
		out = append(out, text)
	}
	*to = out
	return true
}

func (s *section) modes(key string, to *Modes) {
	var list []string
	if !s.strings(key, &list) {
		return
	}
	var out Modes
	for _, v := range list {
		m, ok := engine.ParseMode(v)
		if !ok {
			s.fault(key, fmt.Sprintf("holds %q: want any of %s", v, quoted(names(allModes))))
			return
		}
		out = out.With(m)
	}
	*to = out
}

// prefixes reads what a file of addresses may hold too, by the same rules.
func (s *section) prefixes(key string, to *[]netip.Prefix) {
	var list []string
	if !s.strings(key, &list) {
		return
	}
	out := make([]netip.Prefix, 0, len(list))
	for _, v := range list {
		p, why := addresses.Parse(v)
		if why != "" {
			s.fault(key, fmt.Sprintf("%.80q %s", v, why))
			continue
		}
		out = append(out, p)
	}
	*to = out
}

func (s *section) duration(key string, to *Duration, lowest, highest string) {
	v, ok := get[string](s, key, `a duration in quotes, "10m"`)
	if !ok {
		return
	}
	d, err := ParseDuration(v)
	low, _ := ParseDuration(lowest)
	high, _ := ParseDuration(highest)
	switch {
	case err != nil:
		s.fault(key, err.Error())
	case d < low || d > high:
		s.fault(key, fmt.Sprintf("is %q: want %s to %s", v, lowest, highest))
	default:
		*to = d
	}
}

func (s *section) durations(key string, to *Durations) {
	var list []string
	if !s.strings(key, &list) {
		return
	}
	var out Durations
	for _, v := range list {
		d, err := ParseDuration(v)
		if err != nil {
			s.fault(key, err.Error())
			return
		}
		out = append(out, time.Duration(d))
	}
	if len(out) == 0 {
		s.fault(key, `is empty: want at least one duration, ["10m"]`)
		return
	}
	*to = out
}

func (s *section) ports(key string, to *Ports, lowest, highest uint16) {
	v, ok := get[string](s, key, `a list in quotes, "1,11,20-25"`)
	if !ok {
		return
	}
	p, err := ParsePorts(v, lowest, highest)
	if err != nil {
		s.fault(key, err.Error())
		return
	}
	*to = p
}

// trigger reads one number for every mode, or a table by mode.
func (s *section) trigger(key string, to *Triggers) {
	const want = "a whole number, or a table { classic = 0, stealth = 0, advanced = 3 }"
	switch v := s.values[key].(type) {
	case map[string]any:
		t := s.section(key)
		for _, m := range allModes {
			number(t, m.String(), &to[m], 0, engine.MaxTrigger)
		}
		t.end()
	case int64:
		n := 0
		number(s, key, &n, 0, engine.MaxTrigger)
		for _, m := range allModes {
			to[m] = n
		}
	case nil:
		s.known = append(s.known, key)
	default:
		s.known = append(s.known, key)
		s.fault(key, fmt.Sprintf("is %s: want %s", kindOf(v), want))
	}
}

// end faults the keys that nobody asked for.
func (s *section) end() {
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		if slices.Contains(s.known, key) {
			continue
		}
		problem := "is unknown"
		if near := nearest(key, s.known); near != "" {
			problem += fmt.Sprintf(": did you mean %q?", s.path(near))
		} else {
			problem += ": want one of " + strings.Join(s.known, ", ")
		}
		s.fault(key, problem)
	}
}

// nearest returns the name that takes the fewest edits from key, if they are few.
func nearest(key string, names []string) (best string) {
	least := len(key)/2 + 1
	for _, n := range names {
		if d := edits(key, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// edits returns the Levenshtein distance of two short words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
