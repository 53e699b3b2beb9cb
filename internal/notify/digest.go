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

// Gather is how long a digest waits for what comes together with its first
// event: a scan by many sources is one message.
const Gather = 20 * time.Second

// mostLines is how many events a digest has in full; the others are counted.
const mostLines = 20

// A Digest gathers events into messages, of which one follows the other after
// Every at the earliest. The zero Digest with Every set is empty and ready. It
// is for one goroutine, and keeps at most mostLines events however many come.
type Digest struct {
	Every time.Duration // from one message to the next; 0 is Gather

	counts map[string]int // events by kind
	first  []event.Event
	since  time.Time // the first event that no message has
	sent   time.Time // the last message; zero before the first
}

// Add notes an event, which came at a time.
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

// Due returns when a message is due; ok is false while there is nothing to tell.
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

// Take returns the message of what was gathered, and begins the next digest.
func (d *Digest) Take(host string, now time.Time) Message {
	m := Message{Title: d.title(host), Text: d.text(), At: now}
	d.counts, d.first, d.sent = nil, nil, now
	return m
}

// kinds are the events that are told, the gravest first, and how they are counted.
var kinds = []struct{ event, one, many string }{
	{"block", "block", "blocks"},
	{"trial", "would-be block", "would-be blocks"},
	{"pattern", "scan named", "scans named"},
	{"lost", "loss", "losses"},
	{"unblock", "block ended by hand", "blocks ended by hand"},
	{"expire", "block over", "blocks over"},
	{"probe", "probe told", "probes told"},
	{"notice", "notice", "notices"},
}

// Kinds returns the events that can be asked for.
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
		fmt.Fprintf(&b, "... and %s; \"journalctl -t picket\" has them all\n", show.Plural(more, "more event"))
	}
	return b.String()
}

// line writes an event as a line of a message: time, whom, what, why.
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
	case "unblock", "expire":
		words = append(words, "is free")
	case "lost":
		words = append(words, "lost:")
	}
	words = append(words, why(e)...)
	return show.Cut(strings.Join(words, " "), 300)
}

// did says what was done about a source and for how long.
func did(e *event.Event) string {
	verb := map[string]string{"dark": "darkened", "fence": "fenced", "run": "answered by a command", "log": "told"}[e.Action]
	if verb == "" {
		verb = "blocked"
	}
	if e.For > 0 {
		verb += " for " + time.Duration(e.For).Round(time.Second).String()
	}
	return verb + ":"
}

// why says what an event rests on, and from where its source is.
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
