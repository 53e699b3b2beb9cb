// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"testing"
	"time"

	"picket/internal/probe"
)

// A world is a host with an engine, a clock and somebody who sends it packets.
type world struct {
	*testing.T
	*Engine
	at  time.Time
	seq uint32
	to  netip.Addr
}

// careful is the usual policy of the tests. Its triggers are far below the default, and all
// different, so that a test shows which one it reached.
func careful() Config {
	return Config{
		Style: BlockOnly,
		TCP: Policy{Action: Block, Trigger: [probe.Modes]int{probe.Classic: 0, probe.Stealth: 1,
			probe.Advanced: 10}},
		UDP: Policy{Action: Block, Trigger: [probe.Modes]int{probe.Classic: 3, probe.Stealth: 3,
			probe.Advanced: 12}},
		IP: Policy{Action: Block, Trigger: [probe.Modes]int{probe.Advanced: 5}},
	}
}

func newWorld(t *testing.T, c Config) *world {
	t.Helper()
	e, err := New(c, 7)
	if err != nil {
		t.Fatal(err)
	}
	return &world{T: t, Engine: e, at: time.Unix(1_800_000_000, 0), seq: 1,
		to: netip.MustParseAddr("192.0.2.2")}
}

// An option changes a probe before it is sent.
type option func(*probe.Probe)

func from(a string) option         { return func(p *probe.Probe) { p.Source = netip.MustParseAddr(a) } }
func at(a string) option           { return func(p *probe.Probe) { p.Destination = netip.MustParseAddr(a) } }
func port(n int) option            { return func(p *probe.Probe) { p.Port = uint16(n) } }
func sport(n int) option           { return func(p *probe.Probe) { p.SourcePort = uint16(n) } }
func seq(n uint32) option          { return func(p *probe.Probe) { p.Seq = n } }
func mode(m probe.Mode) option     { return func(p *probe.Probe) { p.Mode = m } }
func is(t probe.Technique) option  { return func(p *probe.Probe) { p.Technique = t; shape(p) } }
func likeTool(t probe.Tool) option { return func(p *probe.Probe) { look(p, t) } }

// shape makes protocol and flags fit the technique.
func shape(p *probe.Probe) {
	switch p.Technique {
	case probe.UDP:
		p.Protocol, p.Flags, p.Seq, p.Options, p.Window = probe.ProtocolUDP, 0, 0, 0, 0
	case probe.ACK:
		p.Flags = probe.FlagACK
	case probe.Maimon:
		p.Flags = probe.FlagACK | probe.FlagFIN
	case probe.RST:
		p.Flags = probe.FlagRST
	case probe.SYNACK:
		p.Flags = probe.FlagSYN | probe.FlagACK
	}
}

// look makes a SYN that of a tool.
func look(p *probe.Probe, t probe.Tool) {
	switch t {
	case probe.Nmap:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.Length = 1024, probe.OptionsMSS, 1460, 51, false, 44
	case probe.ZMap:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.ID, p.Length = 65535, 0, 0, 243, false, 54321, 40
	case probe.Linux:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.Length = 64240, probe.OptionsLinux, 1460, 57, true,
			60
	case probe.Windows:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.Length = 64240, probe.OptionsWindows, 1460, 118,
			true, 52
	}
}

// send sends a SYN of an ordinary Linux to port 23 of the host, changed by the
// options, and returns what the engine decides.
func (w *world) send(options ...option) Decision {
	w.Helper()
	return w.Observe(w.make(options...))
}

// make makes the probe that send sends.
func (w *world) make(options ...option) probe.Probe {
	w.seq += 0x9e3779b9
	p := probe.Probe{
		At: w.at.UnixNano(), Source: netip.MustParseAddr("198.51.100.7"), Destination: w.to,
		SourcePort: 40000 + uint16(w.seq>>20),
		Port:       23, Protocol: probe.ProtocolTCP, Mode: probe.Advanced, Technique: probe.SYN,
		Flags: probe.FlagSYN, Seq: w.seq,
	}
	look(&p, probe.Linux)
	for _, o := range options {
		o(&p)
	}
	return p
}

// wait lets time pass.
func (w *world) wait(d time.Duration) { w.at = w.at.Add(d) }

// scan sends a probe to each of n ports from first on, with a pause behind each. It returns the last
// decision, and the number of the probe that got the first reaction, 0 for none.
func (w *world) scan(first, n int, pause time.Duration, options ...option) (d Decision, reacted int) {
	w.Helper()
	for i := range n {
		x := w.send(append([]option{port(first + i)}, options...)...)
		if x.Action != None {
			return x, i + 1
		}
		d = x
		w.wait(pause)
	}
	return d, 0
}

// blocks checks that a decision blocks.
func (w *world) blocks(d Decision) {
	w.Helper()
	if d.Action != Block {
		w.Errorf("not blocked: %v", d)
	}
}

// spares checks that a decision does nothing, for a reason.
func (w *world) spares(d Decision, why Reason) {
	w.Helper()
	if d.Action != None || d.Reason != why {
		w.Errorf("%v for %q, want %q", d.Action, d.Reason, why)
	}
}
