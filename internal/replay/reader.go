// SPDX-License-Identifier: MIT

package replay

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"picket/internal/gunzip"
)

// Errors that an [Error] wraps.
var (
	// ErrFormat says that a file is neither pcap nor pcapng.
	ErrFormat = errors.New("not a capture that picket reads (pcap or pcapng, plain or gzip)")
	// ErrTruncated says that a file ends within a record; copy it again, or stop the writer first.
	ErrTruncated = errors.New("truncated")
	// ErrCorrupt says that a length or a number in a file is impossible.
	ErrCorrupt = errors.New("corrupt")
	// ErrLinkType says that a capture was made on a kind of link that is not known here.
	ErrLinkType = errors.New("unknown link type")
)

// An Error says where reading a capture stopped. It wraps [ErrFormat], [ErrTruncated],
// [ErrCorrupt], [ErrLinkType] or the file system's error.
type Error struct {
	File string
	// number of the packet that could not be read, from 1, as Wireshark counts; 0 for the file as a whole
	Packet uint64
	Offset int64 // byte at which its record begins, after decompression
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Packet == 0 {
		return fmt.Sprintf("read %q: %v", e.File, e.Err)
	}
	return fmt.Sprintf("read %q: packet %d at byte %d: %v", e.File, e.Packet, e.Offset, e.Err)
}

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

const (
	// maxPacket is the longest packet that is read; libpcap's MAXIMUM_SNAPLEN.
	maxPacket = 256 << 10
	// bufferSize is what a reader holds of its file. A whole record fits.
	bufferSize = 2 * maxPacket
)

// A record is one captured packet. data is valid until the next one is read.
type record struct {
	data   []byte
	at     int64 // nanoseconds since the Unix epoch
	link   uint16
	little bool // byte order of the file, which is that of NFLOG's attributes
}

// A reader reads the packets of one capture, pcap or pcapng. It does not copy them and
// takes no memory beyond its buffer. gopacket's pcapgo reads both too, but lets a pcapng
// file decide how much memory a block gets, keeps every secret and name in it, and cannot
// say where a fault is.
type reader struct {
	b       *bufio.Reader
	rest    []byte // what b has buffered, from offset on
	behind  int    // bytes of b before rest, which b still holds
	name    string
	offset  int64  // bytes read before rest
	packets uint64 // packets returned
	order   binary.ByteOrder
	little  bool
	next    func(*record) error

	nano       bool    // pcap: fractions are nanoseconds
	link       uint16  // pcap: link type of the file
	interfaces []iface // pcapng: those of the section
	last       int64   // pcapng: time of the packet before, for those that have none
}

// newReader starts reading. The error is an *Error.
func newReader(name string, from io.Reader) (*reader, error) {
	b, err := gunzip.Reader(bufio.NewReaderSize(from, bufferSize))
	if err != nil {
		return nil, whole(name, fmt.Errorf("%w gzip: %v", ErrCorrupt, err))
	}
	r := &reader{name: name, b: b}
	magic, err := r.b.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, whole(name, fmt.Errorf("%w: %s", ErrFormat, short(len(magic))))
		}
		return nil, whole(name, r.cause(err))
	}
	if binary.LittleEndian.Uint32(magic) == blockSection {
		r.next = r.nextNG
		return r, nil
	}
	if err := r.openPcap(binary.LittleEndian.Uint32(magic)); err != nil {
		return nil, whole(name, err)
	}
	return r, nil
}

// read returns the next packet, io.EOF after the last, or an *Error.
func (r *reader) read(rec *record) error {
	err := r.next(rec)
	switch {
	case err == nil:
		r.packets++
		return nil
	case err == io.EOF:
		return err
	}
	return r.fail(err)
}

// short says how short a file is.
func short(n int) string {
	if n == 0 {
		return "it is empty"
	}
	return fmt.Sprintf("it has %d bytes", n)
}

// whole makes err one of the file, not of a place in it.
func whole(file string, err error) error { return &Error{File: file, Err: bare(err)} }

// fail says where err happened.
func (r *reader) fail(err error) error {
	return &Error{File: r.name, Packet: r.packets + 1, Offset: r.offset, Err: bare(err)}
}

