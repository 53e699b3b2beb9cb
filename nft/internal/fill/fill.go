// SPDX-License-Identifier: MIT

// Package fill makes elements for nftables sets from addresses, ports and protocols.
package fill

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"go4.org/netipx"
)

// A span is a closed range of ports, or of IP protocol numbers.
type span = struct{ From, To uint16 }

// Merge sorts ranges and joins those that overlap or touch.
func Merge[R ~span](rs []R) []R {
	rs = slices.Clone(rs)
	slices.SortFunc(rs, func(a, b R) int { return int(span(a).From) - int(span(b).From) })
	var out []R
	for _, r := range rs {
		if n := len(out); n > 0 && int(span(r).From) <= int(span(out[n-1]).To)+1 {
			out[n-1] = R{span(out[n-1]).From, max(span(out[n-1]).To, span(r).To)}
			continue
		}
		out = append(out, r)
	}
	return out
}

// Ranges returns the interval elements of keys of width bytes, one or two: a start and,
// one above the last key, an end. A range up to the highest key has no end.
func Ranges[R ~span](rs []R, width int) (els []nftables.SetElement) {
	key := func(n uint16) []byte {
		if width == 1 {
			return []byte{byte(n)}
		}
		return binary.BigEndian.AppendUint16(nil, n)
	}
	highest := uint16(1<<(8*width) - 1)
	for _, x := range Merge(rs) {
		r := span(x)
		els = append(els, nftables.SetElement{Key: key(r.From)})
		if r.To < highest {
			els = append(els, nftables.SetElement{Key: key(r.To + 1), IntervalEnd: true})
		}
	}
	return els
}

// Ports returns the elements of a set of ports.
func Ports(ports ...uint16) (els []nftables.SetElement) {
	for _, p := range ports {
		els = append(els, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, p)})
	}
	return els
}

// Protocols returns the elements of a set of protocols if it is on, else none.
func Protocols(on bool, protocols ...byte) (els []nftables.SetElement) {
	for _, p := range protocols {
		if on {
			els = append(els, nftables.SetElement{Key: []byte{p}})
		}
	}
	return els
}

// Addresses returns the elements of a set of the addresses of one family.
func Addresses(as []netip.Addr, v6 bool) (els []nftables.SetElement) {
	for _, a := range as {
		if a.Is6() == v6 {
			els = append(els, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	return els
}

// Prefixes returns the interval elements of the prefixes of one family, in as few
// intervals as possible.
func Prefixes(ps []netip.Prefix, v6 bool) (els []nftables.SetElement) {
	var b netipx.IPSetBuilder
	for _, p := range ps {
		if p.IsValid() && p.Addr().Is6() == v6 {
			b.AddPrefix(p)
		}
	}
	set, _ := b.IPSet() // its errors are of invalid prefixes
	for _, r := range set.Ranges() {
		els = append(els, Interval(r)...)
	}
	return els
}

// Interval returns the elements of a range: its first address and the one behind its
// last, if there is one.
func Interval(r netipx.IPRange) []nftables.SetElement {
	els := []nftables.SetElement{{Key: r.From().AsSlice()}}
	if end := r.To().Next(); end.IsValid() {
		els = append(els, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
	}
	return els
}

// PortKey is the key of a port of an address in a set of address, protocol and port, or
// with the zero Addr in one without the address. Each field takes a multiple of four
// bytes.
func PortKey(protocol uint8, at netip.AddrPort) []byte {
	key := append(at.Addr().AsSlice(), protocol, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(key, at.Port()), 0, 0)
}

// Subnets calls each for the subnets of a length that make up a prefix.
func Subnets(p netip.Prefix, bits int, each func(netip.Prefix)) {
	if p.Bits() == bits {
		each(p)
		return
	}
	b := p.Addr().AsSlice()
	for range 1 << (bits - p.Bits()) {
		a, _ := netip.AddrFromSlice(b)
		each(netip.PrefixFrom(a, bits))
		for i, step := (bits-1)/8, byte(1)<<((8-bits%8)%8); i >= 0; i, step = i-1, 1 {
			if b[i] += step; b[i] >= step {
				break // else it is carried
			}
		}
	}
}

// Messages gathers addresses by set, and sends them a message at a time. Send is set before
// the first address; the zero value of the rest is ready.
type Messages struct {
	Send func(set string, els []nftables.SetElement) error
	of   map[string][]nftables.SetElement
	err  error // the first
}

// inMessage are few enough for one message, of less than 64 KiB.
const inMessage = 1024

// Add adds an address to a set.
func (m *Messages) Add(set string, a netip.Addr) {
	if m.of == nil {
		m.of = map[string][]nftables.SetElement{}
	}
	els := append(m.of[set], nftables.SetElement{Key: a.AsSlice()})
	if len(els) == inMessage {
		m.send(set, els)
		els = els[:0]
	}
	m.of[set] = els
}

func (m *Messages) send(set string, els []nftables.SetElement) {
	if err := m.Send(set, els); err != nil && m.err == nil {
		m.err = fmt.Errorf("set %s: %w", set, err)
	}
}

// Flush sends the rest, and returns the first error of Send.
func (m *Messages) Flush() error {
	for set, els := range m.of {
		if len(els) > 0 {
			m.send(set, els)
		}
	}
	return m.err
}
