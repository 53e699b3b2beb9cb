// SPDX-License-Identifier: MIT

package replay

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"picket/internal/probe"
)

// TestBehind: a packet to a network behind the watched host is judged as in the hook
// forward: no trap is there, answers are no probes, and nobody from there is judged.
func TestBehind(t *testing.T) {
	const there, other = "203.0.113.9", "203.0.113.10"
	rules := Rules{
		Local:  []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
		Behind: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		Mode:   func(protocol uint8, port uint16) probe.Mode { return probe.Advanced },
		Trap:   func(port uint16) bool { return port == 7 }, TrapAnswers: true,
	}
	for name, test := range map[string]struct {
		want string
		list []sent
	}{
		"a port that nobody serves": {"advanced syn 23, own", []sent{
			{0, tcp(them, there, 5, 23, syn)}, {1, tcp(there, them, 23, 5, rst|ack)}}},
		"a service": {"open, own, established", []sent{
			{0, tcp(them, there, 5, 25, syn)}, {1, tcp(there, them, 25, 5, syn|ack)}, {2, tcp(them, there,
				5, 25, ack)}}},
		"a service at a trap's port": {"open, own, established", []sent{
			{0, tcp(them, there, 5, 7, syn)}, {1, tcp(there, them, 7, 5, syn|ack)}, {2, tcp(them, there, 5,
				7, ack)}}},
		"a trap's port that nobody serves": {"advanced syn 7", []sent{{0, tcp(them, there, 5, 7, syn)}}},
		"answers": {"stray, stray, housekeeping", []sent{
			{0, tcp(them, there, 80, 80, syn|ack)}, {1, tcp(them, there, 80, 81, rst)}, {2, icmp(them,
				there, 3, 3)}}},
		"one of them to another":  {"own", []sent{{0, tcp(there, other, 5, 23, syn)}}},
		"one of them to the host": {"advanced syn 23", []sent{{0, tcp(there, "192.0.2.1", 5, 23, syn)}}},
		"what is late from who was asked": {"own, late, advanced syn 40001", []sent{
			{0, tcp(there, them, 40000, 443, syn)}, {400_000, tcp(them, there, 443, 40000, fin|ack)},
			{400_001, tcp(them, there, 443, 40001, syn)}}},
		"who is neither": {"foreign", []sent{{0, tcp(them, "198.51.100.9", 5, 23, syn)}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := verdicts(t, rules, Memory(name, pcap(linkRaw, test.list...)))
			if g := strings.Join(got, ", "); g != test.want || err != nil {
				t.Errorf("%v\n got %s\nwant %s", err, g, test.want)
			}
		})
	}
	seen := map[bool]int{}
	_, err := Run(context.Background(), []Source{Memory("both", pcap(linkRaw, sent{0, tcp(them, there, 5,
		23, syn)},
		sent{1, tcp(them, "192.0.2.1", 5, 23, syn)}))}, rules, func(r *Record) { seen[r.Probe.Behind]++ })
	if err != nil || seen[true] != 1 || seen[false] != 1 {
		t.Errorf("%v: behind or not: %v", err, seen)
	}
}