// bare returns the system's error without the file name, which is said already.
func bare(err error) error {
	if at := new(fs.PathError); errors.As(err, &at) {
		return at.Err
	}
	return err
}

// cause tells a file that ends from one that cannot be read.
func (r *reader) cause(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err,
		new(flate.CorruptInputError)):
		return fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	return err
}

// peek returns the next n bytes, at most bufferSize, without going past them. At the very
// end of the file the error is io.EOF if end, and else [ErrTruncated].
func (r *reader) peek(n int, end bool) ([]byte, error) {
	if n <= len(r.rest) {
		return r.rest[:n], nil
	}
	return r.more(n, end)
}

// more is peek for what is not buffered yet.
func (r *reader) more(n int, end bool) ([]byte, error) {
	if _, err := r.b.Discard(r.behind); err != nil {
		return nil, err // never: they are buffered
	}
	r.behind, r.rest = 0, nil
	b, err := r.b.Peek(n)
	if err == nil {
		r.rest, err = r.b.Peek(r.b.Buffered())
		return b, err
	}
	if end && len(b) == 0 && errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err = r.cause(err); err == ErrTruncated {
		return nil, fmt.Errorf("%w: %d bytes of %d are there", err, len(b), n)
	}
	return nil, err
}

// skip goes n bytes on. If it fails, the offset stays at the record's start.
func (r *reader) skip(n int) error {
	if n <= len(r.rest) {
		r.rest, r.behind, r.offset = r.rest[n:], r.behind+n, r.offset+int64(n)
		return nil
	}
	before := r.behind
	r.behind, r.rest = 0, nil
	if got, err := r.b.Discard(before + n); err != nil {
		if err = r.cause(err); err == ErrTruncated {
			return fmt.Errorf("%w: %d bytes of %d are there", err, got-before, n)
		}
		return err
	}
	r.offset += int64(n)
	return nil
}

// openPcap reads the header of a pcap file (draft-ietf-opsawg-pcap, section 4).
func (r *reader) openPcap(magic uint32) error {
	r.order, r.little = binary.LittleEndian, true
	switch magic {
	case 0xa1b2c3d4:
	case 0xa1b23c4d:
		r.nano = true
	case 0xd4c3b2a1:
		r.order, r.little = binary.BigEndian, false
	case 0x4d3cb2a1:
		r.order, r.little, r.nano = binary.BigEndian, false, true
	default:
		begin := binary.LittleEndian.AppendUint32(nil, magic)
		if !bytes.ContainsFunc(begin, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("%w: it is text, and begins with %q; a firewall's log needs --log", ErrFormat,
				begin)
		}
		return fmt.Errorf("%w: it begins with %x", ErrFormat, begin)
	}
	head, err := r.peek(24, false)
	if err != nil {
		return err
	}
	if major := r.order.Uint16(head[4:]); major != 2 {
		return fmt.Errorf("%w: pcap version %d", ErrFormat, major)
	}
	r.link = uint16(r.order.Uint32(head[20:])) // the upper half says how long the frame check sequence is
	if !knownLink(r.link) {
		return fmt.Errorf("%w %d", ErrLinkType, r.link)
	}
	r.next = r.nextPcap
	return r.skip(24)
}

// nextPcap reads a packet record (section 5 of the draft).
func (r *reader) nextPcap(rec *record) error {
	head, err := r.peek(16, true)
	if err != nil {
		return err
	}
	var seconds, fraction, captured uint32
	if r.little {
		seconds, fraction, captured = binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:]),
			binary.LittleEndian.Uint32(head[8:])
	} else {
		seconds, fraction, captured = binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:]),
			binary.BigEndian.Uint32(head[8:])
	}
	if captured > maxPacket {
		return fmt.Errorf("%w: a packet of %d bytes", ErrCorrupt, captured)
	}
	n := 16 + int(captured)
	b, err := r.peek(n, false)
	if err != nil {
		return err
	}
	nanos := int64(fraction)
	if !r.nano {
		nanos *= 1000
	}
	rec.data, rec.at, rec.link, rec.little = b[16:n:n], int64(seconds)*1e9+nanos, r.link, r.little
	return r.skip(n) // b stays where it is until the next peek
}
