// SPDX-License-Identifier: MIT

package replay

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng, section 11.1).
const (
	blockInterface = 1
	blockOldPacket = 2
	blockSimple    = 3
	blockEnhanced  = 6
	blockSection   = 0x0a0d0d0a
)

// maxInterfaces is the most interfaces of a section.
const maxInterfaces = 4096

// An iface is what an interface description block says that reading needs.
type iface struct {
	link    uint16
	snaplen uint32
	units   uint64 // of a timestamp, in a second
	offset  int64  // seconds to add
}

// nextNG reads blocks up to the next packet.
func (r *reader) nextNG(rec *record) error {
	for {
		head, err := r.peek(12, true)
		if err != nil {
			return err
		}
		if binary.LittleEndian.Uint32(head) == blockSection { // the same in both byte orders
			if err := r.section(head); err != nil {
				return err
			}
			continue
		}
		kind, size := r.order.Uint32(head), r.order.Uint32(head[4:])
		if size < 12 || size%4 != 0 || size > math.MaxInt32 {
			return fmt.Errorf("%w: a block of %d bytes", ErrCorrupt, size)
		}
		found, err := r.block(kind, int(size), rec)
		if err != nil {
			return err
		}
		if found {
			return nil
		}
	}
}

// block reads or skips one block of size bytes, and reports whether it held a packet.
func (r *reader) block(kind uint32, size int, rec *record) (found bool, err error) {
	switch kind {
	case blockInterface:
		err = r.describe(size)
	case blockEnhanced, blockOldPacket:
		found, err = true, r.packet(kind, size, rec)
	case blockSimple:
		found, err = true, r.simple(size, rec)
	}
	if err != nil {
		return false, err
	}
	// A skipped block may be longer than the buffer. One that was read is all in it, so
	// going past it leaves the packet's bytes where they are.
	return found, r.skip(size)
}

// section reads a section header block (section 4.1 of the draft): the byte
// order changes here, and the interfaces begin anew.
func (r *reader) section(head []byte) error {
	switch binary.LittleEndian.Uint32(head[8:]) {
	case 0x1a2b3c4d:
		r.order, r.little = binary.LittleEndian, true
	case 0x4d3c2b1a:
		r.order, r.little = binary.BigEndian, false
	default:
		return fmt.Errorf("%w: section of unknown byte order %08x", ErrCorrupt, head[8:12])
	}
	size := r.order.Uint32(head[4:])
	if size < 28 || size%4 != 0 || size > math.MaxInt32 {
		return fmt.Errorf("%w: a section header of %d bytes", ErrCorrupt, size)
	}
	body, err := r.peek(16, false)
	if err != nil {
		return err
	}
	if major := r.order.Uint16(body[12:]); major != 1 {
		return fmt.Errorf("%w: pcapng version %d", ErrFormat, major)
	}
	r.interfaces = r.interfaces[:0]
	return r.skip(int(size))
}

// describe reads an interface description block (section 4.2).
func (r *reader) describe(size int) error {
	if size < 20 || size > maxPacket {
		return fmt.Errorf("%w: an interface description of %d bytes", ErrCorrupt, size)
	}
	if len(r.interfaces) == maxInterfaces {
		return fmt.Errorf("%w: more than %d interfaces", ErrCorrupt, maxInterfaces)
	}
	b, err := r.peek(size, false)
	if err != nil {
		return err
	}
	f := iface{link: r.order.Uint16(b[8:]), snaplen: r.order.Uint32(b[12:]), units: 1e6}
	for o := b[16 : size-4]; len(o) >= 4; {
		code, n := r.order.Uint16(o), int(r.order.Uint16(o[2:]))
		if code == 0 || n > len(o)-4 {
			break
		}
		value := o[4 : 4+n]
		switch {
		case code == 9 && n == 1: // if_tsresol
			if f.units = units(value[0]); f.units == 0 {
				return fmt.Errorf("%w: timestamp resolution %#x", ErrCorrupt, value[0])
			}
		case code == 14 && n == 8: // if_tsoffset
			f.offset = int64(r.order.Uint64(value))
		}
		o = o[min(len(o), 4+(n+3)&^3):]
	}
	r.interfaces = append(r.interfaces, f)
	return nil
}

