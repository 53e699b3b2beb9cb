// SPDX-License-Identifier: MIT

package probe

// Plain reports whether the port that a packet asks for says something. A packet that
// begins nothing may belong to a forgotten connection, unless no system of today sends
// it: IPv4 without DF and without an option.
func Plain(p *Probe) bool {
	switch p.Technique {
	case ACK, Maimon:
		return !p.DontFrag && p.Options == 0 && p.Destination.Is4()
	case Fragment, Unknown, SCTP:
		return false
	}
	return true
}

// Stamped reports whether a segment has a timestamp (RFC 7323, 3.2: option 8).
func Stamped(p *Probe) bool { return has(p, 8) }

// Crude reports whether a SYN completes no connection, by the marks of the chain crude of
// package nft.
func Crude(p *Probe) bool { return !has(p, 2) || p.Window == windowNmap && !has(p, 4) }

// has reports whether a segment has an option of a kind.
func has(p *Probe, kind uint64) bool {
	for kinds := p.Options; kinds != 0; kinds >>= 8 {
		if kinds&0xff == kind {
			return true
		}
	}
	return false
}

// MadeOf returns what the making of a packet says, 0 for nothing.
func MadeOf(p *Probe) Observation {
	switch p.Technique {
	case SYN:
		return madeSYN(p)
	case UDP:
		if zmapUDP(p) {
			return MadeRaw
		}
		if head := uint16(28); p.Destination.Is4() && p.Length == head || !p.Destination.Is4() &&
			p.Length == head+20 {
			return MadeEmpty
		}
		return 0
	case ACK, Maimon:
		// nmap's ACK has its window, no options and no DF; those of ipv6toolkit acknowledge nothing.
		if !p.DontFrag && p.Options == 0 && (p.Ack == 0 || rawWindow(p.Window)) {
			return MadeFlags
		}
		if Plain(p) {
			return MadeOdd
		}
		return 0
	case ICMP, SCTPInit:
		return MadeRequest
	case FIN, Null, Xmas:
		return MadeFlags
	}
	if p.Technique >= oddFlags && p.Flags&FlagRST == 0 {
		return MadeFlags // a reset with FIN is some stack's answer
	}
	return 0
}

// madeSYN weighs a SYN. One that arrives near its last hop may be a traceroute's.
func madeSYN(p *Probe) Observation {
	switch v4 := p.Destination.Is4(); {
	case RawSYN(p):
		return MadeRaw
	case p.TTL <= nearTTL:
		return 0
	case p.Ack != 0: // RFC 9293, 3.1: without ACK the field says nothing, and stacks leave it 0
		if p.Options == 0 {
			return MadeFlags
		}
		return MadeShort
	case p.Options == 0 && p.Window != 0:
		if b := p.Destination.As16(); v4 && !p.DontFrag && p.Seq == be32(b[12:]) {
			return MadeRaw // Mirai: see ToolOf
		}
		return MadeBare
	case !v4 || p.DontFrag:
		return 0
	case p.Options == OptionsMSS:
		switch p.Window {
		case 14600, 29200, 64240, windowZMap: // Linux's first windows, of 10, 20 and 44 segments
			return MadeShort
		}
		return 0
	case p.TTL > farTTL && p.Options != OptionsMSS:
		return MadeFar
	case p.TTL <= 64 && p.Options == OptionsWindows && p.SourcePort < lwipPort:
		return MadeMixed
	}
	return MadeOdd
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
