// SPDX-License-Identifier: MIT

package nflog

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"picket/internal/probe"
)

// syn is an IPv4 packet from 192.0.2.9 to port 23 of 192.0.2.1.
var syn = []byte{
	0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 9, 192, 0, 2, 1,
	0x9c, 0x40, 0, 23, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2, 4, 0, 0, 0, 0, 0,
}

// body makes a log message as the kernel does (net/netfilter/nfnetlink_log.c,
// __build_packet_message).
func body(t testing.TB, prefix string, payload []byte) []byte {
	t.Helper()
	e := netlink.NewAttributeEncoder()
	e.Bytes(1, []byte{8, 0, 1, 0})
	e.Bytes(attrPrefix, append([]byte(prefix), 0))
	e.Bytes(attrInDevice, binary.BigEndian.AppendUint32(nil, 3))
	e.Bytes(8, []byte{0, 6, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0}) // NFULA_HWADDR
	at := binary.BigEndian.AppendUint64(nil, 1_700_000_000)
	e.Bytes(attrTimestamp, binary.BigEndian.AppendUint64(at, 250_000))
	e.Bytes(attrSequence, binary.BigEndian.AppendUint32(nil, 77))
	e.Bytes(attrPayload, payload)
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadMessage(t *testing.T) {
	r := &Reader{lanes: map[string]lane{}}
	for _, test := range []struct {
		prefix string
		mode   probe.Mode
		over   bool
	}{{"advanced", probe.Advanced, false}, {"stealth bulk", probe.Stealth, false},
		{"advanced over", probe.Advanced, true}} {
		m := readMessage(body(t, test.prefix, syn))
		if !m.numbered || m.sequence != 77 || string(m.payload) != string(syn) {
			t.Fatalf("%+v", m)
		}
		p, ok := r.probeOf(&m)
		want := time.Unix(1_700_000_000, 250_000_000).UnixNano()
		if !ok || p.Mode != test.mode || p.Over != test.over || p.Port != 23 || p.At != want ||
			p.Interface != 3 ||
			p.Source.String() != "192.0.2.9" {
			t.Errorf("%s: %+v, %v", test.prefix, p, ok)
		}
	}
	for prefix, payload := range map[string][]byte{"of another": syn, "": syn, "advanced": {0x45},
		"stealth": nil} {
		m := readMessage(body(t, prefix, payload))
		if p, ok := r.probeOf(&m); ok {
			t.Errorf("%q with %d bytes: %+v", prefix, len(payload), p)
		}
	}
	for prefix, want := range map[string]probe.Probe{
		"classic": {Mode: probe.Advanced, Behind: true}, "stealth": {Mode: probe.Stealth, Behind: true},
		"advanced outward": {Mode: probe.Advanced, Behind: true, Outward: true},
	} {
		b := body(t, prefix, syn)
		b[6] = unix.NF_INET_FORWARD // of the first attribute, after the protocol and the attribute's header
		m := readMessage(b)
		if p, ok := r.probeOf(&m); !ok || p.Mode != want.Mode || p.Behind != want.Behind ||
			p.Outward != want.Outward {
			t.Errorf("forwarded by %q: %+v, %v", prefix, p, ok)
		}
	}
	for i := range 3 * mostLanes {
		r.laneOf([]byte{byte(i), 'x'})
	}
	if len(r.lanes) > mostLanes {
		t.Errorf("%d prefixes are remembered", len(r.lanes))
	}
}

// A packet whose port is behind the end of the copy is a probe of TCP, and what the rule says of its
// source counts.
func TestUnreadMessage(t *testing.T) {
	deep := make([]byte, 128) // of an IPv6 packet with destination options of 264 bytes, and TCP behind
	deep[0], deep[4], deep[5], deep[6], deep[7], deep[40], deep[41] = 0x60, 1, 28, 60, 64, 6, 32
	copy(deep[8:], []byte{0x20, 1, 0x0d, 0xb8, 15: 9})
	copy(deep[24:], []byte{0x20, 1, 0x0d, 0xb8, 15: 1})
	far := append([]byte(nil), deep...) // of one with two such headers
	far[4], far[5], far[40] = 2, 36, 60
	r := &Reader{lanes: map[string]lane{}}
	for _, payload := range [][]byte{deep, far} {
		for prefix, want := range map[string]probe.Probe{
			"stealth": {Mode: probe.Stealth}, "advanced over": {Mode: probe.Advanced, Over: true},
			"advanced held": {Mode: probe.Advanced, Held: true},
		} {
			m := readMessage(body(t, prefix, payload))
			p, ok := r.probeOf(&m)
			if !ok || !p.Unread || p.Mode != want.Mode || p.Over != want.Over || p.Held != want.Held ||
				p.Protocol != probe.ProtocolTCP {
				t.Errorf("%q: %+v, %v", prefix, p, ok)
			}
		}
	}
}

// take allocates nothing for a message.
func TestTakeAllocatesNothing(t *testing.T) {
	b := body(t, "advanced", syn)
	got := 0
	r := &Reader{lanes: map[string]lane{}, emit: func(p probe.Probe, raw []byte) { got += len(raw) }}
	if n := testing.AllocsPerRun(100, func() { r.take(b) }); n > 0 {
		t.Errorf("%v allocations a message", n)
	}
	if got == 0 || r.stats.garbage.Load() > 0 {
		t.Errorf("%d bytes, %+v", got, r.Stats())
	}
}

// FuzzReadMessage: whatever the bytes are, the result is a part of them.
func FuzzReadMessage(f *testing.F) {
	f.Add(body(f, "advanced", syn))
	f.Add([]byte{4, 0, 9, 0, 255, 255, 9, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := readMessage(b)
		if len(m.payload)+len(m.prefix) > 2*len(b) {
			t.Errorf("%d and %d bytes of %d", len(m.payload), len(m.prefix), len(b))
		}
		r := &Reader{lanes: map[string]lane{}}
		r.probeOf(&m)
	})
}

func BenchmarkTake(b *testing.B) {
	m := body(b, "advanced", syn)
	r := &Reader{lanes: map[string]lane{}, emit: func(probe.Probe, []byte) {}}
	b.ReportAllocs()
	for b.Loop() {
		r.take(m)
	}
}

// The reader hands on the kernel's messages in order, from before the first read on.
func TestReader(t *testing.T) {
	ns := newNamespace(t, "reader")
	run(t, `table inet more {
		chain input {
			type filter hook input priority filter - 1
			udp dport 9 log group 4712 prefix "stealth bulk" queue-threshold 16
		}
	}`, "ip", "netns", "exec", ns.name, "nft", "-f", "-")
	got := make(chan probe.Probe, 1000)
	var r *Reader
	ns.do(t, func() {
		var err error
		r, err = Open(Config{Group: 4712, Snaplen: 128, Buffer: 1 << 20}, func(p probe.Probe, raw []byte) {
			if len(raw) < 28 {
				t.Errorf("%d bytes", len(raw))
			}
			got <- p
		}, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
	})
	const probes = 300
	ns.probe(t, probes)
	for i := range probes {
		select {
		case p := <-got:
			if p.Port != 9 || p.Mode != probe.Stealth || time.Since(time.Unix(0, p.At)) > time.Minute {
				t.Fatalf("probe %d: %+v", i, p)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%d of %d probes", i, probes)
		}
	}
	r.Close()
	if s := r.Stats(); s.Messages != probes || s.Lost != 0 || s.Garbage != 0 {
		t.Errorf("%+v", s)
	}
}

// TestLongCopy: a rule may have more bytes copied than others, as those for packets with extension
// headers do, whose ports come late.
func TestLongCopy(t *testing.T) {
	ns := newNamespace(t, "long")
	run(t, `table inet more {
		chain input {
			type filter hook input priority filter - 1
			udp dport 9 log group 4713 prefix "stealth" snaplen 1500 queue-threshold 1
			udp dport 10 log group 4713 prefix "stealth" snaplen 100 queue-threshold 1
		}
	}`, "ip", "netns", "exec", ns.name, "nft", "-f", "-")
	got := make(chan int, 10)
	var r *Reader
	ns.do(t, func() {
		var err error
		r, err = Open(Config{Group: 4713, Snaplen: 1500, Buffer: 1 << 20}, func(_ probe.Probe, raw []byte) {
			got <- len(raw)
		}, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
	})
	defer r.Close()
	for port, want := range map[int]int{9: 428, 10: 100} {
		ns.do(t, func() {
			c, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := c.Write(make([]byte, 400)); err != nil {
				t.Error(err)
			}
		})
		select {
		case n := <-got:
			if n != want {
				t.Errorf("port %d: %d bytes, want %d", port, n, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("nothing came")
		}
	}
}
