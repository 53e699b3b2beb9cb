// SPDX-License-Identifier: MIT

package replay

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"

	"picket/internal/probe"
)

// A logPacket is a packet as a line of the kernel's packet log describes it. Fields that
// the line lacks are zero.
type logPacket struct {
	in, mac        string
	source, dest   netip.Addr
	length         uint64 // of the IP packet, its header included
	tos, ttl, id   uint64
	fragment       uint64 // in units of eight bytes; df and mf are the bits above
	df, mf         bool
	protocol       uint8
	known          bool // the protocol is
	sport, port    uint64
	hasPorts       bool
	seq, ack       uint64
	window, urgent uint64
	flags          uint8
	kind, code     uint64
	identifier     uint64 // of an ICMP query
	sequence       uint64
	options        []byte // of TCP, if they were logged
}

// frame returns a Linux cooked frame with the packet of a line, nil if it has none.
func (p *logPacket) frame(words string) []byte {
	p.read(words)
	if !p.source.IsValid() || !p.dest.IsValid() || p.source.Is4() != p.dest.Is4() || !p.known {
		return nil
	}
	kind := byte(castHost)
	switch {
	case p.in == "":
		kind = byte(castOutgoing)
	case strings.HasPrefix(p.mac, "ff:ff:ff:ff:ff:ff"):
		kind = byte(castBroadcast)
	case multicastMAC(p.mac):
		kind = byte(castMulticast)
	}
	b := []byte{0, kind, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00}
	if p.source.Is6() {
		b[14], b[15] = 0x86, 0xdd
	}
	transport := p.transport()
	return append(append(b, p.header(len(transport))...), transport...)
}

// multicastMAC reports whether the destination at the beginning of MAC= is a
// group (IEEE 802: the lowest bit of the first byte).
func multicastMAC(mac string) bool {
	n, err := strconv.ParseUint(mac[:min(2, len(mac))], 16, 8)
	return err == nil && n&1 == 1
}

// read takes the words of a line apart. Those in brackets quote the packet that an ICMP
// error is about; they are left out.
func (p *logPacket) read(words string) {
	depth := 0
	fields := strings.Fields(words)
	for i := 0; i < len(fields); i++ {
		word := fields[i]
		if strings.HasPrefix(word, "[") {
			depth++
		}
		if depth == 0 {
			if word == "OPT" && i+1 < len(fields) {
				i++
				p.option(fields[i])
				continue
			}
			p.word(word)
		}
		if depth > 0 && strings.HasSuffix(word, "]") {
			depth--
		}
	}
}

// option takes the hexadecimal text of "OPT (...)": of TCP, if the protocol was named before.
func (p *logPacket) option(text string) {
	if p.known && p.protocol == probe.ProtocolTCP {
		p.options, _ = hex.DecodeString(strings.Trim(text, "()")) // what cannot be read is not there
	}
}

//nolint:cyclop // one list of the words of nf_log_syslog.c
func (p *logPacket) word(word string) {
	key, value, _ := strings.Cut(word, "=")
	number := func(to *uint64, bits int) {
		if n, err := strconv.ParseUint(value, 0, bits); err == nil {
			*to = n
		}
	}
	switch key {
	case "IN":
		p.in = value
	case "MAC":
		p.mac = value
	case "SRC":
		p.source, _ = netip.ParseAddr(value)
	case "DST":
		p.dest, _ = netip.ParseAddr(value)
	case "LEN":
		if !p.known { // UDP has a length of its own behind its ports
			number(&p.length, 16)
		}
	case "TOS", "TC":
		number(&p.tos, 8)
	case "TTL", "HOPLIMIT":
		number(&p.ttl, 8)
	case "ID":
		if p.known {
			number(&p.identifier, 16)
		} else {
			number(&p.id, 16)
		}
	case "DF":
		p.df = true
	case "MF":
		p.mf = true
	case "PROTO":
		p.protocol, p.known = protocolNumber(value)
	case "SPT":
		number(&p.sport, 16)
		p.hasPorts = true
	case "DPT":
		number(&p.port, 16)
	case "SEQ":
		if p.protocol == probe.ProtocolTCP {
			number(&p.seq, 32)
		} else {
			number(&p.sequence, 16)
		}
	case "ACK":
		if value != "" {
			number(&p.ack, 32)
		} else {
			p.flags |= probe.FlagACK
		}
	case "WINDOW":
		number(&p.window, 16)
	case "URGP":
		number(&p.urgent, 16)
	case "TYPE":
		number(&p.kind, 8)
	case "CODE":
		number(&p.code, 8)
	default:
		p.flags |= logFlags[key]
		if rest, ok := strings.CutPrefix(key, "FRAG:"); ok {
			value = rest
			number(&p.fragment, 13)
		}
	}
}

