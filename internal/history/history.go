// SPDX-License-Identifier: MIT

// Package history writes the record of actions: JSON lines, Suricata's alert
// records, or the lines of PortSentry 1.2 and 2, byte for byte, for the filters of
// fail2ban and the rules of logcheck. PortSentry's file of blocked hosts is one
// more such file, emptied at start.
//
// Only actions are written: a block, a command, a probe at its trigger while
// action is "log". PortSentry 2 writes ignored sources and untriggered probes too,
// and the filter in its documentation bans those (docs/portsentry.md, defect 4).
//
// A [File] appends with one write a line, is truncated only on request, and can be
// opened anew after logrotate. It refuses anything but a regular file, a symbolic
// link, and a file that belongs to neither root nor us: anybody could make
// PortSentry's predictable file in /tmp beforehand (defect 12). It needs write
// permission and nothing else.
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

// A Record is an event with the rest of a PortSentry line.
type Record struct {
	Event event.Event
	// Address is the address seen: an IPv6 source is a prefix, and fail2ban bans
	// addresses. The zero Address stands for the source's own.
	Address netip.Addr
	// Name is the source's host name, or empty; see package resolve. It must be
	// clean: it goes into the line as it is.
	Name string
	// Zone is the time zone of the line; nil is UTC. PortSentry's is local time.
	Zone *time.Location
}

// Append appends the record's line, newline included, to b, or nothing if the
// format has no line for the event: a probe without an action has none, and
// PortSentry's and Suricata's formats have none for ends of blocks and for blocks
// by hand.
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

// acted reports whether the event is about an action.
func acted(e event.Event, ends bool) bool {
	switch e.Event {
	case "block":
		return ends || e.Protocol != "" // a block by hand has no probe
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
