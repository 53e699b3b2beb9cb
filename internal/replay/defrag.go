// SPDX-License-Identifier: MIT

package replay

import (
	"encoding/binary"
	"net/netip"

	"picket/internal/packet"
)

const (
	// maxDatagrams is how many fragmented packets are put together at once; the
	// oldest goes first. Each takes about 1.5 KiB.
	maxDatagrams = 256
	// leading is how much of a packet is kept: the transport header and the little
	// payload that judging needs. It is the mirror's snaplen too.
	leading = 128
	// units of eight bytes, in which fragments are counted
	maxUnits = 65536 / 8
)

// A fragmentKey names the packet of a fragment (RFC 791, 3.2; RFC 8200, 4.5).
type fragmentKey struct {
	source, destination netip.Addr
	id                  uint32
	protocol            uint8 // of IPv4; 0 for IPv6
}

// A datagram is what has come of a fragmented packet.
type datagram struct {
	key  fragmentKey
	at   int64
	used bool
	// pieces overlapped, or one lay behind the end: the kernel drops them all (RFC 5722;
	// net/ipv4/ip_fragment.c)
	dropped bool
	total   int // bytes of data; 0 until the last fragment came
	end     int // of the piece that ends last
	have    int // units that came in
	seen    [maxUnits / 64]uint64
	present [leading / 8]uint8 // captured bytes of each leading unit
	start   [leading]byte
	header  [60]byte
	headLen int   // 0 until the first fragment came
	next    uint8 // IPv6: the header that follows
}

// A defragmenter puts fragmented packets together, as the kernel does before
// any rule sees them (nf_defrag_ipv4, nf_defrag_ipv6).
type defragmenter struct {
	slots  [maxDatagrams]datagram
	index  map[fragmentKey]int
	oldest int
	whole  []byte
}

func newDefragmenter() *defragmenter {
	return &defragmenter{index: make(map[fragmentKey]int, maxDatagrams), whole: make([]byte, 0, 60+leading)}
}

// add takes the fragment p, decoded from b. When it completes a packet, add
// returns the packet's first bytes, valid until the next call, else nil.
func (d *defragmenter) add(p *packet.Packet, b []byte, at int64) []byte {
	length := int(p.Length) - int(p.FragmentAt)
	if p.Length == 0 || length <= 0 || p.More && length%8 != 0 || int(p.Offset)+length > 65535 ||
		int(p.FragmentAt) > len(b) {
		return nil // the kernel drops these (RFC 8200, 4.5)
	}
	g := d.slot(p, at)
	if end := int(p.Offset) + length; p.More {
		g.dropped = g.dropped || g.total != 0 && end > g.total
		g.end = max(g.end, end)
	} else {
		g.dropped = g.dropped || end < g.end || g.total != 0 && end != g.total
		g.end = end
	}
	if g.dropped || !g.cover(int(p.Offset)/8, (length+7)/8) {
		return nil
	}
	if !p.More {
		g.total = g.end
	}
	data := b[p.FragmentAt:min(len(b), int(p.FragmentAt)+length)]
	g.keep(int(p.Offset), data)
	if p.Offset == 0 {
		g.headLen = copy(g.header[:], b[:min(int(p.FragmentAt), 60)])
		if p.V6() {
			g.headLen = 40
			g.next = b[p.FragmentAt-8]
		}
	}
	if g.total == 0 || g.headLen == 0 || g.have != (g.total+7)/8 {
		return nil
	}
	return d.finish(g)
}

// slot returns the datagram of the piece p, a new one if need be.
func (d *defragmenter) slot(p *packet.Packet, at int64) *datagram {
	key := fragmentKey{source: p.Source, destination: p.Destination, id: p.FragmentID}
	if !p.V6() {
		key.protocol = p.Protocol
	}
	if i, ok := d.index[key]; ok {
		// 30 s for IPv4 and 60 s for IPv6 in the kernel; one bound does here.
		if g := &d.slots[i]; at-g.at <= 60e9 {
			return g
		}
		d.slots[i] = datagram{key: key, at: at, used: true}
		return &d.slots[i]
	}
	g := &d.slots[d.oldest]
	if g.used {
		delete(d.index, g.key)
	}
	*g = datagram{key: key, at: at, used: true}
	d.index[key] = d.oldest
	d.oldest = (d.oldest + 1) % maxDatagrams
	return g
}

// cover marks n units from first on, and reports whether all of them are new.
// A piece that came before is ignored; one that overlaps spoils the datagram.
func (g *datagram) cover(first, n int) bool {
	old := 0
	for u := first; u < first+n; u++ {
		old += int(g.seen[u/64] >> (u % 64) & 1)
	}
	if old != 0 {
		g.dropped = old != n
		return false
	}
	for u := first; u < first+n; u++ {
		g.seen[u/64] |= 1 << (u % 64)
	}
	g.have += n
	return true
}

// keep copies the part of data within the leading bytes.
func (g *datagram) keep(offset int, data []byte) {
	if offset >= leading {
		return
	}
	n := copy(g.start[offset:], data)
	for o := offset; o < offset+n; o += 8 {
		g.present[o/8] = uint8(min(8, offset+n-o))
	}
}

// finish builds the packet from g's pieces, and forgets g.
func (d *defragmenter) finish(g *datagram) []byte {
	n := 0
	for _, present := range g.present {
		n += int(present)
		if present < 8 {
			break
		}
	}
	b := append(d.whole[:0], g.header[:g.headLen]...)
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(min(g.headLen+g.total, 65535)))
		b[6], b[7] = b[6]&0x40, 0 // no fragment any more; the checksum is left as it was
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(g.total))
		b[6] = g.next
	}
	b = append(b, g.start[:n]...)
	delete(d.index, g.key)
	g.used = false
	return b
}
