// SPDX-License-Identifier: MIT

package oracle

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"picket/internal/packet"
	"picket/internal/replay"
)

// A line is a record of a capture as pcapgo reads it.
type line struct {
	at   int64 // nanoseconds since the Unix epoch
	link layers.LinkType
	data []byte
}

// nflog is the link type of NFLOG (tcpdump.org/linktypes). Its packets carry a time.
const nflog layers.LinkType = 239

// TestCaptures reads every capture of the tests, and each packet in it, and compares with
// gopacket.
func TestCaptures(t *testing.T) {
	names, err := filepath.Glob("../../replay/testdata/*.pcap*")
	if err != nil || len(names) < 40 {
		t.Fatalf("testdata holds %d captures: %v", len(names), err)
	}
	seen := map[gopacket.LayerType]int{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := pcapgoLines(name, b)
		if err != nil {
			t.Fatalf("%s: pcapgo: %v", name, err)
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			read(t, b, func(i int, r *replay.Record) {
				if i >= len(want) {
					return // reported below
				}
				if w := want[i]; w.link != nflog && r.At != w.at {
					t.Errorf("packet %d is of %d, want %d", i, r.At, w.at)
				}
				switch frame := want[i].data; {
				case r.Packet == nil: // no IP
				case bytes.Contains(frame, r.Raw):
					whole(t, r.Raw, seen)
				case strings.HasPrefix(filepath.Base(name), "frag"): // a part of a reassembled packet
					whole(t, frame[14:], seen)
				default:
					t.Errorf("packet %d: %x is not a part of %x", i, r.Raw, frame)
				}
			}, len(want))
		})
	}
	for _, layer := range []gopacket.LayerType{layers.LayerTypeIPv4, layers.LayerTypeIPv6,
		layers.LayerTypeTCP,
		layers.LayerTypeUDP, layers.LayerTypeSCTP, layers.LayerTypeSCTPInit, layers.LayerTypeICMPv4,
		layers.LayerTypeICMPv6, layers.LayerTypeIPv6Fragment} {
		if seen[layer] == 0 {
			t.Errorf("no packet has a %v layer: nothing was compared", layer)
		}
	}
}

// whole compares one packet, layer by layer.
func whole(t *testing.T, b []byte, seen map[gopacket.LayerType]int) {
	t.Helper()
	var p packet.Packet
	packet.Decode(b, &p)
	first := gopacket.LayerType(layers.LayerTypeIPv4)
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	for _, l := range gopacket.NewPacket(b, first, gopacket.Default).Layers() {
		seen[l.LayerType()]++
		compare(t, &p, l)
	}
}

// read passes on the records of a capture, and fails unless there are want of them.
func read(t *testing.T, b []byte, record func(i int, r *replay.Record), want int) {
	t.Helper()
	n, source := 0, []replay.Source{replay.Memory("test", b)}
	_, err := replay.Run(context.Background(), source, replay.Rules{}, func(r *replay.Record) {
		record(n, r)
		n++
	})
	if err != nil || n != want {
		t.Errorf("%d packets, %v; pcapgo reads %d", n, err, want)
	}
}

// pcapgoLines reads a capture to its end.
func pcapgoLines(name string, b []byte) (lines []line, err error) {
	var from io.Reader = bytes.NewReader(b)
	var next func() ([]byte, gopacket.CaptureInfo, error)
	var link func(gopacket.CaptureInfo) layers.LinkType
	if strings.Contains(name, ".pcapng") {
		r, err := pcapgo.NewNgReader(from, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, err
		}
		next = r.ReadPacketData
		link = func(ci gopacket.CaptureInfo) layers.LinkType { return ci.AncillaryData[0].(layers.LinkType) }
	} else {
		r, err := pcapgo.NewReader(from)
		if err != nil {
			return nil, err
		}
		next = r.ReadPacketData
		link = func(gopacket.CaptureInfo) layers.LinkType { return r.LinkType() }
	}
	for {
		data, ci, err := next()
		if err == io.EOF {
			return lines, nil
		} else if err != nil {
			return nil, err
		}
		lines = append(lines, line{ci.Timestamp.UnixNano(), link(ci), data})
	}
}

// TestResolutions reads pcapgo's output: two interfaces with different link types, resolutions
// and offsets, in two sections.
func TestResolutions(t *testing.T) {
	at := time.Unix(1700000000, 123456789)
	ip := []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}
	frames := [][]byte{ip, append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, ip...)}
	var b bytes.Buffer
	first := pcapgo.NgInterface{LinkType: layers.LinkTypeRaw, TimestampResolution: 9}
	second := pcapgo.NgInterface{LinkType: layers.LinkTypeEthernet, TimestampResolution: 6, SnapLength: 64}
	for range 2 {
		w, err := pcapgo.NewNgWriterInterface(&b, first, pcapgo.NgWriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddInterface(second); err != nil {
			t.Fatal(err)
		}
		for i, data := range frames {
			info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data),
				InterfaceIndex: i}
			if err := w.WritePacket(info, data); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
	}
	read(t, b.Bytes(), func(i int, r *replay.Record) {
		if r.At != at.UnixNano() || !bytes.Equal(r.Raw, ip) {
			t.Errorf("packet %d: %x at %d, want %x at %d", i, r.Raw, r.At, ip, at.UnixNano())
		}
	}, 4)
}
