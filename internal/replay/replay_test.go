// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"picket/internal/probe"
)

// host is the scanned host of the captures.
func host() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::1/128")}
}

// verdicts replays sources and returns a line for each packet: its verdict, or
// mode, technique and port of a probe.
func verdicts(t testing.TB, rules Rules, sources ...Source) ([]string, Summary, error) {
	t.Helper()
	var lines []string
	sum, err := Run(context.Background(), sources, rules, func(r *Record) {
		line := r.Verdict.String()
		if r.Verdict == Probe {
			line = fmt.Sprintf("%s %s %d", r.Probe.Mode, r.Probe.Technique, r.Probe.Port)
		}
		lines = append(lines, line)
	})
	return lines, sum, err
}

// tally counts lines, so that the order of nmap's ports, which is random, does not matter.
func tally(lines []string) string {
	count := map[string]int{}
	for _, l := range lines {
		count[l]++
	}
	var all []string
	for l, n := range count {
		all = append(all, fmt.Sprintf("%d %s", n, l))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// one lists "1 advanced <technique> <port>" for ports.
func one(technique string, ports ...int) string {
	var all []string
	for _, p := range ports {
		all = append(all, fmt.Sprintf("1 advanced %s %d", technique, p))
	}
	return strings.Join(all, "; ")
}

// TestCaptures replays real scans. On the host tcp/22 and udp/53 were open.
func TestCaptures(t *testing.T) {
	scan := func(technique string) string { return one(technique, 20, 21, 22, 23, 24, 25) }
	closed := func(technique string) string { return one(technique, 20, 21, 23, 24, 25) }
	want := map[string]string{
		"syn":     closed("syn") + "; 1 established; 1 open; 6 own",
		"connect": closed("syn") + "; 1 open; 2 established; 6 own",
		// an open port is silent, so nothing in the capture shows that it is
		"fin":        scan("fin") + "; 5 own",
		"null":       scan("null") + "; 5 own",
		"xmas":       scan("xmas") + "; 5 own",
		"ack":        scan("ack") + "; 6 own",
		"udp":        one("udp", 51, 52, 54) + "; 2 open; 2 related; 5 own",
		"sctp-init":  one("sctp-init", 20, 21, 22) + "; 3 own",
		"sctp-echo":  one("sctp-cookie-echo", 20, 21, 22) + "; 3 own",
		"ping":       "1 echo; 1 established; 2 own",
		"traceroute": one("udp", 33434, 33435) + "; 2 own",
		"dig":        "1 open; 1 own",
	}
	for _, version := range []string{"4", "6"} {
		for name, w := range want {
			check(t, name+version+".pcap", w)
		}
	}
	check(t, "frag4.pcap", closed("syn")+"; 1 established; 1 open; 12 fragment; 6 own")
	check(t, "frag6.pcap", "1 advanced udp 54; 1 own; 2 fragment")
	check(t, "maimon4.pcap", scan("maimon")+"; 6 own")
	check(t, "decoy4.pcap", "1 own; 2 advanced syn 21")
	check(t, "hping4.pcap", "3 advanced syn 21; 3 own")
	check(t, "timestamp4.pcap", one("icmp", 13<<8, 17<<8)+"; 1 own")
	check(t, "own4.pcap", "6 answer; 6 own")
	check(t, "ipproto4.pcap", one("ip-proto", 2, 4, 47, 50, 89)+"; 1 advanced sctp-init 80; 5 own")
	check(t, "ipproto6.pcap", one("ip-proto", 2, 4, 47, 50, 89)+"; 1 advanced sctp-init 80; 6 own")
	three := one("syn", 21, 23) + "; 1 established; 1 open; 3 own"
	check(t, "sll.pcap", three)
	check(t, "sll2.pcap", three)
	check(t, "nano.pcap", three)
	check(t, "nflog.pcap", "1 advanced syn 23; 1 advanced syn 25; 1 stealth syn 21")
	check(t, "raw.pcap", want["syn"])
	check(t, "syn6.pcapng", want["syn"])
	check(t, "syn6.pcapng.gz", want["syn"])
}

func check(t *testing.T, file, want string) {
	t.Helper()
	got, sum, err := verdicts(t, Rules{Local: host()}, File(filepath.Join("testdata", file)))
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
	// Both lists are sorted alike, whatever order the table has.
	w := strings.Split(want, "; ")
	slices.Sort(w)
	if d := cmp.Diff(w, strings.Split(tally(got), "; ")); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
	var total uint64
	for _, n := range sum.Verdicts {
		total += n
	}
	if total != sum.Packets || sum.Packets != uint64(len(got)) || sum.Files != 1 || !sum.Learned {
		t.Errorf("%s: summary %+v of %d packets", file, sum, len(got))
	}
}

// TestCapturesWithoutLocal finds the same probes without the watched addresses: the
// host's own packets are answers then.
func TestCapturesWithoutLocal(t *testing.T) {
	for name, b := range captures(t) {
		if name == "own4.pcap" {
			continue // there the host speaks first
		}
		local, _, _ := verdicts(t, Rules{Local: host()}, Memory(name, b))
		got, _, _ := verdicts(t, Rules{}, Memory(name, b))
		for i, l := range local {
			if g := got[i]; g != l && (l != "own" || g != "answer" && g != "related") {
				t.Errorf("%s: packet %d is %q with local prefixes and %q without", name, i+1, l, g)
			}
		}
	}
}

// TestRecord holds all of one record.
func TestRecord(t *testing.T) {
	var got Record
	mode := func(protocol uint8, port uint16) probe.Mode {
		if protocol == 6 && port == 21 {
			return probe.Stealth
		}
		return 0
	}
	sum, err := Run(context.Background(), []Source{testdata("nflog.pcap"), testdata("sll2.pcap")},
		Rules{Mode: mode}, func(r *Record) {
			if r.Verdict == Probe && r.File == filepath.Join("testdata", "sll2.pcap") {
				got = *r
				got.Raw = bytes.Clone(r.Raw)
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	if got.Probe.Port != 21 || got.Probe.Mode != probe.Stealth || got.Probe.Interface == 0 ||
		got.Probe.At != got.At ||
		got.Number == 0 || len(got.Raw) != 44 || got.Packet == nil || got.Probe.MSS != 1460 {
		t.Errorf("got %+v", got)
	}
	if sum.Files != 2 || sum.Verdicts[Unmonitored] != 2 || sum.Open != 1 || sum.First == 0 ||
		sum.Last < sum.First {
		t.Errorf("summary %+v", sum)
	}
}

func testdata(name string) Source { return File(filepath.Join("testdata", name)) }

// TestOrder replays files in the order of their times, whatever order they are given in.
func TestOrder(t *testing.T) {
	var files []string
	sources := []Source{
		Memory("late", pcap(linkRaw, sent{9000, tcp("192.0.2.2", "192.0.2.1", 1, 23, 2)})),
		Memory("empty", pcap(linkRaw)),
		Memory("early", pcap(linkRaw, sent{1000, tcp("192.0.2.1", "192.0.2.2", 23, 1, 2)})),
	}
	got := ""
	if _, err := Run(context.Background(), sources, Rules{}, func(r *Record) {
		files = append(files, r.File)
		got += r.Verdict.String() + " "
	}); err != nil {
		t.Fatal(err)
	}
	// The later SYN goes the other way on the same flow: it answers the earlier one.
	if d := cmp.Diff([]string{"early", "late"}, files); d != "" || got != "probe answer " {
		t.Errorf("%s (-want +got):\n%s", got, d)
	}
}

// TestMerge replays captures that overlap as if they were one: the odd packets
// are in one file and the even ones in another, and a third begins amid them.
func TestMerge(t *testing.T) {
	var odd, even, third, all []sent
	for i := range int64(400) {
		p := sent{i, tcp(them, us, 5, uint16(i+1), syn)}
		switch {
		case i > 200 && i%3 == 0:
			third = append(third, p)
		case i%2 == 0:
			even = append(even, p)
		default:
			odd = append(odd, p)
		}
		all = append(all, p)
	}
	want, _, err := verdicts(t, Rules{}, Memory("all", pcap(linkRaw, all...)))
	if err != nil {
		t.Fatal(err)
	}
	last, numbers := int64(0), map[string]uint64{}
	var got []string
	sum, err := Run(context.Background(), []Source{Memory("third", pcap(linkRaw, third...)),
		Memory("even", pcap(linkRaw, even...)), Memory("odd", pcap(linkRaw, odd...))}, Rules{},
		func(r *Record) {
			got = append(got, fmt.Sprintf("%s %s %d", r.Probe.Mode, r.Probe.Technique, r.Probe.Port))
			if numbers[r.File]++; r.At < last || r.Number != numbers[r.File] {
				t.Errorf("packet %d of %s at %d after %d", r.Number, r.File, r.At, last)
			}
			last = r.At
		})
	if d := cmp.Diff(want, got); d != "" || err != nil || sum.Files != 3 || len(numbers) != 3 {
		t.Errorf("%v: %+v (-one file +three):\n%s", err, sum, d)
	}
}

// TestMergeBound: at most 64 overlapping captures are read at once, and more are
// reported. Captures that follow each other may be any number.
func TestMergeBound(t *testing.T) {
	var overlap, follow []Source
	open, most := 0, 0
	counted := func(name string, b []byte) Source {
		return Source{Name: name, Open: func() (io.ReadCloser, error) {
			open++
			most = max(most, open)
			return closing{bytes.NewReader(b), func() { open-- }}, nil
		}}
	}
	for i := range int64(maxOpen + 3) {
		name := fmt.Sprint(i)
		overlap = append(overlap, counted(name, pcap(linkRaw, sent{i, tcp(them, us, 5, 23, syn)},
			sent{1000 + i, tcp(them, us, 5, 23, syn)})))
		follow = append(follow, counted(name, pcap(linkRaw, sent{2 * i, tcp(them, us, 5, 23, syn)},
			sent{2*i + 1, tcp(them, us, 5, 23, syn)})))
	}
	_, sum, err := verdicts(t, Rules{}, follow...)
	if err != nil || sum.Packets != 2*(maxOpen+3) || most > 2 || open != 0 {
		t.Errorf("%d packets, %d open at once, %d at the end: %v", sum.Packets, most, open, err)
	}
	_, sum, err = verdicts(t, Rules{}, overlap...)
	if err == nil || sum.Packets != 2*maxOpen || most > maxOpen || open != 0 ||
		strings.Count(err.Error(), "mergecap") != 3 {
		t.Errorf("%d packets, %d open at once, %d at the end: %v", sum.Packets, most, open, err)
	}
}

type closing struct {
	io.Reader
	closed func()
}

func (c closing) Close() error { c.closed(); return nil }

// TestFaults: what is readable is replayed, and every fault is told.
func TestFaults(t *testing.T) {
	b := captures(t)["syn4.pcap"]
	cut := b[:len(b)-1]
	got, sum, err := verdicts(t, Rules{Local: host()}, File("testdata/none.pcap"), Memory("cut", cut),
		Memory("text", []byte("hello")), Memory("whole", captures(t)["dig6.pcap"]))
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrTruncated) || !errors.Is(err, ErrFormat) {
		t.Errorf("error %v", err)
	}
	var e *Error
	if !errors.As(err, &e) || e.File != "cut" || !strings.Contains(err.Error(),
		`read "cut": packet 13 at byte `) {
		t.Errorf("error %v", err)
	}
	if len(got) != 12+2 || sum.Packets != 14 {
		t.Errorf("read %d packets: %v", len(got), got)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n := 0
	_, err := Run(ctx, []Source{testdata("syn4.pcap")}, Rules{}, func(*Record) { n++ })
	if !errors.Is(err, context.Canceled) || n != 0 {
		t.Errorf("%v after %d packets", err, n)
	}
}

// TestDeterminism: the same capture gives the same verdicts every time, with
// more flows than the table has room for.
func TestDeterminism(t *testing.T) {
	b := flood(maxFlows * 3 / 2)
	first, _, _ := verdicts(t, Rules{}, Memory("flood", b))
	again, _, _ := verdicts(t, Rules{}, Memory("flood", b))
	if !slices.Equal(first, again) {
		t.Error("two replays differ")
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := range Verdicts {
		if s := v.String(); s == "unknown" || s == "" || seen[s] {
			t.Errorf("verdict %d is called %q", v, s)
		}
		seen[v.String()] = true
	}
}
