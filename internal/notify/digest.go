// SPDX-License-Identifier: MIT

package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/event"
	"picket/internal/show"
)

// Gather is the time from a digest's first event to its message: a scan by many
// sources is one message.
const Gather = 20 * time.Second

// mostLines is the number of events in full in a digest; it counts the others.
const mostLines = 20

// A Digest gathers events into messages, at least Every apart. The zero Digest with
// Every set is empty and ready. It is for one goroutine, and holds at most
// mostLines events.
type Digest struct {
	Every time.Duration // between messages; 0 is Gather

	counts map[string]int // events by kind
	first  []event.Event
	since  time.Time // the first event without a message
	sent   time.Time // the last message; zero before the first
}

// Add notes an event and its time of arrival.
func (d *Digest) Add(e event.Event, now time.Time) {
	if d.counts == nil {
		d.counts = map[string]int{}
		d.since = now
	}
	d.counts[e.Event]++
	if len(d.first) < mostLines {
		d.first = append(d.first, e)
	}
}

// Due returns the time of the next message; ok is false if there is none.
func (d *Digest) Due() (at time.Time, ok bool) {
	if d.counts == nil {
		return time.Time{}, false
	}
	at = d.since.Add(Gather)
	if next := d.sent.Add(max(d.Every, Gather)); !d.sent.IsZero() && next.After(at) {
		at = next
	}
	return at, true
}

// Take returns the message, and begins the next digest.
func (d *Digest) Take(host string, now time.Time) Message {
	m := Message{Title: d.title(host), Text: d.text(), At: now}
	d.counts, d.first, d.sent = nil, nil, now
	return m
}

// kinds are the reportable events, the gravest first, and their names.
var kinds = []struct{ event, one, many string }{
	{"block", "block", "blocks"},
	{"trial", "would-be block", "would-be blocks"},
	{"pattern", "scan named", "scans named"},
	{"infection", "device that scans", "devices that scan"},
	{"lost", "loss", "losses"},
	{"unblock", "response ended by hand", "responses ended by hand"},
	{"expire", "response over", "responses over"},
	{"probe", "probe told", "probes told"},
	{"notice", "notice", "notices"},
}

// Kinds returns the reportable events.
func Kinds() (out []string) {
	for _, k := range kinds {
		out = append(out, k.event)
	}
	return out
}

func (d *Digest) title(host string) string {
	var parts []string
	for _, k := range kinds {
		switch n := d.counts[k.event]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+k.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, k.many))
		}
	}
	return fmt.Sprintf("picket on %s: %s", show.Cut(host, 64), strings.Join(parts, ", "))
}

func (d *Digest) text() string {
	var b strings.Builder
	for i := range d.first {
		b.WriteString(line(&d.first[i]) + "\n")
	}
	total := 0
	for _, n := range d.counts {
		total += n
	}
	if more := total - len(d.first); more > 0 {
		fmt.Fprintf(&b, "... and %s; \"journalctl -t picket\" has them all\n",
			show.Plural(more, "more event"))
	}
	return b.String()
}

// line writes an event as a line of a message: time, source, action, reason.
func line(e *event.Event) string {
	words := []string{e.Time.Local().Format("Jan _2 15:04:05")}
	if e.Source != "" {
		words = append(words, e.Source)
	}
	switch e.Event {
	case "block":
		words = append(words, did(e))
	case "trial":
		words = append(words, strings.TrimSpace("would "+e.Would)+":")
	case "pattern":
		words = append(words, e.Pattern)
	case "unblock":
		words = append(words, event.Noun(e.Response)+" ended:")
	case "infection":
		words = append(words, "scans from behind this host:")
	case "lost":
		words = append(words, "lost:")
	}
	words = append(words, why(e)...)
	return show.Cut(strings.Join(words, " "), 300)
}

// did writes the action against a source, and its length.
func did(e *event.Event) string {
	verb := map[string]string{
		"dark": "darkened", "fence": "fenced", "run": "answered by a command", "log": "logged",
	}[e.Action]
	if verb == "" {
		verb = "blocked"
	}
	if e.For > 0 {
		verb += " for " + time.Duration(e.For).Round(time.Second).String()
	}
	return verb + ":"
}

// why writes the evidence of an event, and the origin of its source.
func why(e *event.Event) (words []string) {
	if e.Event == "block" {
		words = append(words, e.Pattern)
	}
	if e.Tool != "" {
		words = append(words, "("+e.Tool+")")
	}
	reason := e.Evidence
	if reason == "" {
		reason = e.Reason
	}
	words = append(words, reason, e.Country, e.Network)
	return slices.DeleteFunc(words, func(s string) bool { return s == "" })
}
