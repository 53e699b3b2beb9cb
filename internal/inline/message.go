// SPDX-License-Identifier: MIT

package inline

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"

	"picket/internal/packet"
	"picket/internal/probe"
)

// Messages of the queue and their attributes
// (include/uapi/linux/netfilter/nfnetlink_queue.h).
const (
	messagePacket  = unix.NFNL_SUBSYS_QUEUE << 8
	messageVerdict = unix.NFNL_SUBSYS_QUEUE<<8 | 1
	messageConfig  = unix.NFNL_SUBSYS_QUEUE<<8 | 2
	messageBatch   = unix.NFNL_SUBSYS_QUEUE<<8 | 3 // the verdict for a packet and all before it

	attrHeader   = 1  // NFQA_PACKET_HDR: the number of the packet, 4 bytes, and more
	attrTime     = 4  // NFQA_TIMESTAMP: seconds and microseconds, 8 bytes each
	attrInDevice = 5  // NFQA_IFINDEX_INDEV, 4 bytes
	attrPayload  = 10 // NFQA_PAYLOAD
	attrVerdict  = 2  // NFQA_VERDICT_HDR: verdict and number, 4 bytes each

	configCommand = 1 // NFQA_CFG_CMD
	configParams  = 2 // NFQA_CFG_PARAMS
	configLength  = 3 // NFQA_CFG_QUEUE_MAXLEN
	configMask    = 4 // NFQA_CFG_MASK
	configFlags   = 5 // NFQA_CFG_FLAGS

	commandBind = 1 // NFQNL_CFG_CMD_BIND
	copyPacket  = 2 // NFQNL_COPY_PACKET

	flagFailOpen = 1 << 0 // NFQA_CFG_F_FAIL_OPEN
	flagGSO      = 1 << 2 // NFQA_CFG_F_GSO: a packet is not cut into segments to be queued
)

const (
	headerLength = unix.SizeofNlMsghdr + 4 // with struct nfgenmsg
	drop, accept = 0, 1                    // NF_DROP, NF_ACCEPT
)

// appendMessage appends a message of a queue; attrs appends its attributes.
func appendMessage(b []byte, kind, flags uint16, queue uint16, attrs func([]byte) []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, unix.SizeofNlMsghdr)...)
	b = append(b, unix.AF_UNSPEC, unix.NFNETLINK_V0)
	b = binary.BigEndian.AppendUint16(b, queue)
	b = attrs(b)
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	binary.NativeEndian.PutUint16(b[start+4:], kind)
	binary.NativeEndian.PutUint16(b[start+6:], unix.NLM_F_REQUEST|flags)
	return b
}

// appendAttr appends an attribute, padded to four bytes.
func appendAttr(b []byte, kind uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

// configuration is the message that binds a queue. One message has all of it, and
// one attribute all flags, since the kernel refuses a later change of some.
func configuration(queue uint16) []byte {
	be := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	return appendMessage(nil, messageConfig, unix.NLM_F_ACK, queue, func(b []byte) []byte {
		b = appendAttr(b, configCommand, commandBind, 0, 0, 0)
		b = appendAttr(b, configParams, append(be(Snaplen), copyPacket)...)
		b = appendAttr(b, configLength, be(Length)...)
		b = appendAttr(b, configFlags, be(flagFailOpen|flagGSO)...)
		return appendAttr(b, configMask, be(flagFailOpen|flagGSO)...)
	})
}

// putVerdict writes the verdict for a packet into b; if kind is messageBatch, it is
// for all packets before it too.
func putVerdict(b *[verdictLength]byte, kind, queue uint16, verdict, id uint32) {
	clear(b[:])
	binary.NativeEndian.PutUint32(b[0:], verdictLength)
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	b[17] = unix.NFNETLINK_V0
	binary.BigEndian.PutUint16(b[18:], queue)
	binary.NativeEndian.PutUint16(b[20:], unix.SizeofNlAttr+8)
	binary.NativeEndian.PutUint16(b[22:], attrVerdict)
	binary.BigEndian.PutUint32(b[24:], verdict)
	binary.BigEndian.PutUint32(b[28:], id)
}

const verdictLength = headerLength + unix.SizeofNlAttr + 8

// A queued is a decoded message about a packet that waits. Its payload is a slice of
// the datagram.
type queued struct {
	id       uint32
	numbered bool
	at       int64 // nanoseconds since the epoch; 0 without a time
	in       uint32
	payload  []byte
}

// read reads the attributes of a packet message, up to one that does not fit.
func read(b []byte) (m queued) {
	for kind, v := range nlmsg.Attributes(b) {
		switch {
		case kind == attrHeader && len(v) >= 4:
			m.id, m.numbered = binary.BigEndian.Uint32(v), true
		case kind == attrTime && len(v) >= 16:
			seconds, micros := binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
			m.at = time.Unix(int64(seconds), int64(micros)*1000).UnixNano()
		case kind == attrInDevice && len(v) >= 4:
			m.in = binary.BigEndian.Uint32(v)
		case kind == attrPayload:
			m.payload = v
		}
	}
	return m
}

// syn makes a probe of a queued packet, if it is a readable SYN.
func (m *queued) syn(now time.Time) (probe.Probe, bool) {
	var p packet.Packet
	if packet.Decode(m.payload, &p) != packet.OK {
		return probe.Probe{}, false
	}
	at := m.at
	if at == 0 {
		at = now.UnixNano()
	}
	found, ok := p.Probe(0, at, m.in)
	return found, ok && found.Technique == probe.SYN && !found.Unread
}
