// SPDX-License-Identifier: MIT

package probe

import "encoding/binary"

// A Tool is the likely sender of a packet, by the packet's looks. The zero Tool is
// unknown.
type Tool uint8

// The tools, and the systems whose connect() any program may have called.
const (
	NoTool Tool = iota
	Nmap
	Masscan
	ZMap
	Mirai
	Unicornscan
	Hping
	Nping
	Linux // ordinary systems, to BSD
	Windows
	BSD
	ScanSSH // these came later: what an engine remembers has the numbers
	Packit
	Mausezahn
	Netwox
	Scapy
	IPv6Toolkit

	Tools = int(IPv6Toolkit) + 1 // how many there are
)

// String returns the tool as events spell it, "" for none and for ordinary systems, which
// tell nobody apart.
func (t Tool) String() string {
	switch t {
	case Nmap:
		return "nmap"
	case Masscan:
		return "masscan"
	case ZMap:
		return "zmap"
	case Mirai:
		return "mirai"
	case Unicornscan:
		return "unicornscan"
	case Hping:
		return "hping3"
	case Nping:
		return "nping"
	case ScanSSH:
		return "scanssh"
	case Packit:
		return "packit"
	case Mausezahn:
		return "mausezahn"
	case Netwox:
		return "netwox"
	case Scapy:
		return "scapy"
	case IPv6Toolkit:
		return "ipv6toolkit"
	}
	return ""
}

// Describe returns the tool or the system in words.
func (t Tool) Describe() string {
	switch t {
	case NoTool:
		return "nothing known"
	case Linux:
		return "an ordinary Linux system"
	case Windows:
		return "an ordinary Windows system"
	case BSD:
		return "an ordinary BSD or macOS system"
	}
	return t.String()
}

// Ordinary reports whether any browser's system sends such packets.
func (t Tool) Ordinary() bool { return t >= Linux && t <= BSD }

// Option lists as they stand in Probe.Options: kinds in order, the first in the
// highest byte (RFC 9293, 3.2: 1 no operation, 2 MSS; RFC 7323: 3 window scale,
// 8 timestamps; RFC 2018: 4 SACK permitted).
const (
	OptionsMSS     = 0x02 << 56
	OptionsLinux   = 0x02_04_08_01_03 << 24    // MSS, SACK, timestamps, nop, scale
	OptionsWindows = 0x02_01_03_01_01_04 << 16 // MSS, nop, scale, nop, nop, SACK
	OptionsMacOS   = 0x02_01_03_01_01_08_04_00 // MSS, nop, scale, nop, nop, timestamps, SACK, end
	OptionsFreeBSD = 0x02_01_03_04_08 << 24    // MSS, nop, scale, SACK, timestamps
	OptionsOpenBSD = 0x02_01_01_04_01_03_01_01 // MSS, nop, nop, SACK, nop, scale, nop, nop, (timestamps)
)

// ToolOf returns the tool that one packet looks like. Marks called measured were taken
// from the tools themselves (nmap and nping 7.93, masscan 1.3.2, zmap 2.1.1, hping3 of
// Debian 12: testdata/tools.txt). None rests on one field that a client may have by
// chance.
func ToolOf(p *Probe) Tool {
	v4 := p.Destination.Is4()
	switch {
	case p.Protocol == ProtocolUDP && zmapUDP(p):
		return ZMap
	case p.Protocol == ProtocolUDP && v4 && p.SourcePort == 53 && !p.DontFrag && MadeOf(p) == MadeEmpty:
		return Nping // no resolver says nothing; measured
	case p.Protocol != ProtocolTCP:
		return NoTool
	}
	if v4 && p.Technique == SYN && p.Options == 0 {
		// Mirai: the sequence number is the destination (mirai/bot/scanner.c:
		// tcph->seq = iph->daddr).
		if b := p.Destination.As4(); p.Seq == binary.BigEndian.Uint32(b[:]) {
			return Mirai
		}
	}
	switch {
	case p.DontFrag: // the tools below leave it to chance, ordinary systems do not
	case v4 && masscanID(p):
		return Masscan
	case !v4 && p.Window == 1024 && p.TTL > 200 && p.Technique == SYN && p.Options == 0:
		// masscan over IPv6 has no IP ID to bear its mark; measured.
		return Masscan
	case p.Technique == SYN && p.Window == 65535 && p.TTL > 200 && (p.ID == 54321 || p.Options == 0 ||
		p.Options == OptionsMSS || p.Options == OptionsWindows):
		// zmap: ID 54321 until 4.1.0, measured; any ID since, and the options of
		// Windows since 4.1.1, but still a TTL of 255 and no DF (zmap
		// src/probe_modules/packet.c, make_ip_header and make_tcp_header).
		return ZMap
	case p.Window == 1024 && nmapShape(p):
		return Nmap
	case p.Technique == SYN && v4 && p.Options == 0:
		if t := plainSYN(p); t != NoTool {
			return t
		}
	case p.Technique == SYN && p.Seq == 42 && p.Ack == 42 && p.Window == 10000:
		return Mausezahn // measured
	case v4 && p.Window == 512 && p.Options == 0 && (p.Technique == ACK || p.Ack != 0 &&
		p.Flags&FlagACK == 0):
		// hping3: an acknowledgement number without its flag, or a bare one; measured.
		return Hping
	case !v4 && p.Technique == SYN && p.Options == 0 && p.TTL > 200 && p.Window%256 == 0 && p.Window > 1024:
		// ipv6toolkit's tcp6 draws a window; measured.
		return IPv6Toolkit
	case p.Technique == SYN && p.TTL > 200 && p.Window == 4128 && p.Options == OptionsMSS:
		// unicornscan's default, a Cisco router (src/scan_progs/init_packet.c, case 0).
		return Unicornscan
	}
	if p.Technique == SYN && p.DontFrag && p.Options == 0 && p.Window == 32768 {
		return ScanSSH // measured
	}
	return systemOf(p)
}

