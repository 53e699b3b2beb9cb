// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// ethernet is the length of the header in front of each captured packet.
const ethernet = 14

// A captured packet is one frame of a capture.
type captured struct {
	at     time.Time
	length int // on the wire
	frame  []byte
}

// readCapture returns the IP packets of a capture.
func readCapture(name string) (all []captured, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for {
		b, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if ip := ipOf(b); ip != nil {
			all = append(all, captured{info.Timestamp, info.Length, b})
		}
	}
}

// ipOf returns the IP packet in a frame, nil if there is none or no whole header.
func ipOf(frame []byte) []byte {
	if len(frame) < ethernet {
		return nil
	}
	kind, ip := binary.BigEndian.Uint16(frame[12:]), frame[ethernet:]
	if (kind == 0x0800 || kind == 0x86dd) && isIP(ip) {
		return ip
	}
	return nil
}

// isIP reports whether b begins with a whole IP header.
func isIP(b []byte) bool {
	return len(b) >= 20 && b[0]>>4 == 4 || len(b) >= 40 && b[0]>>4 == 6
}

// ends returns the addresses of an IP packet.
func ends(ip []byte) (src, dst netip.Addr) {
	if ip[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	}
	return netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
}

// arrivalsOf returns the times of the packets of each source, in order, handshakes and answers
// included.
func arrivalsOf(name string) (map[netip.Addr][]time.Time, error) {
	all, err := readCapture(name)
	if err != nil {
		return nil, err
	}
	arrivals := map[netip.Addr][]time.Time{}
	for _, c := range all {
		src, _ := ends(ipOf(c.frame))
		if neighbour(ipOf(c.frame)) {
			continue
		}
		arrivals[src] = append(arrivals[src], c.at)
	}
	return arrivals, nil
}

// neighbour reports whether a packet is neighbour discovery (RFC 4861), which is in no scan.
func neighbour(ip []byte) bool {
	return ip[0]>>4 == 6 && ip[6] == 58 && len(ip) > 40 && ip[40] >= 133 && ip[40] <= 137
}

// A writer writes a capture.
type writer struct {
	file *os.File
	buf  *bufio.Writer
	pcap *pcapgo.Writer
	n    int
}

func createCapture(name string) (*writer, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	w := &writer{file: f, buf: bufio.NewWriterSize(f, 1<<20)}
	w.pcap = pcapgo.NewWriter(w.buf)
	if err := w.pcap.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

func (w *writer) write(at time.Time, length int, frame []byte) error {
	w.n++
	return w.pcap.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(frame),
		Length: max(length, len(frame))}, frame)
}

func (w *writer) close() error { return errors.Join(w.buf.Flush(), w.file.Close()) }
