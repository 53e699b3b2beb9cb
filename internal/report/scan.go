// SPDX-License-Identifier: MIT

package report

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"picket/internal/event"
)

// A scanner reads events from lines of JSON in the form of picket and journalctl:
// one object, plain ASCII, known keys. It is ten times as fast as encoding/json,
// and leaves any other line to it. It is for one goroutine.
type scanner struct {
	keys  map[string]int // of event.Fields, with the journal's names
	plain map[string]int
	seen  uint64            // keys of the line, to refuse a second one
	texts map[string]string // recent values: most repeat
}

func newScanner() *scanner {
	s := &scanner{keys: map[string]int{stamp: len(event.Fields)}, plain: map[string]int{},
		texts: map[string]string{}}
	for i := range event.Fields {
		key := event.Fields[i].Key
		s.keys[event.Name(key)], s.plain[key] = i, i
	}
	return s
}

// again reports whether the line had the key before.
func (s *scanner) again(key int) bool {
	was := s.seen
	s.seen |= 1 << key
	return s.seen == was
}

// event reads a line. With false the line is for encoding/json, and ev is to be
// thrown away.
func (s *scanner) event(line []byte, journal bool) (ev event.Event, ok bool) {
	s.seen = 0
	rest, ok := after(line, '{')
	if !ok {
		return ev, false
	}
	for first := true; ; first = false {
		if end, ok := after(rest, '}'); ok {
			return ev, len(bytes.TrimSpace(end)) == 0
		}
		if !first {
			if rest, ok = after(rest, ','); !ok {
				return ev, false
			}
		}
		key, r, ok := text(rest)
		if !ok {
			return ev, false
		}
		if rest, ok = after(r, ':'); !ok {
			return ev, false
		}
		if journal {
			rest, ok = s.journalValue(&ev, key, rest)
		} else {
			rest, ok = s.value(&ev, key, rest)
		}
		if !ok {
			return ev, false
		}
	}
}

// journalValue reads the value of a journal's field, a text.
func (s *scanner) journalValue(ev *event.Event, key, rest []byte) ([]byte, bool) {
	value, rest, ok := text(rest)
	if !ok {
		return nil, false
	}
	i, known := s.keys[string(key)]
	switch {
	case !known:
	case s.again(i):
		return nil, false
	case i < len(event.Fields):
		s.set(&event.Fields[i], ev, value)
	case ev.Time.IsZero():
		ev.Time = entryTime(string(value))
	}
	return rest, true
}

// set sets a field from a text, like [event.Field.Set].
func (s *scanner) set(f *event.Field, ev *event.Event, value []byte) {
	if to, ok := f.At(ev).(*string); ok {
		*to = s.text(value)
		return
	}
	f.Set(ev, string(value))
}

// value reads a value of the field's type in JSON.
func (s *scanner) value(ev *event.Event, key, rest []byte) ([]byte, bool) {
	i, known := s.plain[string(key)]
	if !known || s.again(i) {
		return nil, false
	}
	f := &event.Fields[i]
	switch to := f.At(ev).(type) {
	case *string:
		value, rest, ok := text(rest)
		*to = s.text(value)
		return rest, ok
	case *time.Time:
		value, rest, ok := text(rest)
		at, err := time.Parse(time.RFC3339Nano, string(value))
		*to = at
		return rest, ok && err == nil
	case *netip.Addr:
		value, rest, ok := text(rest)
		a, err := netip.ParseAddr(string(value))
		*to = a
		return rest, ok && err == nil
	case *[]string:
		list, rest, ok := s.list(rest)
		*to = list
		return rest, ok
	case *bool:
		for _, word := range [...]string{"true", "false"} {
			if r, ok := bytes.CutPrefix(rest, []byte(word)); ok {
				*to = word == "true"
				return r, true
			}
		}
		return nil, false
	}
	n := 0
	for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
		n++
	}
	if n == 0 || n > 1 && rest[0] == '0' || n > 19 || !fits(f.At(ev), rest[:n]) {
		return nil, false
	}
	f.Set(ev, string(rest[:n]))
	return rest[n:], true
}

// fits reports whether digits fit the type of the pointer's target.
func fits(to any, digits []byte) bool {
	bits := 33 // seconds that a duration has room for
	switch to.(type) {
	case *uint16:
		bits = 16
	case *uint32:
		bits = 32
	case *uint64:
		bits = 64
	}
	_, err := strconv.ParseUint(string(digits), 10, bits)
	return err == nil
}

// list reads a list of texts.
func (s *scanner) list(rest []byte) (out []string, _ []byte, ok bool) {
	rest, ok = after(rest, '[')
	for ok {
		value, r, isText := text(rest)
		if !isText {
			return nil, nil, false
		}
		out = append(out, s.text(value))
		if end, ok := after(r, ']'); ok {
			return out, end, true
		}
		rest, ok = after(r, ',')
	}
	return nil, nil, false
}

// text returns a text, shared with an equal recent one.
func (s *scanner) text(b []byte) string {
	const most = 4096
	if t, ok := s.texts[string(b)]; ok {
		return t
	}
	if len(s.texts) >= most {
		clear(s.texts)
	}
	t := string(b)
	s.texts[t] = t
	return t
}

// after returns the rest behind a first byte c.
func after(b []byte, c byte) ([]byte, bool) {
	if len(b) == 0 || b[0] != c {
		return nil, false
	}
	return b[1:], true
}

// text returns the text at the beginning of b, and the rest. A text with an
// escape, or beyond plain ASCII, is refused.
func text(b []byte) (value, rest []byte, ok bool) {
	if b, ok = after(b, '"'); !ok {
		return nil, nil, false
	}
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:], true
		case c == '\\' || c < ' ' || c > '~':
			return nil, nil, false
		}
	}
	return nil, nil, false
}