// plainSYN names the sender of an IPv4 SYN without options or DF, by its window and
// another mark; no system sends such SYNs. Measured, but for unicornscan.
func plainSYN(p *Probe) Tool {
	switch p.Window {
	case 512:
		if p.Ack != 0 {
			return Hping // an acknowledgement number without its flag
		}
	case 1480:
		return Nping // of nmap's package: nping/nping.h, DEFAULT_TCP_WINDOW_SIZE
	case 1500:
		if p.TTL > 64 && p.TTL <= farTTL {
			return Netwox
		}
	case 8192:
		if p.Seq == 0 && p.SourcePort == 20 {
			return Scapy
		}
	case 12345:
		if p.TTL > 200 {
			return Unicornscan // its p0f sendsyn: src/scan_progs/init_packet.c, case 3
		}
	case windowZMap:
		if p.TTL > 64 && p.TTL <= farTTL {
			return Packit
		}
	}
	return NoTool
}

// zmapUDP reports whether a datagram has the IP ID and TTL of zmap until 4.1.0, or of a
// tool that took over its ID (src/probe_modules/packet.c, make_ip_header).
func zmapUDP(p *Probe) bool {
	return p.Destination.Is4() && p.ID == 54321 && p.TTL > farTTL && !p.DontFrag
}

// ToolOfOnePort returns the tool that a packet looks like if its source port was that of
// the last probe too, to another port. Without that such a packet has too few marks.
func ToolOfOnePort(p *Probe) Tool {
	if p.DontFrag || !p.Destination.Is4() {
		return NoTool
	}
	switch p.Technique {
	case UDP:
		if p.TTL > 200 && MadeOf(p) == MadeEmpty {
			return Masscan // where it has no payload for a port; measured
		}
	case SYN, ACK, Maimon, FIN, Null, Xmas:
		shaped := p.Options == 0
		if p.Technique == SYN {
			shaped = p.Options == OptionsMSS && p.MSS == 1460
		}
		if shaped && p.Window%1024 == 0 && p.Window/1024-1 < 4 {
			return Nmap // with a TTL of its user's, or an old one, which draws one of four windows
		}
	}
	return NoTool
}

// masscanID reports whether the IP ID is what masscan makes it: destination,
// port and sequence number folded (masscan src/templ-pkt.c, ip_id; measured, the
// RST that its host sends is not).
func masscanID(p *Probe) bool {
	if p.Options != 0 && p.Options != OptionsMSS || p.Window != 1024 {
		return false
	}
	b := p.Destination.As4()
	return p.ID == uint16(binary.BigEndian.Uint32(b[:])^uint32(p.Port)^p.Seq)
}

// nmapShape reports whether a packet with nmap's fixed window (tcpip.cc: tcp->th_win =
// htons(1024)) is shaped as its raw scans are: with SYN it has MSS 1460 and no other
// option, without SYN none; measured. nmap draws a TTL from 37 to 59, so it arrives below
// 60.
func nmapShape(p *Probe) bool {
	if p.TTL > 59 && p.Destination.Is4() {
		return false
	}
	if p.Flags&FlagSYN != 0 {
		return p.Options == OptionsMSS && p.MSS == 1460
	}
	return p.Options == 0
}

// systemOf names an ordinary system by the options of its SYN and its TTL, which starts
// at 64 or 128 and loses one a hop (p0f's p0f.fp, [tcp:request]; Linux measured).
func systemOf(p *Probe) Tool {
	if p.Technique != SYN {
		return NoTool
	}
	switch {
	case p.Options == OptionsLinux && p.TTL <= 64:
		return Linux
	case p.TTL > 64 && p.TTL <= 128 && (p.Options == OptionsWindows || p.Options == OptionsLinux):
		return Windows // with timestamps, which an administrator may turn on, it looks as Linux does
	case p.TTL <= 64 && (p.Options == OptionsMacOS || p.Options&^0xff == OptionsMacOS&^0xff ||
		p.Options == OptionsFreeBSD || p.Options == OptionsOpenBSD):
		return BSD
	}
	return NoTool
}
