// SPDX-License-Identifier: MIT

package probe

import "encoding/binary"

// A Tool is what a packet looks as if it was sent by. The zero Tool is unknown.
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
	Linux // ordinary systems from here on
	Windows
	BSD
)

// String returns the tool as events spell it, and "" for none and for ordinary
// systems: who has one of those is nobody in particular.
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

// Ordinary reports whether anybody's browser sends such packets.
func (t Tool) Ordinary() bool { return t >= Linux }

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

// ToolOf tells by one packet which tool it looks like. The marks were measured
// with the tools themselves where it says so (nmap and nping 7.93, masscan
// 1.3.2, zmap 2.1.1, hping3 of Debian 12: testdata/tools.txt).
func ToolOf(p *Probe) Tool {
	if p.Protocol != ProtocolTCP {
		return NoTool
	}
	v4 := p.Destination.Is4()
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
	case p.Technique == SYN && p.Window == 65535 && p.TTL > 200 && (p.ID == 54321 || p.Options == 0 || p.Options == OptionsMSS || p.Options == OptionsWindows):
		// zmap: ID 54321 until 4.1.0, measured; any ID since, and the options of
		// Windows since 4.1.1, but still a TTL of 255 and no DF (zmap
		// src/probe_modules/packet.c, make_ip_header and make_tcp_header).
		return ZMap
	case p.Window == 1024 && nmapShape(p):
		return Nmap
	case p.Technique == SYN && p.Window == 512 && p.Options == 0 && p.Ack != 0:
		// hping3: a SYN with an acknowledgement number; measured.
		return Hping
	case p.Technique == SYN && p.Window == 1480 && p.Options == 0:
		// nping, of nmap's package (nping/nping.h: DEFAULT_TCP_WINDOW_SIZE); measured.
		return Nping
	case p.Technique == SYN && p.TTL > 200 && (p.Window == 4128 && p.Options == OptionsMSS || p.Window == 12345 && p.Options == 0):
		// unicornscan's default, a Cisco router, and its p0f sendsyn
		// (src/scan_progs/init_packet.c, cases 0 and 3).
		return Unicornscan
	}
	return systemOf(p)
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

// nmapShape reports whether a packet with nmap's fixed window (tcpip.cc:
// tcp->th_win = htons(1024)) is shaped as its raw scans are: what has SYN, with
// FIN or alone, has MSS 1460 and no other option, any other probe has none; measured. nmap's TTL is drawn
// from 37 to 59, so it arrives below 60.
func nmapShape(p *Probe) bool {
	if p.TTL > 59 && p.Destination.Is4() {
		return false
	}
	if p.Flags&FlagSYN != 0 {
		return p.Options == OptionsMSS && p.MSS == 1460
	}
	return p.Options == 0
}

// systemOf tells ordinary systems by the options of their SYN and their TTL,
// which starts at 64 or 128 and loses one a hop (p0f's p0f.fp, [tcp:request];
// Linux measured).
func systemOf(p *Probe) Tool {
	if p.Technique != SYN {
		return NoTool
	}
	switch {
	case p.Options == OptionsLinux && p.TTL <= 64:
		return Linux
	case p.TTL > 64 && p.TTL <= 128 && (p.Options == OptionsWindows || p.Options == OptionsLinux):
		return Windows // with timestamps, which an administrator may turn on, it looks as Linux does
	case p.TTL <= 64 && (p.Options == OptionsMacOS || p.Options&^0xff == OptionsMacOS&^0xff || p.Options == OptionsFreeBSD || p.Options == OptionsOpenBSD):
		return BSD
	}
	return NoTool
}
