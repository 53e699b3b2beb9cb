// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/probe"
)

// Lines as the kernel, UFW, rsyslog, journalctl and dmesg write them.
const (
	lineSYN44 = "Jan  2 03:04:05 host kernel: [12345.678901] [UFW BLOCK] IN=eth0 OUT= " +
		"MAC=52:54:00:00:00:01:52:54:00:00:00:02:08:00 SRC=192.0.2.9 DST=192.0.2.1 LEN=44 TOS=0x00 " +
		"PREC=0x00 TTL=241 ID=54321 PROTO=TCP SPT=40000 DPT=23 WINDOW=1024 RES=0x00 SYN URGP=0 \n"
	lineSYN60 = "2026-01-02T03:04:05.250000+00:00 host kernel: IN=eth0 OUT= MAC= SRC=192.0.2.9 " +
		"DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID=7 DF PROTO=TCP SPT=40001 DPT=8080 SEQ=77 ACK=0 " +
		"WINDOW=64240 RES=0x00 SYN URGP=0 OPT (020405B40402080A00000001000000000103030A)\n"
	lineUDP6 = "2026-01-02T03:04:06+0000 host kernel: drop IN=eth0 OUT= " +
		"SRC=2001:0db8:0000:0000:0000:0000:0000:0009 DST=2001:0db8:0000:0000:0000:0000:0000:0001 LEN=48 " +
		"TC=0 HOPLIMIT=60 FLOWLBL=0 PROTO=UDP SPT=53 DPT=161 LEN=8 \n"
	lineICMP = "[Fri Jan  2 03:04:07 2026] IN=eth0 OUT= SRC=192.0.2.9 DST=192.0.2.1 LEN=56 TOS=0x00 " +
		"PREC=0x00 TTL=60 ID=9 PROTO=ICMP TYPE=3 CODE=1 [SRC=192.0.2.1 DST=198.51.100.1 LEN=28 TOS=0x00 " +
		"PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] \n"
	lineGRE = "Jan  2 03:04:08 host kernel: IN=eth0 OUT= SRC=192.0.2.9 DST=192.0.2.1 LEN=40 TOS=0x00 " +
		"PREC=0x00 TTL=60 ID=9 PROTO=47 \n"
	lineOurs = "Jan  2 03:04:09 host kernel: IN= OUT=eth0 SRC=192.0.2.1 DST=192.0.2.9 LEN=60 TOS=0x00 " +
		"PREC=0x00 TTL=64 ID=9 DF PROTO=TCP SPT=40000 DPT=25 WINDOW=64240 RES=0x00 SYN URGP=0 \n"
	lineBroadcast = "Jan  2 03:04:10 host kernel: IN=eth0 OUT= " +
		"MAC=ff:ff:ff:ff:ff:ff:52:54:00:00:00:02:08:00 SRC=192.0.2.9 DST=192.0.2.255 LEN=78 TOS=0x00 " +
		"PREC=0x00 TTL=64 ID=9 PROTO=UDP SPT=137 DPT=137 LEN=58 \n"
	lineStrange = "Jan  2 03:04:11 host kernel: IN=eth0 OUT= SRC=somebody DST=192.0.2.1 PROTO=TCP " +
		"SPT=999999 DPT=-1\n"
	lineOther = "Jan  2 03:04:11 host sshd[1]: Failed password for root from 192.0.2.9\n"
)

