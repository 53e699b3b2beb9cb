// SPDX-License-Identifier: MIT

package journal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/internal/event"
	"picket/internal/probe"
	"picket/internal/show"
)

// names are the journal's names of [event.Fields].
var names = func() (out [len(event.Fields)]string) {
	for i, f := range event.Fields {
		out[i] = event.Name(f.Key)
	}
	return out
}()

// Fields returns the journal's fields of an event, lists with blanks between their
// items.
func Fields(e event.Event) map[string]string {
	fields := make(map[string]string, len(names)+2) // and those of send
	for i := range event.Fields {
		if text, ok := event.Fields[i].Text(&e); ok {
			fields[names[i]] = show.Clean(text)
		}
	}
	return fields
}

// Line returns an event as one line of key=value, "event" and its subject first. The
// time is left to the reader of the line.
func Line(e event.Event) string {
	var b strings.Builder
	for i := range event.Fields {
		f := &event.Fields[i]
		text, ok := f.Text(&e)
		if !ok || f.Key == "time" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(f.Key)
		b.WriteByte('=')
		if text = show.Clean(text); text == "" || strings.ContainsAny(text, " \"=") {
			text = strconv.Quote(text)
		}
		b.WriteString(text)
	}
	return b.String()
}

// Sentence returns an event as a line for a terminal, the time first.
func Sentence(e event.Event) string { return show.Stamp(e.Time) + "  " + Message(e) }

// Message returns an event as a sentence, for MESSAGE=.
func Message(e event.Event) string {
	src := show.Clean(e.Source)
	switch e.Event {
	case "probe":
		return fmt.Sprintf("%s probe of %s from %s, its %s%s", e.Technique, target(e), src,
			show.Ordinal(e.Probes), tool(e))
	case "pattern":
		if src == "" {
			return e.Pattern + ": " + show.Clean(e.Reason)
		}
		return fmt.Sprintf("%s by %s: %d ports, %d probes since %s%s", e.Pattern, src, e.PortsSeen, e.Probes,
			e.First.Format(time.TimeOnly), tool(e))
	case "block":
		return fmt.Sprintf("blocked %s for %s: %s", src, time.Duration(e.For), why(e))
	case "trial":
		if src == "" { // the hourly sum
			return "trial: " + show.Clean(e.Reason)
		}
		return fmt.Sprintf("trial: would %s %s for %s: %s", show.Clean(e.Would), src, time.Duration(e.For),
			why(e))
	case "unblock":
		if src == "" { // of many
			return "unblocked " + show.Clean(e.Reason)
		}
		if noun := event.Noun(e.Response); noun != "block" {
			return fmt.Sprintf("ended the %s of %s: %s", noun, src, show.Clean(e.Reason))
		}
		return fmt.Sprintf("unblocked %s: %s", src, show.Clean(e.Reason))
	case "expire":
		return fmt.Sprintf("%s of %s has ended", event.Noun(e.Response), src)
	case "infection":
		return fmt.Sprintf("%s, behind this host, scans others and may be infected: %s", src,
			show.Clean(e.Evidence))
	case "ignore":
		return fmt.Sprintf("ignored %s: %s", src, show.Clean(e.Reason))
	}
	return show.Clean(e.Reason)
}

// why says what a block is for: the probe, or else the reason.
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
	return probe.PortName(e.Protocol, e.Port)
}

func tool(e event.Event) string {
	if e.Tool == "" {
		return ""
	}
	return " (" + show.Clean(e.Tool) + ")"
}
