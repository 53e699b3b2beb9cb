// SPDX-License-Identifier: MIT

package probe

// Traced reports whether a datagram is a traceroute's: its time to live is all but used
// up, or its port is one of the 255 from 33434 on that traceroute counts up, one a hop
// (its manual, -p).
func Traced(p *Probe) bool {
	return p.Port >= 32768 && p.TTL <= nearTTL || p.Port >= 33434 && p.Port < 33434+255 && MadeOf(p) == 0
}

// Discovered reports whether a datagram answers a search of the link. It comes from the
// port of SSDP (UPnP Device Architecture 1.1, 1.3.3), WS-Discovery (its specification,
// 3.1), mDNS (RFC 6762, 6.7), LLMNR (RFC 4795, 2) or NetBIOS (RFC 1002, 4.2), or goes to
// a port of our own programs: a device chooses the port that it answers SSDP from.
func Discovered(p *Probe) bool {
	switch p.SourcePort {
	case 1900, 3702, 5353, 5355, 137:
		return p.Port >= 1024
	}
	return p.SourcePort >= 1024 && p.Port >= 32768
}
