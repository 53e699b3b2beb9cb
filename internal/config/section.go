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
	"picket/examples"
	"picket/internal/addresses"
	"picket/internal/portsentry"
	"picket/internal/probe"
)

// A section hands out the values of one table and remembers each key; end faults
// the rest.
type section struct {
	d      *document
	name   string
	values map[string]any
	known  []string
	at     string // the name of its places, if not its own
}

func (s *section) path(key string) string { return join(s.name, key) }

func (s *section) fault(key, problem string) { s.d.faults = append(s.d.faults, s.about(key, problem)) }

func (s *section) warn(key, problem string) {
	s.d.warnings = append(s.d.warnings, s.about(key, problem))
}

func (s *section) about(key, problem string) Fault {
	at := s.path(key)
	if s.at != "" {
		at = s.at + "." + key
	}
	return s.d.fault(s.path(key), at, problem)
}

// For an item of a list:

func (s *section) faultItem(key string, n int, problem string) {
	s.d.faults = append(s.d.faults, s.aboutItem(key, n, problem))
}

func (s *section) warnItem(key string, n int, problem string) {
	s.d.warnings = append(s.d.warnings, s.aboutItem(key, n, problem))
}

func (s *section) aboutItem(key string, n int, problem string) Fault {
	f := s.about(itemName(key, n), problem)
	f.Key = s.path(key)
	return f
}

// get returns the value of a key, if present and of type T.
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
			s.faultItem(key, i, fmt.Sprintf("holds %s: want tables, [[%s]]", kindOf(v), s.path(key)))
			continue
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

// choice reads a word and stores the value of that name.
func choice[T fmt.Stringer](s *section, key string, to *T, from ...T) {
	if i, ok := s.oneOf(key, names(from)); ok {
		*to = from[i]
	}
}

// oneOf reads one of some words and returns its index.
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

// items reads a list of texts and hands each to look, whose result is a fault or
// "". It reports whether the list is present and right.
func (s *section) items(key string, look func(text string) (problem string)) bool {
	list, ok := get[[]any](s, key, `a list of texts, ["...", "..."]`)
	for i, v := range list {
		problem := fmt.Sprintf("holds %s: want texts in quotes", kindOf(v))
		if text, isText := v.(string); isText {
			problem = look(text)
		}
		if problem != "" {
			s.faultItem(key, i, problem)
			ok = false
		}
	}
	return ok
}

// strings reads a list of texts.
func (s *section) strings(key string, to *[]string) bool {
	out := []string{}
	ok := s.items(key, func(text string) string { out = append(out, text); return "" })
	if ok {
		*to = out
	}
	return ok
}

func (s *section) modes(key string, to *Modes) {
	var out Modes
	if s.items(key, func(text string) string {
		m, ok := probe.ParseMode(text)
		if !ok {
			return fmt.Sprintf("holds %q: want any of %s", text, quoted(names(allModes)))
		}
		out = out.With(m)
		return ""
	}) {
		*to = out
	}
}

// prefixes reads addresses by the rules of an address file. The right entries
// count beside a wrong one: the configuration is refused anyway.
func (s *section) prefixes(key string, to *[]netip.Prefix) {
	out := []netip.Prefix{}
	s.items(key, func(text string) string {
		p, why := addresses.Parse(text)
		if why != "" {
			return fmt.Sprintf("%.80q %s", text, why)
		}
		out = append(out, p)
		return ""
	})
	if s.values[key] != nil {
		*to = out
	}
}

func (s *section) duration(key string, to *Duration, lowest, highest string) {
	v, ok := get[string](s, key, `a duration in quotes, "10m"`)
	if !ok {
		return
	}
	if v == "0s" && lowest == "0s" {
		*to = 0
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

// durations reads lengths that do not fall: a source that comes back must not
// fare better.
func (s *section) durations(key string, to *Durations) {
	var out Durations
	if !s.items(key, func(text string) string {
		d, err := ParseDuration(text)
		if err != nil {
			return err.Error()
		}
		out = append(out, time.Duration(d))
		if n := len(out); n > 1 && out[n-1] < out[n-2] {
			return fmt.Sprintf("%q comes after %q, and is shorter: want lengths that grow, for those who "+
				"come back", text, Duration(out[n-2]))
		}
		return ""
	}) {
		return
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

// trigger reads one number for all modes, or a table by mode.
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

// end faults the unread keys.
func (s *section) end() {
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		if slices.Contains(s.known, key) {
			continue
		}
		s.fault(key, "is unknown"+s.meant(key))
	}
}

// meant returns a suggestion for an unknown key.
func (s *section) meant(key string) string {
	if near := Nearest(key, s.known); near != "" {
		return fmt.Sprintf(": did you mean %q?", s.path(near))
	}
	if s.name == "" && portsentry.Option(key) {
		return ": " + portsentrys(s.about(key, "").File)
	}
	if homes := homesOf(key); homes != "" {
		return ": it is a key of " + homes
	}
	return ": want one of " + strings.Join(s.known, ", ")
}

// homesOf returns the sections that have a key, or "". A key that stands above all sections, or
// below the wrong one, is right by itself.
func homesOf(key string) string {
	reference, _ := parse("", examples.Reference)
	var homes []string
	for name, v := range reference.values {
		if t, ok := v.(map[string]any); ok && t[key] != nil {
			homes = append(homes, "["+name+"]")
		}
	}
	slices.Sort(homes)
	return strings.Join(homes, ", ")
}
