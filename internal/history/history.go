// SPDX-License-Identifier: MIT

// Package history writes the record of what was acted on: JSON lines, Suricata's
// alert records, or the lines of PortSentry 1.2 and 2, byte for byte, so that a filter of fail2ban or
// a rule of logcheck that knows them goes on matching. PortSentry's file of
// blocked hosts is one more such file, emptied at start.
//
// Only what was acted on is written: a block, a command that was run, a probe
// whose trigger was reached while action is "log". PortSentry 2 writes a line
// for ignored sources and untriggered probes too, and the filter that its
// documentation recommends bans those (docs/portsentry.md, defect 4).
//
// A [File] appends with one write a line, is never truncated by picket except
// where that is asked for, and can be opened anew after logrotate moved it. It
// refuses what is not a regular file, a symbolic link, and a file that belongs
// to neither root nor us: PortSentry's predictable file in /tmp could be made
// by anybody beforehand (defect 12). It needs write permission and nothing else.
package history

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"picket/internal/event"
)

// A Format is the form of a line. The zero Format is JSON.
type Format uint8

// The formats.
const (
	JSON        Format = iota // an event.Event a line
	PortSentry1               // PortSentry 1.2's line of its history and blocked files
	PortSentry2               // PortSentry 2's "Scan from" line
	EVE                       // Suricata's alert record, a JSON object a line
)

// String returns the format as configuration spells it.
func (f Format) String() string {
	switch f {
	case JSON:
		return "json"
	case PortSentry1:
		return "portsentry-1"
	case PortSentry2:
		return "portsentry-2"
	case EVE:
		return "eve"
	}
	return fmt.Sprintf("format %d", uint8(f))
}

// MarshalText implements encoding.TextMarshaler.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// A Record is an event with what a PortSentry line needs beside it.
type Record struct {
	Event event.Event
	// Address is the address that was seen, since an IPv6 source is a prefix
	// and fail2ban bans addresses. Without one the source's own is taken.
	Address netip.Addr
	// Name is the source's host name, or empty; see package resolve. It must
	// have been cleaned: it goes into the line as it is.
	Name string
	// Zone is the time zone of the line; nil is UTC. PortSentry's is local time.
	Zone *time.Location
}

// Append appends the record's line, newline included, to b. It appends nothing
// where the format has no line for the event: probes that nothing was done
// about have none, and PortSentry's and Suricata's formats know neither ends of
// blocks nor blocks by hand.
func (f Format) Append(b []byte, r Record) ([]byte, error) {
	if !acted(r.Event, f == JSON) {
		return b, nil
	}
	if f == JSON {
		line, err := json.Marshal(struct {
			event.Event
			Name string `json:"name,omitempty"`
		}{r.Event, r.Name})
		if err != nil {
			return b, fmt.Errorf("write history: %w", err)
		}
		return append(append(b, line...), '\n'), nil
	}
	if !r.Address.IsValid() {
		r.Address = sourceAddr(r.Event.Source)
	}
	if !r.Address.IsValid() {
		return b, fmt.Errorf("write history: source %q is no address", r.Event.Source)
	}
	if r.Zone == nil {
		r.Zone = time.UTC
	}
	switch f {
	case PortSentry1:
		return appendOne(b, r), nil
	case EVE:
		return appendEVE(b, r)
	}
	return appendTwo(b, r), nil
}

// acted reports whether something was done about what the event tells.
func acted(e event.Event, ends bool) bool {
	switch e.Event {
	case "block":
		return ends || e.Protocol != "" // by hand there is no probe to speak of
	case "unblock", "expire":
		return ends
	case "probe", "pattern":
		return e.Action == "log" || e.Action == "run" // "block" has an event of its own
	}
	return false
}

func sourceAddr(s string) netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil {
		return a
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}
