// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// explained is the part of the answer that the test reads.
type explained struct {
	Source, State string
	Why           []string
	Blocks        []struct{ Source, Config string }
	Protected     []struct{ Prefix, Why, Config string }
	Known         *struct {
		Tool, Pattern string
		Proven        bool
		Offences      int
	}
	Probes []struct {
		Action, Decision, Config, Technique, Data string
		Packet                                    []byte
	}
}

func explain(t *testing.T, d *Daemon, source string) (x explained) {
	t.Helper()
	out, err := d.Cmd("explain", source, "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &x)
	}
	if err != nil {
		t.Errorf("explain %s: %v", source, err)
	}
	return x
}

// says checks the text of an explanation.
func says(t *testing.T, d *Daemon, source string, words ...string) {
	t.Helper()
	out, err := d.Cmd("explain", source)
	if err != nil {
		t.Errorf("explain %s: %v", source, err)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("explain %s does not say %q:\n%s", source, w, out)
		}
	}
	if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
		t.Errorf("explain %s prints %q", source, out[i:])
	}
}

// TestExplain: the answer gives the reason for a block, or for none, probe by probe. The
// packets are a capture that tshark reads, each with its judgement.
func TestExplain(t *testing.T) {
	l := newLab(t)
	if err := l.Target.IP("route add default via 192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	d := start(t, l.Target, Options{Config: blocking +
		"[tcp]\ntrigger = { classic = 0 }\n[ignore]\naddresses = [\"203.0.113.0/24\"]\n" +
		"[[known]]\nname = \"monitoring\"\naddresses = [\"192.0.2.15\"]\npolicy = \"ignore\"\n" +
		"[[known]]\nname = \"census\"\naddresses = [\"192.0.2.16\"]\npolicy = \"block\"\n"})
	scan := []string{"-n", "-Pn", "-sS", "-T4", "--min-rate", "500", "--max-retries", "0", "-S",
		Source4(1).String(), "-e", "eth0", "-p20-1000", l.Target.V4.String(),
		"--exclude-ports", "79,95,109,119,530,540"} // no traps
	if _, err := l.Attacker.Run("nmap", scan...); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		send(t, l.Attacker, tcp(Source6(2), l.Target.V6,
			segment{from: 40000, to: uint16(20 + i), seq: uint32(i), flags: syn}))
	}
	c, err := l.Attacker.Dial("tcp", Source4(3), netip.AddrPortFrom(l.Target.V4, 11), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "user \x1b[31m\x9b\u202e\r\n")
	c.Close()
	send(t, l.Attacker, tcp(Source4(4), l.Target.V4, segment{from: 40000, to: 11, seq: 1, flags: synAck}))
	forge(t, l, Source4(5), l.Target.V4, 1)
	send(t, l.Attacker, tcp(Source4(6), l.Target.V4, segment{from: 40000, to: 22, seq: 1, flags: syn}))
	for _, src := range []netip.Addr{Source4(1), Source4(3), Source4(6)} {
		if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
			t.Fatal(err)
		}
	}

	x := explain(t, d, "192.0.2.11")
	if x.State != "blocked" || len(x.Blocks) != 1 || x.Blocks[0].Source != "192.0.2.11" || x.Known == nil ||
		x.Known.Tool != "nmap" || x.Known.Pattern != "portscan" || x.Known.Proven || x.Known.Offences != 1 {
		t.Errorf("%+v", x)
	}
	if n := len(x.Probes); n != 26 || x.Probes[n-1].Action != "block" ||
		!strings.HasPrefix(x.Probes[0].Decision, "port 1 of the 25") {
		t.Errorf("%d probes: %+v", len(x.Probes), x.Probes)
	}
	for _, p := range x.Probes {
		if !strings.HasSuffix(p.Config, " = 25") || len(p.Packet) != 44 || p.Packet[0] != 0x45 {
			t.Errorf("%+v", p)
		}
	}
	says(t, d, "192.0.2.11", "192.0.2.11 is blocked for another ", "Port scan: 26 different ports",
		"block.unproven_for", "\"picket unblock 192.0.2.11\" ends it now", "looks like nmap",
		"now a port scan", "tcp.trigger.")

	x = explain(t, d, Source6(2).String())
	if x.State != "watched" || x.Source != "2001:db8:0:12::/64" || len(x.Probes) != 3 {
		t.Errorf("%+v", x)
	}
	says(t, d, Source6(2).String(), "is not blocked", "3 different ports",
		"23 more ports within 10m (tcp.trigger.advanced = 25)", "detect.sweep = 8",
		"2001:db8:0:12::/64 as one source")

	says(t, d, "192.0.2.13", "is blocked", "connection to the trap port tcp/11 was completed",
		`it sent "user \x1b[31m\x9b`, "the address is proven (block.for)")
	says(t, d, "192.0.2.14", "is not blocked", "somebody forges this host's address")
	says(t, d, "192.0.2.1", "192.0.2.1 is protected and never blocked: gateway", "ignore.gateways = true")
	says(t, d, "192.0.2.15", "is not blocked", "your list monitoring: its probes are counted and not judged",
		"not judged: it is in the list monitoring")
	says(t, d, "192.0.2.16", "is blocked", "in the list census, whose first probe is reacted to",
		`known.census.policy = "block"`)
	says(t, d, "203.0.113.9", "it is in 203.0.113.0/24, ignored by the configuration", "ignore.addresses")
	says(t, d, "198.51.100.9", "no probe of it is known")
	says(t, d, "198.51.100.0/24", "198.51.100.0/24 is not blocked as a whole",
		"None of the 256 sources that were seen last", "ask for an address")
	says(t, d, "192.0.2.8/29", "is not blocked as a whole", "Blocked inside it: 192.0.2.11, 192.0.2.13",
		"192.0.2.13 (2 probes)")
	for _, source := range []string{"192.0.2.15", "192.0.2.16"} {
		if n := strings.Count(strings.Join(explain(t, d, source).Why, "\n"), "policy"); n != 1 &&
			source == "192.0.2.15" || n > 2 {
			t.Errorf("%s: its list is told %d times", source, n)
		}
	}
	if _, err := d.Cmd("explain", "192.0.2.11", "--pcap", ""); err == nil ||
		!strings.Contains(err.Error(), "--pcap is empty") {
		t.Errorf("explain --pcap '': %v", err)
	}
	if _, err := d.Cmd("block", "192.0.2.32/29", "--for", "1h", "--reason",
		"abuse report \x1b[31m4711"); err != nil {
		t.Error(err)
	}
	says(t, d, "192.0.2.33", "is blocked as part of 192.0.2.32/29", "by hand", "4711")

	file := filepath.Join(t.TempDir(), "scan.pcapng")
	if _, err := d.Cmd("explain", "192.0.2.11", "--pcap", file); err != nil {
		t.Fatal(err)
	}
	out, err := l.Target.Run("tshark", "-r", file, "-T", "fields", "-e", "ip.src", "-e", "frame.len", "-e",
		"frame.comment")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(lines) != 26 {
		t.Fatalf("%v: %d lines\n%s", err, len(lines), out)
	}
	for i, line := range lines {
		want := fmt.Sprintf("port %d of the 25 that are let pass", i+1)
		if i == 25 {
			want = "blocked for 5m: 26 different ports inside the window, 25 let pass (tcp.trigger."
		}
		if !strings.HasPrefix(line, "192.0.2.11\t44\tsyn to tcp/") || !strings.Contains(line, want) {
			t.Errorf("packet %d: %q", i+1, line)
		}
	}

	// An ended block is in the answer, with the reason for its end.
	if _, err := d.Cmd("unblock", "192.0.2.11"); err != nil {
		t.Fatal(err)
	}
	says(t, d, "192.0.2.11", "is not blocked", "for 5m, and that was ended: by hand",
		"the next block is its 2nd")
}
