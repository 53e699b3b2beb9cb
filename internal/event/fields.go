// SPDX-License-Identifier: MIT

package event

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A Field is one key of an event, with the place of its value.
type Field struct {
	Key string
	At  func(*Event) any // a pointer
}

// Name returns a key's name in the journal and in a hook's environment.
func Name(key string) string { return "PICKET_" + strings.ToUpper(key) }

// Fields are all keys, in the order of a line: the subject, the others by name, the
// long ones last. They are written out for speed: by way of JSON a line takes some
// ten times as long. A test compares them with the JSON form.
var Fields = [...]Field{
	{"event", func(e *Event) any { return &e.Event }},
	{"source", func(e *Event) any { return &e.Source }},
	{"destination", func(e *Event) any { return &e.Destination }},
	{"protocol", func(e *Event) any { return &e.Protocol }},
	{"port", func(e *Event) any { return &e.Port }},
	{"mode", func(e *Event) any { return &e.Mode }},
	{"technique", func(e *Event) any { return &e.Technique }},
	{"pattern", func(e *Event) any { return &e.Pattern }},
	{"action", func(e *Event) any { return &e.Action }},
	{"for_s", func(e *Event) any { return &e.For }},
	{"probes", func(e *Event) any { return &e.Probes }},
	{"ports_seen", func(e *Event) any { return &e.PortsSeen }},
	{"asn", func(e *Event) any { return &e.ASN }},
	{"country", func(e *Event) any { return &e.Country }},
	{"data", func(e *Event) any { return &e.Data }},
	{"drops", func(e *Event) any { return &e.Drops }},
	{"first", func(e *Event) any { return &e.First }},
	{"flags", func(e *Event) any { return &e.Flags }},
	{"held_us", func(e *Event) any { return &e.Held }},
	{"interface", func(e *Event) any { return &e.Interface }},
	{"known", func(e *Event) any { return &e.Known }},
	{"last", func(e *Event) any { return &e.Last }},
	{"network", func(e *Event) any { return &e.Network }},
	{"ports", func(e *Event) any { return &e.Ports }},
	{"proven", func(e *Event) any { return &e.Proven }},
	{"response", func(e *Event) any { return &e.Response }},
	{"source_port", func(e *Event) any { return &e.SourcePort }},
	{"targets_seen", func(e *Event) any { return &e.TargetsSeen }},
	{"tool", func(e *Event) any { return &e.Tool }},
	{"would", func(e *Event) any { return &e.Would }},
	{"reason", func(e *Event) any { return &e.Reason }},
	{"evidence", func(e *Event) any { return &e.Evidence }},
	{"config", func(e *Event) any { return &e.Config }},
	{"time", func(e *Event) any { return &e.Time }},
}

// Text returns the value as text, and whether there is one. The time always has
// one, and so has proven if there is a source.
func (f *Field) Text(e *Event) (text string, ok bool) {
	switch v := f.At(e).(type) {
	case *string:
		return *v, *v != ""
	case *uint16:
		return strconv.FormatUint(uint64(*v), 10), *v != 0
	case *uint32:
		return strconv.FormatUint(uint64(*v), 10), *v != 0
	case *uint64:
		return strconv.FormatUint(*v, 10), *v != 0
	case *bool:
		return strconv.FormatBool(*v), e.Source != ""
	case *Seconds:
		return v.String(), *v != 0
	case *netip.Addr:
		if v.IsValid() {
			return v.String(), true
		}
	case *time.Time:
		if v == &e.Time || !v.IsZero() {
			return v.Format(time.RFC3339Nano), true
		}
	case *[]string:
		return strings.Join(*v, " "), len(*v) > 0
	}
	return "", false
}

// Set is the inverse of [Field.Text]. A text without a valid value changes nothing.
func (f *Field) Set(e *Event, text string) {
	switch v := f.At(e).(type) {
	case *string:
		*v = text
	case *uint16:
		if n, err := strconv.ParseUint(text, 10, 16); err == nil {
			*v = uint16(n)
		}
	case *uint32:
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			*v = uint32(n)
		}
	case *uint64:
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			*v = n
		}
	case *bool:
		*v = text == "true"
	case *Seconds:
		_ = v.UnmarshalJSON([]byte(text))
	case *netip.Addr:
		if a, err := netip.ParseAddr(text); err == nil {
			*v = a
		}
	case *time.Time:
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			*v = at
		}
	case *[]string:
		*v = strings.Fields(text)
	}
}

// UnmarshalJSON implements json.Unmarshaler. A number too large for a duration is an
// error.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if n != int64(time.Duration(n)*time.Second/time.Second) {
		return strconv.ErrRange
	}
	*s = Seconds(n) * Seconds(time.Second)
	return nil
}