// logFlags are TCP's flags as the log names them; ACK is also a number's name.
var logFlags = map[string]uint8{
	"FIN": probe.FlagFIN, "SYN": probe.FlagSYN, "RST": probe.FlagRST, "PSH": probe.FlagPSH,
	"URG": probe.FlagURG, "ECE": 0x40, "CWR": 0x80,
}

// protocolNumber reads PROTO=, a name for the protocols that the log takes apart and a
// number for others.
func protocolNumber(s string) (uint8, bool) {
	switch s {
	case "TCP":
		return probe.ProtocolTCP, true
	case "UDP":
		return probe.ProtocolUDP, true
	case "UDPLITE":
		return 136, true
	case "ICMP":
		return probe.ProtocolICMP, true
	case "ICMPv6":
		return probe.ProtocolICMPv6, true
	case "AH":
		return 51, true
	case "ESP":
		return 50, true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return uint8(n), err == nil
}

// header returns the IP header in front of so many bytes.
func (p *logPacket) header(rest int) []byte {
	if p.source.Is6() {
		length := max(int(p.length)-40, rest)
		b := []byte{0x60 | byte(p.tos>>4), byte(p.tos << 4), 0, 0, byte(length >> 8), byte(length),
			p.protocol, byte(p.ttl)}
		return append(append(b, p.source.AsSlice()...), p.dest.AsSlice()...)
	}
	length := max(int(p.length), 20+rest)
	fragment := uint16(p.fragment)
	if p.df {
		fragment |= 0x4000
	}
	if p.mf {
		fragment |= 0x2000
	}
	b := []byte{
		0x45, byte(p.tos), byte(length >> 8), byte(length), byte(p.id >> 8), byte(p.id), byte(fragment >> 8),
		byte(fragment),
		byte(p.ttl), p.protocol, 0, 0,
	}
	return append(append(b, p.source.AsSlice()...), p.dest.AsSlice()...)
}

// transport returns the transport header, as far as the line has it.
func (p *logPacket) transport() []byte {
	switch {
	case p.protocol == probe.ProtocolICMP || p.protocol == probe.ProtocolICMPv6:
		return []byte{byte(p.kind), byte(p.code), 0, 0, byte(p.identifier >> 8), byte(p.identifier),
			byte(p.sequence >> 8), byte(p.sequence)}
	case !p.hasPorts:
		return nil
	}
	b := []byte{byte(p.sport >> 8), byte(p.sport), byte(p.port >> 8), byte(p.port)}
	switch p.protocol {
	case probe.ProtocolTCP:
		return p.tcp(b)
	case probe.ProtocolUDP:
		head := 20
		if p.source.Is6() {
			head = 40
		}
		length := max(int(p.length)-head, 8)
		return append(b, byte(length>>8), byte(length), 0, 0)
	}
	return b
}

// tcp appends the rest of a TCP header to its ports.
func (p *logPacket) tcp(b []byte) []byte {
	if p.seq == 0 {
		// Without --log-tcp-sequence: one that retransmissions share and others do not.
		h := fnv.New32a()
		h.Write(p.source.AsSlice())
		h.Write(p.dest.AsSlice())
		h.Write(b)
		p.seq = uint64(h.Sum32())
	}
	if p.ack == 0 && p.flags&probe.FlagACK != 0 {
		p.ack = p.seq ^ 1<<31 | 1 // it acknowledged something
	}
	options := p.options
	if options == nil && p.flags&probe.FlagSYN != 0 {
		options = p.usualOptions()
	}
	options = options[:min(len(options), 40)&^3]
	b = binary.BigEndian.AppendUint32(b, uint32(p.seq))
	b = binary.BigEndian.AppendUint32(b, uint32(p.ack))
	b = append(b, byte(5+len(options)/4)<<4, p.flags, byte(p.window>>8), byte(p.window), 0, 0,
		byte(p.urgent>>8), byte(p.urgent))
	return append(b, options...)
}

// usualOptions returns the options of a SYN by their length, all that most logs have of
// them: those of the current systems with that length, or else MSS and NOP.
func (p *logPacket) usualOptions() []byte {
	head := 40
	if p.source.Is6() {
		head = 60
	}
	n := int(p.length) - head
	if n < 4 || n > 40 || n%4 != 0 {
		return nil
	}
	const (
		mss = "\x02\x04\x05\xb4"
		// 12 bytes: Windows, without timestamps
		windows = mss + "\x01\x03\x03\x08\x01\x01\x04\x02"
		// 20 bytes: Linux
		linux = mss + "\x04\x02\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x03\x07"
		// 8 bytes: Windows XP
		sackAlone = mss + "\x01\x01\x04\x02"
	)
	switch n {
	case len(sackAlone):
		return []byte(sackAlone)
	case len(windows):
		return []byte(windows)
	case len(linux):
		return []byte(linux)
	}
	return append([]byte(mss), []byte(strings.Repeat("\x01", n-4))...)
}
