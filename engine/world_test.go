// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"testing"
	"time"
)

// A world is a host with an engine, a clock and somebody who sends it packets.
type world struct {
	*testing.T
	*Engine
	at  time.Time
	seq uint32
	to  netip.Addr
}

// careful is the policy that tests speak of unless they say otherwise. Its
// triggers are far lower than those of the reference configuration, and each is
// another, so that a test shows which one it met.
func careful() Config {
	return Config{
		Style: BlockOnly,
		TCP:   Policy{Action: Block, Trigger: [Modes]int{Classic: 0, Stealth: 1, Advanced: 10}},
		UDP:   Policy{Action: Block, Trigger: [Modes]int{Classic: 3, Stealth: 3, Advanced: 12}},
		IP:    Policy{Action: Block, Trigger: [Modes]int{Advanced: 5}},
	}
}

func newWorld(t *testing.T, c Config) *world {
	t.Helper()
	e, err := New(c, 7)
	if err != nil {
		t.Fatal(err)
	}
	return &world{T: t, Engine: e, at: time.Unix(1_800_000_000, 0), seq: 1, to: netip.MustParseAddr("192.0.2.2")}
}

// An option changes a probe before it is sent.
type option func(*Probe)

func from(a string) option   { return func(p *Probe) { p.Source = netip.MustParseAddr(a) } }
func at(a string) option     { return func(p *Probe) { p.Destination = netip.MustParseAddr(a) } }
func port(n int) option      { return func(p *Probe) { p.Port = uint16(n) } }
func sport(n int) option     { return func(p *Probe) { p.SourcePort = uint16(n) } }
func seq(n uint32) option    { return func(p *Probe) { p.Seq = n } }
func mode(m Mode) option     { return func(p *Probe) { p.Mode = m } }
func is(t Technique) option  { return func(p *Probe) { p.Technique = t; p.shape() } }
func likeTool(t Tool) option { return func(p *Probe) { p.look(t) } }

// shape makes protocol and flags fit the technique.
func (p *Probe) shape() {
	switch p.Technique {
	case UDP:
		p.Protocol, p.Flags, p.Seq, p.Options, p.Window = ProtocolUDP, 0, 0, 0, 0
	case ACK:
		p.Flags = FlagACK
	case Maimon:
		p.Flags = FlagACK | FlagFIN
	case RST:
		p.Flags = FlagRST
	case SYNACK:
		p.Flags = FlagSYN | FlagACK
	}
}

// look makes a SYN that of a tool.
func (p *Probe) look(t Tool) {
	switch t {
	case Nmap:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.Length = 1024, optsMSS, 1460, 51, false, 44
	case ZMap:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.ID, p.Length = 65535, 0, 0, 243, false, 54321, 40
	case Linux:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.Length = 64240, optsLinux, 1460, 57, true, 60
	case Windows:
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.Length = 64240, optsWindows, 1460, 118, true, 52
	}
}

// send sends a SYN of an ordinary Linux to port 23 of the host, changed by the
// options, and returns what the engine decides.
func (w *world) send(options ...option) Decision {
	w.Helper()
	w.seq += 0x9e3779b9
	p := Probe{
		At: w.at.UnixNano(), Source: netip.MustParseAddr("198.51.100.7"), Destination: w.to, SourcePort: 40000 + uint16(w.seq>>20),
		Port: 23, Protocol: ProtocolTCP, Mode: Advanced, Technique: SYN, Flags: FlagSYN, Seq: w.seq,
	}
	p.look(Linux)
	for _, o := range options {
		o(&p)
	}
	return w.Observe(p)
}

// wait lets time pass.
func (w *world) wait(d time.Duration) { w.at = w.at.Add(d) }

// scan sends a probe to each of n ports from first on, with a pause behind
// each, and returns the last decision and how many there were before and
// including the first reaction; 0 is none.
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

// blocks holds that a decision blocks.
func (w *world) blocks(d Decision) {
	w.Helper()
	if d.Action != Block {
		w.Errorf("not blocked: %v", d)
	}
}

// spares holds that a decision does nothing, for a reason.
func (w *world) spares(d Decision, why Reason) {
	w.Helper()
	if d.Action != None || d.Reason != why {
		w.Errorf("%v for %q, want %q", d.Action, d.Reason, why)
	}
}