// units turns an if_tsresol into units a second, or 0 if that does not fit 64 bits.
func units(resolution byte) uint64 {
	n := resolution & 0x7f
	if resolution&0x80 != 0 {
		if n > 63 {
			return 0
		}
		return 1 << n
	}
	if n > 19 {
		return 0
	}
	u := uint64(1)
	for range n {
		u *= 10
	}
	return u
}

// nanoseconds converts a timestamp of f, clamped to int64.
func (f *iface) nanoseconds(high, low uint32) int64 {
	stamp := uint64(high)<<32 | uint64(low)
	seconds, rest := stamp/f.units, stamp%f.units
	if f.units == 1e6 {
		rest *= 1000
	} else if f.units != 1e9 {
		hi, lo := bits.Mul64(rest, 1e9)
		rest, _ = bits.Div64(hi, lo, f.units) // rest < units, so hi < units
	}
	const most = math.MaxInt64/1_000_000_000 - 1
	if seconds > most || f.offset > most || f.offset < -most {
		return math.MaxInt64
	}
	if sum := int64(seconds) + f.offset; sum < most && sum > -most {
		return sum*1e9 + int64(rest)
	}
	return math.MaxInt64
}

// packet reads an enhanced packet block (section 4.3) or the obsolete one (appendix A).
func (r *reader) packet(kind uint32, size int, rec *record) error {
	if size < 32 {
		return fmt.Errorf("%w: a packet block of %d bytes", ErrCorrupt, size)
	}
	head, err := r.peek(28, false)
	if err != nil {
		return err
	}
	id := r.order.Uint32(head[8:])
	if kind == blockOldPacket {
		id = uint32(r.order.Uint16(head[8:]))
	}
	f, err := r.iface(id)
	if err != nil {
		return err
	}
	captured := r.order.Uint32(head[20:])
	if captured > maxPacket || int(captured) > size-32 {
		return fmt.Errorf("%w: a packet of %d bytes in a block of %d", ErrCorrupt, captured, size)
	}
	at := f.nanoseconds(r.order.Uint32(head[12:]), r.order.Uint32(head[16:]))
	r.last = at
	return r.fill(rec, f, at, 28, int(captured), size)
}

// simple reads a simple packet block (section 4.4). It has no time and gets that of the
// packet before.
func (r *reader) simple(size int, rec *record) error {
	if size < 16 {
		return fmt.Errorf("%w: a simple packet block of %d bytes", ErrCorrupt, size)
	}
	head, err := r.peek(12, false)
	if err != nil {
		return err
	}
	f, err := r.iface(0)
	if err != nil {
		return err
	}
	captured := min(r.order.Uint32(head[8:]), uint32(size-16))
	if f.snaplen != 0 {
		captured = min(captured, f.snaplen)
	}
	if captured > maxPacket {
		return fmt.Errorf("%w: a packet of %d bytes", ErrCorrupt, captured)
	}
	return r.fill(rec, f, r.last, 12, int(captured), size)
}

// fill makes a record of the n bytes at from in the block of size bytes that
// comes next, all of which must be there.
func (r *reader) fill(rec *record, f *iface, at int64, from, n, size int) error {
	if size > bufferSize {
		return fmt.Errorf("%w: a packet block of %d bytes", ErrCorrupt, size)
	}
	b, err := r.peek(size, false)
	if err != nil {
		return err
	}
	if end := r.order.Uint32(b[size-4:]); int64(end) != int64(size) {
		return fmt.Errorf("%w: a block of %d bytes that ends as one of %d", ErrCorrupt, size, end)
	}
	*rec = record{data: b[from : from+n : from+n], at: at, link: f.link, little: r.little}
	return nil
}

// iface returns the description of interface id, of a link type that is known.
func (r *reader) iface(id uint32) (*iface, error) {
	if uint64(id) >= uint64(len(r.interfaces)) {
		return nil, fmt.Errorf("%w: interface %d of %d", ErrCorrupt, id, len(r.interfaces))
	}
	f := &r.interfaces[id]
	if !knownLink(f.link) {
		return nil, fmt.Errorf("%w %d", ErrLinkType, f.link)
	}
	return f, nil
}
