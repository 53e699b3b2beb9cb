// SPDX-License-Identifier: MIT

package daemon

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/behind"
	"picket/internal/host"
	"picket/internal/probe"
)

// A fakeAsker has the answers of a test.
type fakeAsker struct {
	served, refuses bool

	flow host.Tracked
	err  error
}

func (f *fakeAsker) Served(uint8, netip.AddrPort) (bool, error)  { return f.served, f.err }
func (f *fakeAsker) Refuses(uint8, netip.AddrPort) (bool, error) { return f.refuses, f.err }
func (f *fakeAsker) Flow(uint8, netip.AddrPort, netip.AddrPort) (host.Tracked, error) {
	return f.flow, f.err
}
func (f *fakeAsker) Close() error { return nil }

// forward mirrors n forwarded packets.
func (r *run) forward(n int, outward bool) {
	for i := range n {
		p := probe.Probe{
			At: time.Now().UnixNano(), Source: netip.MustParseAddr("203.0.113.9"),
			Destination: netip.MustParseAddr("198.51.100.2"),
			SourcePort:  40000, Port: uint16(1 + i), Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN,
			Technique: probe.SYN,
			Mode:      probe.Advanced, Behind: true, Outward: outward,
		}
		if outward {
			p.Source, p.Destination = p.Destination, p.Source
		}
		r.emit(p, make([]byte, 40))
	}
}

// A forwarded packet without an answer is a probe, judged as soon as that is known. If it cannot be
// known, nobody is accused.
func TestForwarded(t *testing.T) {
	for name, test := range map[string]struct {
		asker fakeAsker
		is    bool
	}{
		"nothing is known of it":   {fakeAsker{}, true},
		"nobody answers":           {fakeAsker{flow: host.Tracked{Known: true}}, true},
		"the port answered lately": {fakeAsker{served: true}, false},
		"a published port without one": {fakeAsker{refuses: true, flow: host.Tracked{Known: true,
			Published: true}}, true},
		"it was answered":               {fakeAsker{flow: host.Tracked{Known: true, Replied: true}}, false},
		"a published port that is slow": {fakeAsker{flow: host.Tracked{Known: true, Published: true}}, false},
		"the kernel does not say":       {fakeAsker{err: errors.New("no")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			running(t, plain, func(k *kernel) { k.asker = &test.asker }, func(r *run) {
				r.forward(26, false)
				time.Sleep(behind.Patience - time.Millisecond)
				r.wants()
				time.Sleep(2 * time.Millisecond)
				if want := []string{"203.0.113.9/32"}; test.is {
					r.wants(want...)
				} else {
					r.wants()
				}
			})
		})
	}
}

// A device that scans from behind this host is reported, and nothing else is done.
func TestInfection(t *testing.T) {
	running(t, plain, func(k *kernel) { k.asker = &fakeAsker{} }, func(r *run) {
		r.forward(100, true)
		time.Sleep(time.Second)
		r.wants()
		r.told(1, `event=infection source=198.51.100.2 destination=203.0.113.9`)
	})
}

// The networks behind this host are found as the configuration says.
func TestNetworks(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "198.51.100.0/24",
		`networks = []`:                "",
		`networks = ["lans"]`:          "203.0.113.0/24",
		`networks = ["2001:db8::/32"]`: "2001:db8::/32",
		`networks = ["2001:db8::/32", "lans", "containers"]`: "2001:db8::/32 198.51.100.0/24 203.0.113.0/24",
	} {
		running(t, plain+"[forward]\n"+text+"\n", func(k *kernel) {
			k.networks = []host.Network{
				{Prefix: prefix("198.51.100.0/24"), Interface: "docker0", Container: true},
				{Prefix: prefix("203.0.113.0/24"), Interface: "lan0"},
			}
		}, func(r *run) {
			var got []string
			for _, p := range r.kernel.elements.Behind {
				got = append(got, p.String())
			}
			if strings.Join(got, " ") != want || r.kernel.elements.Published != (text != "networks = []") {
				t.Errorf("%q: %q, published %v", text, got, r.kernel.elements.Published)
			}
		})
	}
}

// Flows that a flowtable carries past the rules are ended when their source is blocked, not
// when it is fenced.
func TestOffloadedFlowsAreCut(t *testing.T) {
	for _, toml := range []string{plain, graded} {
		running(t, toml, nil, func(r *run) {
			r.probes("203.0.113.9", 1, 26)
			time.Sleep(2 * lookEvery)
			synctest.Wait()
			r.kernel.with(func() {
				of := 0
				for _, f := range r.cut {
					if f(netip.MustParseAddr("203.0.113.10")) {
						t.Error("somebody else's too")
					}
					if f(netip.MustParseAddr("203.0.113.9")) {
						of++
					}
				}
				if blocks := toml == plain; (of == 1) != blocks {
					t.Errorf("%d times, blocks %v", of, blocks)
				}
			})
		})
	}
}

// A packet to an address that others serve waits for its answer, and is judged, like a forwarded
// one. The rules know the ports served there.
func TestVirtualAddresses(t *testing.T) {
	guest := netip.MustParseAddrPort("192.0.2.50:80")
	running(t, plain, func(k *kernel) {
		k.asker = &fakeAsker{}
		known := []netip.Prefix{prefix("192.0.2.50/32")}
		k.virtual = host.Virtual{Addresses: known, Known: known}
		k.virtual.Ports = map[uint8][]netip.AddrPort{6: {guest}}
	}, func(r *run) {
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		r.kernel.with(func() {
			if got := r.kernel.elements; !slices.Contains(got.Behind, prefix("192.0.2.50/32")) ||
				!slices.Contains(got.Elsewhere, prefix("192.0.2.50/32")) || got.Virtual[6][0] != guest {
				t.Errorf("the rules have %v, %v, %v", got.Elsewhere, got.Virtual, got.Behind)
			}
		})
		for i := range 26 {
			r.emit(probe.Probe{
				At: time.Now().UnixNano(), Source: netip.MustParseAddr("203.0.113.9"),
				Destination: guest.Addr(), SourcePort: 40000, Port: uint16(1 + i),
				Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN,
				Technique: probe.SYN, Mode: probe.Classic,
			}, make([]byte, 40))
		}
		time.Sleep(behind.Patience - time.Millisecond)
		r.wants()
		time.Sleep(2 * time.Millisecond)
		r.wants("203.0.113.9/32")
	})
}
