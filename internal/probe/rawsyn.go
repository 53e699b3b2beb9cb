// SPDX-License-Identifier: MIT

package probe

// Raw scanners write these TCP windows into every SYN: nmap's
// tcpip.cc and masscan's templ-pkt.c 1024 (1025 in a child of it), zmap's
// packet.c 65535.
const (
	windowNmap = 1024
	windowZMap = 65535
)

// farTTL is the highest TTL that a packet begun at 64 or 128 arrives with, as those of
// Linux, the BSDs, macOS and Windows are (p0f's p0f.fp). Raw scanners begin at 255.
const farTTL = 128

// lwipPort is the first port that lwIP uses for its own connections
// (TCP_LOCAL_PORT_RANGE_START, tcp.c). lwIP sends MSS alone, no DF and TTL 255,
// as raw scanners do.
const lwipPort = 49152

// RawSYN reports whether no client's stack sends the SYN p, so that a served port may
// refuse it. Each case is two marks or more of a scanner that contradict each other in a
// stack; rules of the kernel can ask for all of them. None is about IPv4 packets with DF:
// every current system sets it on its SYN (RFC 1191, 3), and raw scanners leave it out.
//
// Spared are senders of as little: lwIP, uIP and Contiki (MSS alone, a window of at least
// one segment), a W5500 with 1 KiB of buffer (DF), Cisco's IOS (window 4128), Windows NT
// and VxWorks (window 8192), tcptraceroute (window 0). The TTL left says nothing: a
// scanner can choose one that arrives as a traceroute's does.
func RawSYN(p *Probe) bool {
	if p.Technique != SYN || p.DontFrag {
		return false
	}
	v4 := p.Destination.Is4()
	switch p.Options {
	case 0:
		// masscan, zmap. No stack in p0f.fp sends a SYN without MSS.
		if p.TTL > farTTL && (rawWindow(p.Window) || p.Window == windowZMap) {
			return true
		}
	case OptionsMSS:
		// nmap, masscan since 2023. A stack's window holds a segment.
		if rawWindow(p.Window) && p.MSS > windowNmap+1 {
			return true
		}
		// zmap 4.1, whose ID is drawn.
		if v4 && p.Window == windowZMap && p.TTL > farTTL && p.SourcePort < lwipPort {
			return true
		}
	case OptionsWindows:
		// zmap since 4.1.1: the options of Windows, but neither its TTL nor DF. They
		// are those of lwIP too, where SACK and scaling are on.
		if v4 && p.Window == windowZMap && p.TTL > farTTL && p.SourcePort < lwipPort {
			return true
		}
	}
	// zmap until 4.1.0, and tools that took over its ID: packet.c, make_ip_header.
	return v4 && p.ID == 54321 && p.Window == windowZMap
}

func rawWindow(w uint16) bool { return w == windowNmap || w == windowNmap+1 }

// nearTTL is the highest TTL that a traceroute's packets arrive with.
const nearTTL = 5
