// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A line is a record as tests compare them.
type line struct {
	At   int64
	Link uint16
	Data string
}

// readAll reads a capture to its end or its fault.
func readAll(b []byte) (lines []line, err error) {
	r, err := newReader("test", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	for {
		var rec record
		switch err := r.read(&rec); {
		case err == io.EOF:
			return lines, nil
		case err != nil:
			return lines, err
		}
		lines = append(lines, line{rec.at, rec.link, string(rec.data)})
	}
}

// captures are the files of testdata.
func captures(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*.pcap*")
	if err != nil || len(names) < 40 {
		t.Fatalf("testdata holds %d captures: %v", len(names), err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = b
	}
	return files
}

func TestTimestamps(t *testing.T) {
	tests := []struct {
		name    string
		tsresol byte
		offset  int64
		stamp   uint64
		want    int64
	}{
		{"microseconds", 6, 0, 1700000000_000001, 1700000000_000001000},
		{"nanoseconds", 9, 0, 1700000000_000000001, 1700000000_000000001},
		{"milliseconds", 3, 0, 1700000000_001, 1700000000_001000000},
		{"seconds", 0, 0, 17, 17e9},
		{"1/1024 s", 0x8a, 0, 3*1024 + 512, 3.5e9},
		{"2^-63 s", 0xbf, 0, 1 << 62, 5e8},
		{"10^-19 s", 19, 0, 5e18, 5e8},
		{"offset", 6, 100, 1_000_000, 101e9},
		{"beyond what int64 holds", 0, 0, 1 << 63, 1<<63 - 1},
		{"offset beyond it", 6, 1 << 62, 0, 1<<63 - 1},
	}
	for _, tt := range tests {
		f := iface{units: units(tt.tsresol), offset: tt.offset}
		if got := f.nanoseconds(uint32(tt.stamp>>32), uint32(tt.stamp)); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	if units(20) != 0 || units(0xc0) != 0 {
		t.Error("a resolution that does not fit was taken")
	}
}

// TestByteOrders turns a capture around.
func TestByteOrders(t *testing.T) {
	little := captures(t)["syn4.pcap"]
	want, err := readAll(little)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(b []byte, size int) {
		for i := 0; i < size/2; i++ {
			b[i], b[size-1-i] = b[size-1-i], b[i]
		}
	}
	big := bytes.Clone(little)
	for _, f := range [][2]int{{0, 4}, {4, 2}, {6, 2}, {8, 4}, {12, 4}, {16, 4}, {20, 4}} {
		swap(big[f[0]:], f[1])
	}
	for o := 24; o < len(big); {
		n := int(binary.LittleEndian.Uint32(big[o+8:]))
		for i := range 4 {
			swap(big[o+4*i:], 4)
		}
		o += 16 + n
	}
	got, err := readAll(big)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// TestEveryTruncation cuts captures at every byte: what is whole is read, and
// the error names the packet and where its record begins.
func TestEveryTruncation(t *testing.T) {
	files := captures(t)
	for _, name := range []string{"syn4.pcap", "nano.pcap", "syn6.pcapng", "mixed.pcapng"} {
		b := files[name]
		whole, err := readAll(b)
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(b) {
			got, err := readAll(b[:n])
			if len(got) > len(whole) || !slices.Equal(whole[:len(got)], got) {
				t.Fatalf("%s cut at %d: read %d packets that are not there", name, n, len(got))
			}
			var e *Error
			if err == nil {
				if n < 24 {
					t.Fatalf("%s cut at %d: no error", name, n)
				}
				continue // between two records
			}
			if !errors.As(err, &e) || !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrFormat) {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
			place := uint64(len(got)) + 1
			if n < 24 && !strings.HasSuffix(name, "ng") {
				place = 0 // the header is of the whole file
			}
			if e.Packet != place && !(n < 4 && e.Packet == 0) || e.Offset > int64(n) || e.File != "test" {
				t.Fatalf("%s cut at %d after %d packets: %v", name, n, len(got), e)
			}
		}
	}
}

func TestBadFiles(t *testing.T) {
	files := captures(t)
	patch := func(name string, at int, bytes ...byte) []byte {
		b := append([]byte(nil), files[name]...)
		copy(b[at:], bytes)
		return b
	}
	zipped := files["syn6.pcapng.gz"]
	second := 24 + 16 + int(binary.LittleEndian.Uint32(files["syn4.pcap"][24+8:]))
	section := int(binary.LittleEndian.Uint32(files["syn6.pcapng"][4:]))
	tests := []struct {
		name   string
		b      []byte
		want   error
		packet uint64
		offset int64
	}{
		{"empty", nil, ErrFormat, 0, 0},
		{"text", []byte("192.0.2.1 > 192.0.2.2\n"), ErrFormat, 0, 0},
		{"pcap version 3", patch("syn4.pcap", 4, 3), ErrFormat, 0, 0},
		{"link type 147", patch("syn4.pcap", 20, 147), ErrLinkType, 0, 0},
		{"second packet of 4 GiB", patch("syn4.pcap", second+8, 0xff, 0xff, 0xff, 0xff), ErrCorrupt, 2,
			int64(second)},
		{"pcapng byte order", patch("syn6.pcapng", 8, 9), ErrCorrupt, 1, 0},
		{"pcapng version 2", patch("syn6.pcapng", 12, 2), ErrFormat, 1, 0},
		{"interface description of 4 bytes", patch("syn6.pcapng", section+4, 4), ErrCorrupt, 1,
			int64(section)},
		{"interface of link type 147", patch("syn6.pcapng", section+8, 147), ErrLinkType, 1,
			firstPacket(files["syn6.pcapng"])},
		{"packet of interface 9", patch("syn6.pcapng", int(firstPacket(files["syn6.pcapng"]))+8, 9),
			ErrCorrupt, 1, firstPacket(files["syn6.pcapng"])},
		{"packet longer than its block", patch("syn6.pcapng", int(firstPacket(files["syn6.pcapng"]))+20,
			0xff), ErrCorrupt, 1, firstPacket(files["syn6.pcapng"])},
		{"block that ends otherwise", patch("syn6.pcapng", int(firstPacket(files["syn6.pcapng"]))+4, 0x44),
			ErrCorrupt, 1, firstPacket(files["syn6.pcapng"])},
		{"gzip cut short", zipped[:len(zipped)-20], ErrTruncated, 0, -1},
		{"gzip checksum", append(bytes.Clone(zipped[:len(zipped)-8]), 1, 2, 3, 4, 5, 6, 7, 8), ErrCorrupt, 0,
			-1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readAll(tt.b)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.offset >= 0 && (e.Packet != tt.packet || e.Offset != tt.offset) {
				t.Errorf("%v: want packet %d at byte %d", err, tt.packet, tt.offset)
			}
			if tt.name == "text" && !strings.HasSuffix(err.Error(),
				`): it is text, and begins with "192."; a firewall's log needs --log`) {
				t.Errorf("%v: want the first bytes in their order", err)
			}
		})
	}
}

// firstPacket is where the first enhanced packet block of b is.
func firstPacket(b []byte) int64 {
	at := 0
	for binary.LittleEndian.Uint32(b[at:]) != blockEnhanced {
		at += int(binary.LittleEndian.Uint32(b[at+4:]))
	}
	return int64(at)
}

// TestHostileLengths: a length in a file reserves nothing.
func TestHostileLengths(t *testing.T) {
	block := func(kind, size uint32, body ...byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, kind)
		return append(binary.LittleEndian.AppendUint32(b, size), body...)
	}
	section := []byte{0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255,
		255, 255, 255, 255, 255, 28, 0, 0, 0}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(section)
	z.Write(block(0x99, 64<<20))
	z.Write(make([]byte, 64<<20-8))
	z.Close()
	for name, b := range map[string][]byte{
		"secrets of 1 GiB":          append(bytes.Clone(section), block(10, 1<<30, make([]byte, 64)...)...),
		"names of 2 GiB":            append(bytes.Clone(section), block(4, 1<<31-4, make([]byte, 64)...)...),
		"64 MiB of zeros, in gzip":  bomb.Bytes(),
		"interface of 1 GiB":        append(bytes.Clone(section), block(1, 1<<30, make([]byte, 64)...)...),
		"a section header of 1 GiB": append([]byte{0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 0x40}, section[8:]...),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readAll(b)
			runtime.ReadMemStats(&after)
			if name != "64 MiB of zeros, in gzip" && err == nil {
				t.Error("no error")
			}
			got := after.TotalAlloc - before.TotalAlloc
			if got > 3*bufferSize {
				t.Errorf("reading allocated %d bytes", got)
			}
		})
	}
}
