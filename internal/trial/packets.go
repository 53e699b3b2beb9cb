// SPDX-License-Identifier: MIT

package trial

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"picket/engine"
	"picket/internal/packet"
	"picket/internal/probe"
	"picket/internal/replay"
)

// packetLine is one packet of a replay and the verdict on it, with the keys of its JSON
// form.
type packetLine struct {
	Event       string     `json:"event"` // "packet"
	File        string     `json:"file"`
	Number      uint64     `json:"number"`
	Time        time.Time  `json:"time"`
	Source      netip.Addr `json:"source,omitzero"`
	Destination netip.Addr `json:"destination,omitzero"`
	Protocol    string     `json:"protocol,omitempty"`
	Port        uint16     `json:"port,omitempty"`
	SourcePort  uint16     `json:"source_port,omitempty"`
	Verdict     string     `json:"verdict"`
	Mode        string     `json:"mode,omitempty"`
	Technique   string     `json:"technique,omitempty"`
	Pattern     string     `json:"pattern,omitempty"`
	Tool        string     `json:"tool,omitempty"`
	Action      string     `json:"action,omitempty"`
	Why         string     `json:"why"`
}

// packetPrinter returns a function that judges and prints every packet of a capture.
func packetPrinter(out io.Writer, s *side, asJSON bool) func(*replay.Record) {
	enc := json.NewEncoder(out)
	file, width := "", 0
	return func(rec *replay.Record) {
		line := describePacket(rec)
		s.meets(rec)
		switch p, served, ok := aimed(rec); {
		case served && ok:
			line.Why = cmp.Or(s.served(&p), line.Why)
		case ok:
			line.judged(&rec.Probe, s)
		}
		// An error of writing shows when the buffer is flushed.
		if asJSON {
			_ = enc.Encode(line)
			return
		}
		if rec.File != file {
			file = rec.File
			fmt.Fprintf(out, "%q\n", file)
		}
		width = line.print(out, width)
	}
}

func describePacket(rec *replay.Record) packetLine {
	line := packetLine{
		Event: "packet", File: rec.File, Number: rec.Number, Time: time.Unix(0, rec.At).UTC(),
		Verdict: rec.Verdict.String(), Why: rec.Verdict.Why(),
	}
	p := rec.Packet
	if p == nil || p.Has&packet.HasAddresses == 0 {
		return line
	}
	line.Source, line.Destination = p.Source, p.Destination
	if p.Has&packet.HasProtocol == 0 {
		return line
	}
	line.Protocol = probe.ProtocolName(p.Protocol)
	switch {
	case p.Has&packet.HasPorts != 0:
		line.Port, line.SourcePort = p.Port, p.SourcePort
	case line.Protocol == "ip":
		line.Port = uint16(p.Protocol)
	case p.Has&packet.HasKind != 0 && !probe.Ported(p.Protocol):
		line.Port = uint16(p.Type)<<8 | uint16(p.Code)
	}
	return line
}

// judged adds what the engine decided about a probe.
func (l *packetLine) judged(p *probe.Probe, s *side) {
	l.Mode, l.Technique, l.Port = p.Mode.String(), p.Technique.String(), p.Port
	led := s.kept.Led
	d, dropped := s.observe(p)
	if d.Reason == 0 {
		l.Why = "of a blocked source: the kernel would have dropped it"
		return
	}
	l.Pattern, l.Tool, l.Action, l.Why = d.Pattern.String(), d.Tool.String(), d.Action.String(), because(&d)
	switch {
	case s.kept.Led > led:
		l.Why = "the kernel would have led it to the trap: " + l.Why
	case dropped:
		l.Why = "the kernel would have dropped it: " + l.Why
	}
}

// because returns the reason of a decision, with its evidence.
func because(d *engine.Decision) string {
	why := d.Reason.String()
	if e := d.Evidence(); e != "" {
		why += ": " + e
	}
	return why
}

// print writes the line for people, the addresses in width columns, and returns the
// columns they took.
func (l packetLine) print(out io.Writer, width int) int {
	flow := ""
	if l.Source.IsValid() {
		flow = fmt.Sprintf("%s > %s %s", l.Source, l.Destination, l.Protocol)
	}
	if l.Port != 0 {
		flow += fmt.Sprintf("/%d", l.Port)
	}
	width = max(width, len(flow))
	what := l.Verdict
	for _, s := range []string{l.Technique, l.Pattern, l.Tool} {
		if s != "" {
			what += " " + s
		}
	}
	if l.Action != "" && l.Action != engine.None.String() {
		what += ", " + l.Action
	}
	fmt.Fprintf(out, "%7d  %s  %-*s  %s: %s\n", l.Number, l.Time.Format("01-02 15:04:05.000000"), width, flow,
		what, l.Why)
	return width
}