var modified = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// replayLog runs a log through Run and returns a line for each packet.
func replayLog(t testing.TB, text string) []string {
	t.Helper()
	var got []string
	_, err := Run(context.Background(), []Source{Log(Memory("log", []byte(text)), modified)}, Rules{},
		func(r *Record) {
			if r.Packet == nil {
				t.Fatalf("%s: no packet", r.Verdict)
			}
			p := &r.Probe
			got = append(got, fmt.Sprintf("%s %s %s > %s %s window %d mss %d ttl %d id %d length %d",
				time.Unix(0, r.At).UTC().Format("2006-01-02 15:04:05.000"),
				r.Verdict, netip.AddrPortFrom(p.Source, p.SourcePort),
				probe.PortName(probe.ProtocolName(p.Protocol), p.Port), p.Technique, p.Window, p.MSS, p.TTL,
				p.ID, p.Length))
		})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLogLinesAreProbes(t *testing.T) {
	got := replayLog(t, lineOther+lineSYN44+lineSYN60+lineUDP6+lineICMP+lineGRE+lineOurs+lineBroadcast+
		lineStrange)
	want := []string{
		"2026-01-02 03:04:05.000 probe 192.0.2.9:40000 > tcp/23 syn window 1024 mss 1460 ttl 241 id 54321 " +
			"length 44",
		"2026-01-02 03:04:05.250 probe 192.0.2.9:40001 > tcp/8080 syn window 64240 mss 1460 ttl 52 id 7 " +
			"length 60",
		"2026-01-02 03:04:06.000 probe [2001:db8::9]:53 > udp/161 udp window 0 mss 0 ttl 60 id 0 length 48",
		"2026-01-02 03:04:07.000 probe 192.0.2.9:0 > icmp/769 icmp-error window 0 mss 0 ttl 60 id 9 length " +
			"56",
		"2026-01-02 03:04:08.000 probe 192.0.2.9:0 > ip/47 ip-proto window 0 mss 0 ttl 60 id 9 length 40",
		"2026-01-02 03:04:09.000 own invalid AddrPort > ip/0 unknown window 0 mss 0 ttl 0 id 0 length 0",
		"2026-01-02 03:04:10.000 broadcast invalid AddrPort > ip/0 unknown window 0 mss 0 ttl 0 id 0 " +
			"length 0",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A log without years that goes over New Year's Eve ends in the year in which
// it was written last.
func TestLogYears(t *testing.T) {
	at := func(stamp string) string { return strings.Replace(lineGRE, "Jan  2 03:04:08", stamp, 1) }
	got := replayLog(t, at("Nov 30 10:00:00")+at("Dec 31 23:59:59")+at("Jan  1 00:00:01")+
		at("Feb 28 10:00:00"))
	for i, want := range []string{"2025-11-30", "2025-12-31", "2026-01-01", "2026-02-28"} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("%s, want %s", got[i], want)
		}
	}
}

func TestLogGzip(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, lineSYN44)
	z.Close()
	if got := replayLog(t, b.String()); len(got) != 1 {
		t.Errorf("%d packets", len(got))
	}
}

func TestLogFaults(t *testing.T) {
	for text, want := range map[string]error{
		"":        ErrNoLog,
		lineOther: ErrNoLog,
		strings.TrimPrefix(lineGRE, "Jan  2 03:04:08"):          ErrNoTime,
		strings.Replace(lineGRE, "Jan  2", "[  12.345] Jan", 1): ErrNoTime,
	} {
		_, err := Run(context.Background(), []Source{Log(Memory("log", []byte(text)), modified)}, Rules{},
			func(*Record) {})
		if at := new(Error); !errors.As(err, &at) || !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// FuzzLog: whatever a log says, it is a capture that can be read to its end.
func FuzzLog(f *testing.F) {
	for _, s := range []string{lineSYN44, lineSYN60, lineUDP6, lineICMP, lineGRE, lineOurs, lineBroadcast,
		lineStrange, lineOther, lineSYN44 + lineUDP6} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Run(context.Background(), []Source{Log(Memory("log", []byte(text)), modified)}, Rules{},
			func(*Record) {})
		for _, bad := range []error{ErrFormat, ErrTruncated, ErrCorrupt, ErrLinkType} {
			if errors.Is(err, bad) && !strings.HasPrefix(text, "\x1f\x8b") {
				t.Fatal(err)
			}
		}
	})
}
