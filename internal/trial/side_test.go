// SPDX-License-Identifier: MIT

package trial

import (
	"fmt"
	"net/netip"
	"testing"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/probe"
	"picket/internal/replay"
)

// Each neighbour of a watched IPv6 address is a source of its own, as on the host. The
// answers of a dozen of them to a search on the link are not one source's.
func TestNeighboursAreSourcesEach(t *testing.T) {
	for local, want := range map[string]bool{"2001:db8::2/128": true, "2001:db8:7::2/128": false} {
		s, err := newSide(config.Default(), replay.Rules{Local: []netip.Prefix{netip.MustParsePrefix(local)}})
		if err != nil {
			t.Fatal(err)
		}
		innocent := true
		for i := range 12 * 100 {
			p := probe.Probe{
				At: 1_800_000_000e9 + int64(i)*1e9, Source: netip.MustParseAddr(fmt.Sprintf("2001:db8::%x",
					16+i%12)),
				Destination: netip.MustParseAddr("2001:db8::2"), SourcePort: 1900, Port: uint16(33000 + 7*i),
				Protocol: probe.ProtocolUDP,
				Mode:     probe.Advanced, Technique: probe.UDP, TTL: 64, Length: 348,
			}
			d, _ := s.observe(&p)
			innocent = innocent && d.Action == engine.None
		}
		if innocent != want {
			t.Errorf("watching %s: innocent %v", local, innocent)
		}
	}
}
