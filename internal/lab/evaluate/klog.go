// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/florianl/go-nflog/v2"
	"github.com/mdlayher/netlink"
)

// psad and fail2ban read the output of the kernel's LOG target. That is one log for the whole
// machine, and a namespace may write to it only if all may (net.netfilter.nf_log_all_netns). So
// the packets come through an NFLOG group of the namespace, and this file writes them as the
// kernel does (net/netfilter/nf_log_syslog.c).

// kernelLog writes the packets of an NFLOG group of the site's server to a file until the site
// is closed.
func (s *site) kernelLog(group uint16, name string) error {
	out, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var nf *nflog.Nflog
	err = s.Target.Do(func() (err error) {
		if nf, err = nflog.Open(&nflog.Config{Group: group, Copymode: nflog.CopyPacket,
			Bufsize: 128}); err != nil {
			return err
		}
		if err := nf.SetOption(netlink.NoENOBUFS, true); err != nil {
			return err
		}
		if err := nf.Con.SetReadBuffer(16 << 20); err != nil {
			return err
		}
		return nf.RegisterWithErrorFunc(ctx, func(a nflog.Attribute) int {
			if a.Payload != nil {
				prefix := ""
				if a.Prefix != nil {
					prefix = *a.Prefix
				}
				out.WriteString(logLine(time.Now(), strings.TrimRight(prefix, "\x00"), *a.Payload))
			}
			return 0
		}, func(error) int { return 0 })
	})
	if err != nil {
		cancel()
		out.Close()
		return fmt.Errorf("read NFLOG group %d: %w", group, err)
	}
	s.closeLater(closing(func() error { cancel(); return nf.Close() }))
	s.closeLater(out)
	return nil
}

// closing is an io.Closer made of a function.
type closing func() error

func (c closing) Close() error { return c() }

// logLine returns a packet as the kernel logs it to syslog.
func logLine(at time.Time, prefix string, p []byte) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s server kernel: [%d.%06d] %sIN=eth0 OUT= "+
		"MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 ",
		at.Format(time.Stamp), at.Unix()%1e6, at.Nanosecond()/1000, prefix)
	logIP(&b, p)
	b.WriteByte('\n')
	return b.String()
}

func logIP(b *bytes.Buffer, p []byte) {
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		src, dst := ends(p)
		word := binary.BigEndian.Uint16(p[6:])
		fmt.Fprintf(b, "SRC=%s DST=%s LEN=%d TOS=0x%02X PREC=0x%02X TTL=%d ID=%d ", src, dst,
			binary.BigEndian.Uint16(p[2:]), p[1]&0x1e, p[1]&0xe0, p[8], binary.BigEndian.Uint16(p[4:]))
		if word&0x4000 != 0 {
			b.WriteString("DF ")
		}
		if rest := int(p[0]&15) * 4; rest <= len(p) && word&0x1fff == 0 {
			logTransport(b, p[9], p[rest:])
		}
	case len(p) >= 40 && p[0]>>4 == 6:
		src, dst := ends(p)
		first := binary.BigEndian.Uint32(p)
		fmt.Fprintf(b, "SRC=%s DST=%s LEN=%d TC=%d HOPLIMIT=%d FLOWLBL=%d ", long(src), long(dst),
			int(binary.BigEndian.Uint16(p[4:]))+40, first>>20&0xff, p[7], first&0xfffff)
		logTransport(b, p[6], p[40:])
	}
}

// long spells an IPv6 address as the kernel does.
func long(a netip.Addr) string { return a.StringExpanded() }

func logTransport(b *bytes.Buffer, protocol byte, p []byte) {
	port := func(at int) uint16 { return binary.BigEndian.Uint16(p[at:]) }
	switch {
	case protocol == 6 && len(p) >= 20:
		fmt.Fprintf(b, "PROTO=TCP SPT=%d DPT=%d WINDOW=%d RES=0x%02x ", port(0), port(2), port(14),
			p[12]&0x0f<<2|p[13]>>6)
		for i, name := range []string{"CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"} {
			if p[13]&(0x80>>i) != 0 {
				b.WriteString(name + " ")
			}
		}
		fmt.Fprintf(b, "URGP=%d ", port(18))
		if n := int(p[12]>>4) * 4; n > 20 && n <= len(p) { // --log-tcp-options
			fmt.Fprintf(b, "OPT (%X) ", p[20:n])
		}
	case protocol == 17 && len(p) >= 8:
		fmt.Fprintf(b, "PROTO=UDP SPT=%d DPT=%d LEN=%d ", port(0), port(2), port(4))
	case protocol == 1 && len(p) >= 8:
		fmt.Fprintf(b, "PROTO=ICMP TYPE=%d CODE=%d ", p[0], p[1])
		switch p[0] {
		case 0, 8, 13, 14, 15, 16, 17, 18:
			fmt.Fprintf(b, "ID=%d SEQ=%d ", port(4), port(6))
		case 3, 11, 12:
			b.WriteString("[")
			logIP(b, p[8:])
			b.WriteString("] ")
		}
	case protocol == 58 && len(p) >= 8:
		fmt.Fprintf(b, "PROTO=ICMPv6 TYPE=%d CODE=%d ", p[0], p[1])
		if p[0] >= 1 && p[0] <= 4 {
			b.WriteString("[")
			logIP(b, p[8:])
			b.WriteString("] ")
		}
	default:
		fmt.Fprintf(b, "PROTO=%d ", protocol)
	}
}
