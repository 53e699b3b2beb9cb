// SPDX-License-Identifier: MIT

package journal

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"picket/engine"
)

// Fields returns an event as journal fields: its JSON keys in upper case
// behind PICKET_, lists with a blank between their items.
func Fields(e engine.Event) map[string]string {
	fields := map[string]string{}
	for key, value := range values(e) {
		fields["PICKET_"+strings.ToUpper(key)] = value
	}
	return fields
}

// Line returns an event as one line of key=value, "event" and what it is about
// first.
func Line(e engine.Event) string {
	v := values(e)
	first := []string{"event", "source", "destination", "protocol", "port", "mode", "technique", "pattern", "action", "for_s", "probes", "ports_seen"}
	rank := map[string]int{"reason": 2, "config": 3, "time": 4}
	for i, k := range first {
		rank[k] = i - len(first)
	}
	keys := make([]string, 0, len(v))
	for k := range v {
		if k != "time" { // whoever reads lines adds the time himself
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		if rank[keys[i]] != rank[keys[j]] {
			return rank[keys[i]] < rank[keys[j]]
		}
		return keys[i] < keys[j]
	})
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(k + "=")
		if s := v[k]; s == "" || strings.ContainsAny(s, " \"=") {
			b.WriteString(strconv.Quote(s))
		} else {
			b.WriteString(s)
		}
	}
	return b.String()
}

// values returns the keys and values of the event's JSON form, as text, those
// without a value left out.
func values(e engine.Event) map[string]string {
	b, err := json.Marshal(e)
	if err != nil {
		return map[string]string{"event": e.Event, "reason": clean(err.Error())}
	}
	raw := map[string]any{}
	if err := json.Unmarshal(b, &raw); err != nil {
		return map[string]string{"event": e.Event, "reason": clean(err.Error())}
	}
	out := make(map[string]string, len(raw))
	for key, value := range raw {
		switch v := value.(type) {
		case string:
			if v != "" {
				out[key] = clean(v)
			}
		case float64:
			out[key] = strconv.FormatInt(int64(v), 10)
		case []any:
			items := make([]string, len(v))
			for i := range v {
				items[i] = clean(fmt.Sprint(v[i]))
			}
			out[key] = strings.Join(items, " ")
		default:
			out[key] = clean(fmt.Sprint(v))
		}
	}
	if e.Source == "" {
		delete(out, "proven") // a notice is about nobody
	}
	return out
}

// Message returns an event as a sentence, for MESSAGE=.
func Message(e engine.Event) string {
	src := clean(e.Source)
	switch e.Event {
	case "probe":
		return fmt.Sprintf("%s probe of %s from %s, its %s%s", e.Technique, target(e), src, ordinal(e.Probes), tool(e))
	case "pattern":
		if src == "" {
			return e.Pattern + ": " + clean(e.Reason)
		}
		return fmt.Sprintf("%s by %s: %d ports, %d probes since %s%s", e.Pattern, src, e.PortsSeen, e.Probes, e.First.Format(time.TimeOnly), tool(e))
	case "block":
		return fmt.Sprintf("blocked %s for %s: %s", src, time.Duration(e.For), why(e))
	case "unblock":
		if src == "" { // many at once
			return "unblocked " + clean(e.Reason)
		}
		return fmt.Sprintf("unblocked %s: %s", src, clean(e.Reason))
	case "expire":
		return fmt.Sprintf("block of %s has ended", src)
	case "ignore":
		return fmt.Sprintf("ignored %s: %s", src, clean(e.Reason))
	}
	return clean(e.Reason)
}

// why says what a block was for: what was seen if it was, else the reason given.
func why(e engine.Event) string {
	if e.Technique == "" {
		return clean(e.Reason)
	}
	s := fmt.Sprintf("%s probe of %s, %s", e.Technique, target(e), clean(e.Reason))
	if e.Pattern != "" {
		s = e.Pattern + ", " + s
	}
	return s + tool(e)
}

func target(e engine.Event) string {
	return engine.PortName(e.Protocol, e.Port)
}

func tool(e engine.Event) string {
	if e.Tool == "" {
		return ""
	}
	return " (" + clean(e.Tool) + ")"
}

func ordinal(n uint32) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.FormatUint(uint64(n), 10) + suffix
}
