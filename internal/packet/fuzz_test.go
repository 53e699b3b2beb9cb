// SPDX-License-Identifier: MIT

package packet

import (
	"bytes"
	"reflect"
	"testing"
	"unsafe"

	"picket/internal/probe"
)

// parts returns the fields that each bit of Has vouches for.
func parts(p *Packet) map[Has][]any {
	return map[Has][]any{
		HasAddresses:  {p.Source, p.Destination, p.TTL, p.Length, p.ID, p.DontFrag},
		HasProtocol:   {p.Protocol, p.Offset, p.More, p.FragmentID, p.FragmentAt},
		HasPorts:      {p.SourcePort, p.Port},
		HasKind:       {p.Seq, p.Ack, p.Flags, p.Chunk, p.Type, p.Code},
		HasTransport:  {p.Window, p.Tag},
		HasOptions:    {p.Options, p.MSS},
		HasEmbedded:   {p.Embedded.Source, p.Embedded.Destination, p.Embedded.Protocol},
		HasIdentifier: {p.Identifier},
	}
}

// checkCut holds what is known from the first n bytes of b against what all of b says.
func checkCut(t *testing.T, b []byte, n int) {
	t.Helper()
	var whole, cut Packet
	Decode(b, &whole)
	Decode(b[:n], &cut)
	if cut.Has&^whole.Has != 0 {
		t.Fatalf("%d of %d bytes: has %08b, all of it %08b\n%x", n, len(b), cut.Has, whole.Has, b)
	}
	w := parts(&whole)
	for bit, got := range parts(&cut) {
		if cut.Has&bit != 0 && !reflect.DeepEqual(got, w[bit]) {
			t.Fatalf("%d of %d bytes, part %08b: %v, all of it %v\n%x", n, len(b), bit, got, w[bit], b)
		}
	}
	if cut.Embedded.HasPorts && cut.Embedded != whole.Embedded {
		t.Fatalf("%d of %d bytes: quotes %v, all of it %v\n%x", n, len(b), cut.Embedded, whole.Embedded, b)
	}
	if !bytes.HasPrefix(whole.Payload, cut.Payload) {
		t.Fatalf("%d of %d bytes: payload %x, all of it %x", n, len(b), cut.Payload, whole.Payload)
	}
	if mask := optionMask(cut.Options); whole.Options&mask != cut.Options {
		t.Fatalf("%d of %d bytes: options %016x, all of it %016x", n, len(b), cut.Options, whole.Options)
	}
}

// optionMask covers the bytes of o that hold an option.
func optionMask(o uint64) (mask uint64) {
	for shift := 56; shift >= 0 && o>>shift&255 != 0; shift -= 8 {
		mask |= 255 << shift
	}
	return mask
}

func TestEveryCut(t *testing.T) {
	for _, s := range samples {
		b := unhex(t, s.hex)
		for n := range len(b) + 1 {
			checkCut(t, b, n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples {
		b := unhex(f, s.hex)
		f.Add(b, uint16(len(b)*3/4))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		var p, again Packet
		kept := bytes.Clone(b)
		r := Decode(b, &p)
		if r2 := Decode(b, &again); r != r2 || !reflect.DeepEqual(p, again) {
			t.Fatalf("not deterministic: %v %v", p, again)
		}
		if !bytes.Equal(b, kept) {
			t.Fatal("Decode wrote to its input")
		}
		if r >= Reasons || r.String() == "unknown" {
			t.Fatalf("reason %d has no name", r)
		}
		checkCut(t, b, int(cut)%(len(b)+1))
		checkSound(t, b, &p)
	})
}

// checkSound states what holds of every decoded packet.
func checkSound(t *testing.T, b []byte, p *Packet) {
	t.Helper()
	if len(p.Payload) > 0 {
		start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		at := uintptr(unsafe.Pointer(unsafe.SliceData(p.Payload)))
		if at < start || at+uintptr(len(p.Payload)) > start+uintptr(len(b)) {
			t.Fatal("payload lies outside the input")
		}
	}
	if p.Has&HasAddresses != 0 {
		if !p.Source.IsValid() || p.Source.Is4In6() || p.Destination.Is4In6() || p.Source.Zone() != "" ||
			p.Source.Is4() != p.Destination.Is4() {
			t.Fatalf("addresses %v > %v", p.Source, p.Destination)
		}
	} else if p.Has != 0 || p.Source.IsValid() {
		t.Fatalf("has %08b without addresses", p.Has)
	}
	if p.Fragment() && int(p.FragmentAt) > len(b) && p.V6() {
		t.Fatalf("fragment data at %d of %d bytes", p.FragmentAt, len(b))
	}
	found, ok := p.Probe(probe.Stealth, 1, 2)
	if ok != (found != probe.Probe{}) {
		t.Fatalf("probe %v is %t", found, ok)
	}
	if ok && (found.Source != p.Source || found.Protocol != p.Protocol || p.Has&HasProtocol == 0) {
		t.Fatalf("probe %v of %s", found, describe(*p))
	}
}
