// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"encoding/binary"
	"strings"

	"picket/internal/probe"
)

// Link types (the tcpdump group's registry, https://www.tcpdump.org/linktypes.html).
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw12    = 12 // DLT_RAW as written by Linux and most others
	linkRaw14    = 14 // DLT_RAW as written by OpenBSD
	linkRaw      = 101
	linkLoop     = 108
	linkCooked   = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkNFLOG    = 239
	linkCooked2  = 276
)

func knownLink(link uint16) bool {
	switch link {
	case linkNull, linkEthernet, linkRaw12, linkRaw14, linkRaw, linkLoop, linkCooked, linkIPv4, linkIPv6,
		linkNFLOG, linkCooked2:
		return true
	}
	return false
}

// A cast is the addressee of a frame, where the link layer tells. The values are the
// kernel's PACKET_HOST and so on (include/uapi/linux/if_packet.h), as in cooked captures.
type cast uint8

const (
	castHost cast = iota // to us, or not told
	castBroadcast
	castMulticast
	castOther    // to somebody else: the interface was promiscuous
	castOutgoing // from us
)

// A frame is what the link layer says of a packet.
type frame struct {
	ip    []byte // the IP packet; nil if the frame holds none
	cast  cast
	index uint32     // kernel's interface index, 0 if not told
	mode  probe.Mode // which of picket's own rules mirrored it (NFLOG), else 0
	kind  string     // what that rule says of its source: "over", "held", "outward"; "bulk" says nothing
	at    int64      // the kernel's time (NFLOG), else 0
}

// unwrap finds the IP packet in rec. It writes in place, which spares a copy of the frame
// for every packet.
func (f *frame) unwrap(rec *record) {
	*f = frame{}
	b := rec.data
	switch rec.link {
	case linkEthernet:
		if len(b) < 14 {
			return
		}
		if b[0]&1 != 0 {
			f.cast = castMulticast
		}
		f.ip = ethertype(binary.BigEndian.Uint16(b[12:]), b[14:])
	case linkRaw, linkRaw12, linkRaw14, linkIPv4, linkIPv6:
		f.ip = b
	case linkCooked:
		if len(b) < 16 {
			return
		}
		f.cast = cooked(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
		f.ip = ethertype(binary.BigEndian.Uint16(b[14:]), b[16:])
	case linkCooked2:
		if len(b) < 20 {
			return
		}
		f.index = binary.BigEndian.Uint32(b[4:])
		f.cast = cooked(uint16(b[10]), binary.BigEndian.Uint16(b[8:]))
		f.ip = ethertype(binary.BigEndian.Uint16(b), b[20:])
	case linkNull, linkLoop:
		if len(b) >= 4 && (family(b[0]) && b[1]|b[2]|b[3] == 0 || family(b[3]) && b[0]|b[1]|b[2] == 0) {
			f.ip = b[4:]
		}
	case linkNFLOG:
		f.nflog(b, rec.little)
	}
}

// family reports whether a BSD loopback header's address family is IPv4 or IPv6 of any
// system: the numbers differ between systems.
func family(af byte) bool {
	switch af {
	case 2, 10, 23, 24, 28, 30:
		return true
	}
	return false
}

// cooked reads a cooked header's packet type and ARPHRD_ number. Packets of the loopback
// interface are the host's own, whatever their addresses.
func cooked(kind, hardware uint16) cast {
	const loopback = 772
	if hardware == loopback {
		return castOutgoing
	}
	if kind > uint16(castOutgoing) {
		return castHost
	}
	return cast(kind)
}

// Ethertypes and PPP protocols (IANA's registries of both).
const (
	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherVLAN     = 0x8100 // IEEE 802.1Q
	etherQinQ     = 0x88a8 // IEEE 802.1ad
	etherOldQinQ  = 0x9100
	etherMPLS     = 0x8847 // RFC 5332
	etherMPLSmany = 0x8848
	etherPPPoE    = 0x8864 // RFC 2516: a session
	pppIPv4       = 0x0021
	pppIPv6       = 0x0057
)

// maxTags is the most VLAN tags, PPPoE headers and MPLS label stacks before a packet.
const maxTags = 4

// maxLabels is the most MPLS labels in a stack.
const maxLabels = 16

// ethertype goes past VLAN tags, a PPPoE session's header and MPLS labels, and returns
// the IP packet behind them, or nil.
func ethertype(kind uint16, b []byte) []byte {
	for range maxTags + 1 {
		switch kind {
		case etherIPv4, etherIPv6:
			return b
		case etherVLAN, etherQinQ, etherOldQinQ:
			if len(b) < 4 {
				return nil
			}
			kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		case etherPPPoE:
			// Version, type, code 0, session and length (RFC 2516, 4), then PPP's protocol.
			if len(b) < 8 || b[0] != 0x11 || b[1] != 0 {
				return nil
			}
			protocol := binary.BigEndian.Uint16(b[6:])
			if protocol != pppIPv4 && protocol != pppIPv6 {
				return nil
			}
			return b[8:]
		case etherMPLS, etherMPLSmany:
			return unlabelled(b)
		default:
			return nil
		}
	}
	return nil
}

// unlabelled goes past the labels to the bottom of the stack (RFC 3032, 2.1). The content
// has no type; it is IP if its first four bits say so.
func unlabelled(b []byte) []byte {
	for range maxLabels {
		if len(b) < 5 {
			return nil
		}
		bottom := b[2]&1 != 0
		if b = b[4:]; bottom {
			if version := b[0] >> 4; version == 4 || version == 6 {
				return b
			}
			return nil
		}
	}
	return nil
}

// nflog reads the attributes of an NFLOG packet. Their header is in the byte
// order of the machine, their content in the network's
// (https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html).
func (f *frame) nflog(b []byte, little bool) {
	if len(b) < 4 {
		return
	}
	for b = b[4:]; len(b) >= 4; {
		size, kind := int(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint16(b[2:])
		if little {
			size, kind = int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
		}
		if size < 4 {
			return
		}
		value := b[4:min(size, len(b))]
		switch kind & 0x7fff {
		case 3: // NFULA_TIMESTAMP; the record's own time is when libpcap read it
			if len(value) >= 16 {
				f.at = stamp(binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:]))
			}
		case 4: // NFULA_IFINDEX_INDEV
			if len(value) >= 4 {
				f.index = binary.BigEndian.Uint32(value)
			}
		case 9: // NFULA_PAYLOAD
			f.ip = value
		case 10: // NFULA_PREFIX
			text, _, _ := bytes.Cut(value, []byte{0})
			var mode string
			mode, f.kind, _ = strings.Cut(string(text), " ") // as package nflog reads it
			f.mode, _ = probe.ParseMode(mode)
		}
		b = b[min(len(b), (size+3)&^3):]
	}
}

// stamp converts seconds and microseconds; an impossible time is 0.
func stamp(seconds, micros uint64) int64 {
	if seconds >= 1<<33 || micros >= 1e6 {
		return 0
	}
	return int64(seconds)*1e9 + int64(micros)*1000
}
