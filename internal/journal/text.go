// SPDX-License-Identifier: MIT

package journal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/show"
)

// Fields returns an event as journal fields: its JSON keys in upper case
// behind PICKET_, lists with a blank between their items.
func Fields(e event.Event) map[string]string {
	list := values(&e)
	fields := make(map[string]string, len(list)+2) // and what send adds
	for _, v := range list {
		fields["PICKET_"+strings.ToUpper(v.key)] = v.text
	}
	return fields
}

// Line returns an event as one line of key=value, "event" and what it is about
// first.
func Line(e event.Event) string {
	var b strings.Builder
	for i, v := range values(&e) {
		if v.key == "time" {
			continue // whoever reads lines adds the time himself
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(v.key)
		b.WriteByte('=')
		if v.text == "" || strings.ContainsAny(v.text, " \"=") {
			b.WriteString(strconv.Quote(v.text))
		} else {
			b.WriteString(v.text)
		}
	}
	return b.String()
}

// A value is a key of an event's JSON form and what it has there, as text.
type value struct{ key, text string }

// values lists what an event has, in the order of a line. It is written out
// since events are told by the thousand: by way of JSON it takes some ten times
// as long. A test holds it to the JSON form, so that no key is forgotten.
func values(e *event.Event) []value {
	list := make([]value, 0, 30)
	text := func(key, s string) {
		if s != "" {
			list = append(list, value{key, show.Clean(s)})
		}
	}
	number := func(key string, n uint32) {
		if n != 0 {
			list = append(list, value{key, strconv.FormatUint(uint64(n), 10)})
		}
	}
	moment := func(key string, t time.Time) { list = append(list, value{key, t.Format(time.RFC3339Nano)}) }

	text("event", e.Event)
	text("source", e.Source)
	if e.Destination.IsValid() {
		text("destination", e.Destination.String())
	}
	text("protocol", e.Protocol)
	number("port", uint32(e.Port))
	text("mode", e.Mode)
	text("technique", e.Technique)
	text("pattern", e.Pattern)
	text("action", e.Action)
	if e.For != 0 {
		text("for_s", e.For.String())
	}
	number("probes", e.Probes)
	number("ports_seen", e.PortsSeen)
	// The others by their names, what is long last.
	number("asn", e.ASN)
	text("country", e.Country)
	text("data", e.Data)
	if !e.First.IsZero() {
		moment("first", e.First)
	}
	text("flags", e.Flags)
	text("interface", e.Interface)
	text("known", e.Known)
	if !e.Last.IsZero() {
		moment("last", e.Last)
	}
	text("network", e.Network)
	if len(e.Ports) > 0 {
		list = append(list, value{"ports", show.Clean(strings.Join(e.Ports, " "))})
	}
	if e.Source != "" { // a notice is about nobody
		list = append(list, value{"proven", strconv.FormatBool(e.Proven)})
	}
	number("source_port", uint32(e.SourcePort))
	number("targets_seen", e.TargetsSeen)
	text("tool", e.Tool)
	text("reason", e.Reason)
	text("evidence", e.Evidence)
	text("config", e.Config)
	moment("time", e.Time)
	return list
}

// Message returns an event as a sentence, for MESSAGE=.
func Message(e event.Event) string {
	src := show.Clean(e.Source)
	switch e.Event {
	case "probe":
		return fmt.Sprintf("%s probe of %s from %s, its %s%s", e.Technique, target(e), src, show.Ordinal(e.Probes), tool(e))
	case "pattern":
		if src == "" {
			return e.Pattern + ": " + show.Clean(e.Reason)
		}
		return fmt.Sprintf("%s by %s: %d ports, %d probes since %s%s", e.Pattern, src, e.PortsSeen, e.Probes, e.First.Format(time.TimeOnly), tool(e))
	case "block":
		return fmt.Sprintf("blocked %s for %s: %s", src, time.Duration(e.For), why(e))
	case "unblock":
		if src == "" { // many at once
			return "unblocked " + show.Clean(e.Reason)
		}
		return fmt.Sprintf("unblocked %s: %s", src, show.Clean(e.Reason))
	case "expire":
		return fmt.Sprintf("block of %s has ended", src)
	case "ignore":
		return fmt.Sprintf("ignored %s: %s", src, show.Clean(e.Reason))
	}
	return show.Clean(e.Reason)
}

// why says what a block was for: what was seen if it was, else the reason given.
func why(e event.Event) string {
	if e.Technique == "" {
		return show.Clean(e.Reason)
	}
	s := fmt.Sprintf("%s probe of %s, %s", e.Technique, target(e), show.Clean(e.Reason))
	if e.Evidence != "" {
		s += " (" + show.Clean(e.Evidence) + ")"
	}
	if e.Pattern != "" {
		s = e.Pattern + ", " + s
	}
	return s + tool(e)
}

func target(e event.Event) string {
	return engine.PortName(e.Protocol, e.Port)
}

func tool(e event.Event) string {
	if e.Tool == "" {
		return ""
	}
	return " (" + show.Clean(e.Tool) + ")"
}
