// SPDX-License-Identifier: MIT

package lookout

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"picket/internal/host"
	"picket/nft"
)

// Connections that are led to the trap and do not come there are dropped on the way.
func TestTrapWay(t *testing.T) {
	var w TrapWay
	for i, x := range []struct {
		led, reached uint64
		cut          bool
	}{{0, 0, false}, {3, 3, false}, {3, 3, false}, {5, 4, false}, {6, 4, true}, {6, 4, false}, {1, 0,
		false}} {
		if got := w.Cut(x.led, x.reached); got != x.cut {
			t.Errorf("%d: %d led, %d came: cut %v, want %v", i, x.led, x.reached, got, x.cut)
		}
	}
}

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestPeers(t *testing.T) {
	var p Peers
	for i, x := range []struct {
		now     []netip.Addr
		changed bool
	}{{nil, false}, {addrs("192.0.2.7", "2001:db8::7"), true}, {addrs("192.0.2.7", "2001:db8::7"),
		false}, {nil, true}} {
		if got := p.Seen(x.now); got != x.changed {
			t.Errorf("%d: changed %v", i, got)
		}
		for _, a := range x.now {
			if !p.Set.Overlaps(netip.PrefixFrom(a, a.BitLen())) {
				t.Errorf("%d: %v is not in the set", i, a)
			}
		}
	}
}

// A port is told once, and again when the kernel may have forgotten; a UDP port that
// a resolver may have drawn is told when it stays; one that was closed begins anew.
func TestServices(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ssh, wireguard, drawn := host.Service{Protocol: 6, Port: 22}, host.Service{Protocol: 17,
		Port: 51820}, host.Service{Protocol: 17, Port: 40000}
	s := NewServices(32768)
	for i, x := range []struct {
		after time.Duration
		list  []host.Service
		want  []uint16
	}{
		{0, []host.Service{ssh, wireguard}, []uint16{22}},
		{2 * time.Second, []host.Service{ssh, wireguard, drawn}, nil},
		{4 * time.Second, []host.Service{ssh, wireguard}, nil},
		{settled, []host.Service{ssh, wireguard, drawn}, []uint16{51820}},
		{settled + 4*time.Second, []host.Service{wireguard, drawn}, nil},
		{serveAgain, []host.Service{ssh, wireguard, drawn}, []uint16{22, 40000}},
		{settled + serveAgain, []host.Service{ssh, wireguard, drawn}, []uint16{51820}},
		{settled + serveAgain + nft.LatelyTime, []host.Service{ssh}, []uint16{22}},
	} {
		var got []uint16
		for _, x := range s.News(x.list, now.Add(x.after)) {
			got = append(got, x.Port)
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%d: %v, want %v", i, got, x.want)
		}
	}
}

// TestServedLately: a port served before a reboot counts for the rest of its hour, and no
// longer, at any change of the clock.
func TestServedLately(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	s := NewServices(32768)
	s.News([]host.Service{{Protocol: 6, Port: 80}}, now)
	s.News([]host.Service{{Protocol: 17, Port: 53}}, now.Add(time.Minute))
	for _, x := range []struct {
		after    time.Duration
		web, dns time.Duration // left of each; 0 is none
	}{
		{10 * time.Minute, 50 * time.Minute, 51 * time.Minute},
		{time.Hour, 0, time.Minute},
		{3 * time.Hour, 0, 0},
		{-1000 * time.Hour, time.Hour, time.Hour},
	} {
		again, got := NewServices(32768), map[uint16]time.Duration{}
		for _, p := range again.Recall(s.Lately(), now.Add(x.after)) {
			got[p.Port] = p.For
		}
		if got[80] != x.web || got[53] != x.dns {
			t.Errorf("%v after: %v", x.after, got)
		}
		for _, p := range NewServices(32768).Recall(again.Lately(), now.Add(x.after)) {
			if p.For != got[p.Port] {
				t.Errorf("%v after and once more: port %d for %v", x.after, p.Port, p.For)
			}
		}
	}
}

func TestEnded(t *testing.T) {
	sources := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"),
		netip.MustParsePrefix("2001:db8:0:1::/64")}
	flows := map[netip.Addr]bool{netip.MustParseAddr("2001:db8:0:1::9"): true,
		netip.MustParseAddr("192.0.2.8"): true}
	if got := Ended(sources, flows); !slices.Equal(got, sources[:1]) {
		t.Errorf("%v", got)
	}
	if got := Ended(sources, nil); !slices.Equal(got, sources) {
		t.Errorf("of none: %v", got)
	}
}
