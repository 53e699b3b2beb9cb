// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"

	"picket/internal/packet"
	"picket/internal/probe"
)

// Rules say which packets are probes. The zero Rules watch everything in advanced mode.
// They are for one goroutine.
type Rules struct {
	// Local are the watched addresses. Empty, every destination is watched.
	Local []netip.Prefix
	// Behind are networks behind the watched host, which the rules judge in the hook
	// forward: no trap is there, and neither answers nor packets from there are probes.
	Behind []netip.Prefix
	// Open reports whether a port serves somebody, beside those that answer in
	// the capture. Nil is none.
	Open func(protocol uint8, port uint16) bool
	// Mode returns the mode that watches a port, 0 for none. Of ICMP the port
	// is type<<8|code, of protocols without ports the protocol number. Nil
	// watches everything in advanced mode.
	Mode func(protocol uint8, port uint16) probe.Mode
	// Trap reports whether classic mode's trap takes the connections to a TCP
	// port. The SYN that asks for one is then a probe of classic mode, unless
	// Mode says stealth, and the ACK that completes it is one of the technique
	// Connect; other packets to the port are Mode's. Nil is none.
	Trap func(port uint16) bool
	// Invited reports whether sources may be led to the trap from a TCP port that is
	// none of Trap's: with TrapAnswers, what answers there and Open does not know is
	// the trap too. Nil is none.
	Invited func(port uint16) bool
	// TrapAnswers says that the trap was there when the capture was made: what
	// answers at a port of Trap, and Open does not know, is the trap and no
	// service.
	TrapAnswers bool
}

// A Record is one packet of a capture and the verdict on it. It is valid until the
// function that got it returns.
type Record struct {
	Verdict Verdict
	Probe   probe.Probe    // valid iff Verdict is Probe
	Packet  *packet.Packet // what was decoded; nil with NotIP
	Raw     []byte         // the IP packet, reassembled if need be (then its first 128 bytes and its header)
	At      int64          // nanoseconds since the Unix epoch
	File    string
	Number  uint64 // of the packet in its file, from 1

	// Mirrored says that one of picket's own rules made a probe of the packet, in
	// a capture of NFLOG: its mode is that rule's.
	Mirrored bool

	// Answered says that the port of a probe, or of a packet with the verdict Open,
	// answered in the capture: without [Rules.TrapAnswers] it would be open.
	Answered bool
}

// A Summary counts what a run read.
type Summary struct {
	Files    int
	Packets  uint64
	Verdicts [Verdicts]uint64 // packets by verdict
	Open     int              // ports that answered
	// the first pass learned all there was; false if it met MaxLearned, and then probes may be none
	Learned   bool
	Asked     uint64 // connections to the trap that were asked for
	Connected uint64 // and those of them that were completed in the capture
	First     int64  // earliest packet, nanoseconds since the Unix epoch; 0 without packets
	Last      int64  // latest packet
}

// Probes is how many probes there were.
func (s *Summary) Probes() uint64 { return s.Verdicts[Probe] }

// A Source is one capture that can be read more than once. At most 64 sources may overlap
// in time; one more is an error of its own.
type Source struct {
	Name string
	Open func() (io.ReadCloser, error)
}

// File is the capture in a file.
func File(name string) Source {
	return Source{Name: name, Open: func() (io.ReadCloser, error) { return os.Open(name) }}
}

// Memory is a capture in memory.
func Memory(name string, b []byte) Source {
	return Source{Name: name, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)),
			nil
	}}
}

// Run replays sources as if their packets were in one capture, sorted by time, and calls
// emit for every packet, probe or not. When ctx is done it stops with ctx's error.
//
// A source that cannot be read to its end stops nothing: its packets up to there count,
// the others are replayed, and the error joins its *[Error] to those of the rest.
func Run(ctx context.Context, sources []Source, rules Rules, emit func(*Record)) (Summary, error) {
	r := &run{rules: rules, flows: newFlows(), fragments: newDefragmenter(), emit: emit, known: newLearned(),
		questions: newQuestions()}
	tapes := byTime(sources)
	// The second pass gets as far and reports the faults.
	r.each(ctx, tapes, r.learn, func(error) {})
	r.sum = Summary{Files: len(sources), Open: len(r.known.open), Learned: !r.known.full}
	r.flows.forget()
	r.fragments = newDefragmenter()
	var faults []error
	r.each(ctx, tapes, r.judge, func(err error) { faults = append(faults, err) })
	return r.sum, errors.Join(append(faults, ctx.Err())...)
}
