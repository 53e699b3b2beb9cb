// SPDX-License-Identifier: MIT

package evidence

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"

	"picket/internal/show"
)

// A Packet is a packet for [Write].
type Packet struct {
	At      int64  // nanoseconds since the Unix epoch
	Data    []byte // the first bytes of an IP packet
	Length  int    // of the packet on the wire, if that is known
	Comment string
}

// Block types, option codes and the link type (draft-ietf-opsawg-pcapng,
// sections 4.1 to 4.3 and 3.5; LINKTYPE_RAW is an IPv4 or IPv6 packet by its
// first four bits).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6

	optComment     = 1
	optApplication = 4 // of a section
	optResolution  = 9 // of an interface

	linkRaw = 101
)

// maxComment is the longest comment written, in bytes: an option's length has 16 bits.
const maxComment = 1 << 12

// Write writes packets as a pcapng file, in little-endian byte order, with the
// name of the program that wrote it and a comment on the whole. The error is the
// writer's. gopacket's NgWriter does as much, and brings its decoders along: a
// program of 10.2 MB instead of 8.6.
func Write(w io.Writer, program, comment string, packets []Packet) error {
	out := bufio.NewWriter(w)
	_, _ = out.Write(section(program, comment)) // Flush returns the first error
	_, _ = out.Write(device())
	for i := range packets {
		_, _ = out.Write(packets[i].block())
	}
	return out.Flush()
}

var order = binary.LittleEndian

func section(program, comment string) []byte {
	body := order.AppendUint32(nil, 0x1a2b3c4d)
	body = order.AppendUint16(order.AppendUint16(body, 1), 0)
	body = order.AppendUint64(body, 1<<64-1) // the section's length is not stated
	body = option(body, optComment, text(comment))
	return block(blockSection, end(option(body, optApplication, text(program))))
}

func device() []byte {
	body := order.AppendUint16(order.AppendUint16(nil, linkRaw), 0)
	// no snaplen: packets are cut at different lengths
	body = order.AppendUint32(body, 0)
	return block(blockInterface, end(option(body, optResolution, []byte{9}))) // nanoseconds
}

func (p *Packet) block() []byte {
	body := order.AppendUint32(nil, 0)
	at := uint64(max(p.At, 0))
	body = order.AppendUint32(order.AppendUint32(body, uint32(at>>32)), uint32(at))
	body = order.AppendUint32(body, uint32(len(p.Data)))
	body = order.AppendUint32(body, uint32(max(p.Length, len(p.Data))))
	body = pad(append(body, p.Data...))
	return block(blockPacket, end(option(body, optComment, text(p.Comment))))
}

// text makes a string fit for a comment: clean and not too long.
func text(s string) []byte {
	s = show.CleanLines(s)
	if len(s) > maxComment {
		s = strings.ToValidUTF8(s[:maxComment], "")
	}
	return []byte(s)
}

func option(body []byte, code uint16, value []byte) []byte {
	if len(value) == 0 {
		return body
	}
	body = order.AppendUint16(order.AppendUint16(body, code), uint16(len(value)))
	return pad(append(body, value...))
}

// end ends the options.
func end(body []byte) []byte { return order.AppendUint32(body, 0) }

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func block(kind uint32, body []byte) []byte {
	size := uint32(12 + len(body))
	b := order.AppendUint32(order.AppendUint32(nil, kind), size)
	return order.AppendUint32(append(b, body...), size)
}
