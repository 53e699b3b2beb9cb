// SPDX-License-Identifier: MIT

package lab

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// PortSentry 2's defects, and picket without them: docs/portsentry.md lists them, each with
// its test.

// probe returns the i-th SYN of a source to a hot port, no copy of another.
func probe(src, dst netip.Addr, port uint16, i int) packet {
	return tcp(src, dst, segment{from: uint16(40000 + i), to: port, seq: uint32(i), flags: syn})
}

// TestFailureIsNoSuccess (B7.1): PortSentry calls a failed command a block. Here a block is in
// the kernel, and any other failure is reported and does not hinder it.
func TestFailureIsNoSuccess(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "hosts.deny"), hostsDeny, 0o444)
	if _, err := l.Target.Run("ip", "route", "add", "203.0.113.0/24", "dev", "eth0", "table",
		"7112"); err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("/usr/bin/tee", "/nonexistent/tee", `"-a", "`+dir+`/began"`,
		`"x"`).Replace(beside(dir))
	config = strings.ReplaceAll(config, dir+"/history", dir+"/nowhere/history")
	d := start(t, l.Target, Options{Config: longConfig() + config})
	witness(t, l, d, Source4(1), l.Target.V4)
	for _, says := range [][]string{
		{"command for block of 192.0.2.11", "/nonexistent/tee", "no such file"},
		{"hosts.deny", "read-only (mode 0444)"},
		{"routes", "203.0.113.0", "not picket's"},
		{"history", "nowhere/history", "no such file"},
	} {
		if _, err := d.WaitEvent(3*time.Second, says...); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(read(t, dir, "blocked"), "192.0.2.11") {
		t.Error("the block itself is not told of")
	}
	// A block that the kernel refuses is not reported as one.
	if _, err := d.Cmd("block", "198.51.100.0/24"); err != nil {
		t.Fatal(err)
	}
	if out, err := d.Cmd("block", "198.51.100.0/25"); err == nil || strings.Contains(out, "blocked") {
		t.Errorf("the kernel refuses an overlap, and picket says %q, %v", out, err)
	}
	if _, err := d.Cmd("unblock", "198.51.100.0/25"); err == nil ||
		!strings.Contains(err.Error(), "is blocked as part of 198.51.100.0/24") {
		t.Errorf("to unblock a part of a blocked network says %v", err)
	}
	if list, err := d.Blocks(); err != nil || len(list) != 2 {
		t.Errorf("blocks %v, %v", list, err)
	}
	// After the repair it is used again, without a restart.
	if err := os.Mkdir(filepath.Join(dir, "nowhere"), 0o755); err != nil {
		t.Fatal(err)
	}
	witness(t, l, d, Source4(2), l.Target.V4)
	eventually(t, 3*time.Second, "history",
		func() bool { return strings.Contains(read(t, dir, "nowhere", "history"), "192.0.2.12") })
}

// TestLostBlockIsRenewed (B7.2): PortSentry remembers a block that the firewall has lost, and
// never blocks again. Here the next packets show the loss.
func TestLostBlockIsRenewed(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: longConfig()})
	for _, f := range []struct {
		set      string
		src, dst netip.Addr
	}{{"blocked4", Source4(1), l.Target.V4}, {"blocked6", Source6(1), l.Target.V6}} {
		witness(t, l, d, f.src, f.dst)
		if _, err := l.Target.Run("nft", "flush", "set", "inet", "picket", f.set); err != nil {
			t.Fatal(err)
		}
		i := 0
		eventually(t, 10*time.Second, f.set+" has it again", func() bool {
			i++
			send(t, l.Attacker, probe(f.src, f.dst, 11, i))
			out, err := l.Target.Run("nft", "list", "set", "inet", "picket", f.set)
			return err == nil && strings.Contains(out, f.src.String())
		})
	}
}

// TestHistoryOutlivesRestarts (B7.3): PortSentry empties its history at each start.
func TestHistoryOutlivesRestarts(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	config := longConfig() + beside(dir)
	for i := 1; i <= 3; i++ {
		d := begin(t, l.Target, Options{Config: config})
		witness(t, l, d, Source4(i), l.Target.V4)
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(read(t, dir, "history"), "\n"); got != i {
			t.Errorf("%d lines of history after %d runs", got, i)
		}
		// The file has the blocks of this run only.
		if got := strings.Count(read(t, dir, "blocked"), "\n"); got != 1 {
			t.Errorf("%d lines of blocks in run %d", got, i)
		}
	}
	// logrotate renames the file and reloads.
	d := start(t, l.Target, Options{Config: config})
	if err := os.Rename(filepath.Join(dir, "history"), filepath.Join(dir, "history.1")); err != nil {
		t.Fatal(err)
	}
	if err := d.Reload(config); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(5*time.Second, "read again"); err != nil {
		t.Fatal(err)
	}
	witness(t, l, d, Source4(4), l.Target.V4)
	eventually(t, 3*time.Second, "a new file",
		func() bool { return strings.Contains(read(t, dir, "history"), "192.0.2.14") })
	if strings.Contains(read(t, dir, "history.1"), "192.0.2.14") {
		t.Error("a line went into the file that was moved away")
	}
}

// TestNames (B7.5): PortSentry's RESOLVE_HOST never asks. Here a name is found, and an invalid
// name is not passed on.
func TestNames(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	serveNames(t, l.Target, map[string]string{
		"11.2.0.192.in-addr.arpa.": "scan.example.org.",
		"12.2.0.192.in-addr.arpa.": "$(reboot);`id`.example.org.",
		"13.2.0.192.in-addr.arpa.": "a b\\n Host: 198.51.100.1.",
		"14.2.0.192.in-addr.arpa.": "198.51.100.1.",
	})
	d := start(t, l.Target, Options{Config: longConfig() + beside(dir) + "[resolve]\nenable = true\n",
		Resolvers: []netip.Addr{addr("127.0.0.1")}})
	for i := 1; i <= 4; i++ {
		witness(t, l, d, Source4(i), l.Target.V4)
	}
	want := []string{"scan.example.org/192.0.2.11", "192.0.2.12/192.0.2.12", "192.0.2.13/192.0.2.13",
		"192.0.2.14/192.0.2.14"}
	eventually(t, 5*time.Second, "four lines",
		func() bool { return strings.Count(read(t, dir, "history"), "\n") == 4 })
	for _, w := range want {
		if !strings.Contains(read(t, dir, "history"), " Host: "+w+" Port: ") {
			t.Errorf("no %q in\n%s", w, read(t, dir, "history"))
		}
	}
	if _, err := d.WaitEvent(3*time.Second, "192.0.2.11", "scan.example.org"); err != nil {
		t.Error(err)
	}
	for _, line := range d.Events() {
		if strings.Contains(line, "reboot") ||
			strings.Contains(line, "calls itself") && !strings.Contains(line, "scan.example.org") {
			t.Errorf("a name that is none: %s", line)
		}
	}
}

// serveNames answers PTR queries on the host's loopback.
func serveNames(t *testing.T, h *Host, names map[string]string) {
	c := listenUDP(t, h, netip.MustParseAddrPort("127.0.0.1:53"))
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var p dnsmessage.Parser
			head, err := p.Start(buf[:n])
			q, err2 := p.Question()
			if err != nil || err2 != nil {
				continue
			}
			m := dnsmessage.Message{Header: dnsmessage.Header{ID: head.ID, Response: true,
				RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
			if name, err := dnsmessage.NewName(names[q.Name.String()]); err == nil && name.Length > 0 {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
					Body:   &dnsmessage.PTRResource{PTR: name},
				}}
			}
			if b, err := m.Pack(); err == nil {
				c.WriteToUDPAddrPort(b, from)
			}
		}
	}()
}

// TestIgnoreFile (B7.6): PortSentry misreads some ignore files. Here a missing or bad list gets
// no friend blocked.
func TestIgnoreFile(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	list := filepath.Join(dir, "ignore")
	config := longConfig() + "[ignore]\nfiles = [\"" + list + "\"]\n"
	options := Options{Config: config, Binary: os.Getenv(binaryEnv)}

	// A missing list: check and run both refuse it.
	d, err := Start(l.Target, options)
	if err == nil || d.ExitCode() != 2 ||
		!containsAll(strings.Join(d.Events(), "\n"), []string{"picket: ", "ignore.files", "no such file"}) {
		t.Fatalf("it runs without its ignore list: %v", err)
	}
	var exit *exec.ExitError
	if out, err := d.Cmd("check"); !errors.As(err, &exit) || exit.ExitCode() != 2 ||
		!containsAll(err.Error(), []string{"ignore.files", "no such file"}) {
		t.Errorf("check: %q, %v", out, err)
	}
	// A bad line: both refuse it.
	write(t, list, "192.0.2.11\nbad.example.org\n", 0o644)
	if d, err = Start(l.Target, options); err == nil || d.ExitCode() != 2 ||
		!strings.Contains(strings.Join(d.Events(), "\n"), "line 2") {
		t.Fatalf("it runs with half of its ignore list: %v", err)
	}

	write(t, list, "# mine\r\n  192.0.2.11/32 # a comment\r\n198.51.100.9/24\n192.0.2.13\n"+
		"2001:DB8:0:11::/64\n192.0.2.12/32", 0o644)
	d = start(t, l.Target, Options{Config: config})
	ignored := func(src, dst netip.Addr) {
		t.Helper()
		for i := range 5 {
			send(t, l.Attacker, probe(src, dst, uint16(11+i), i))
		}
	}
	ignored(Source4(1), l.Target.V4)
	ignored(Source4(2), l.Target.V4) // the last line, without a newline
	ignored(Source6(1), l.Target.V6) // upper case
	ignored(addr("198.51.100.200"), l.Target.V4)
	witness(t, l, d, Source4(9), l.Target.V4)
	for _, src := range []netip.Addr{Source4(1), Source4(2), Source6(1), addr("198.51.100.200")} {
		untouched(t, d, src)
	}

	// An edit counts after a reload. After a bad edit the old list holds.
	for _, bad := range []string{"192.0.2.1x\n", ""} {
		if bad == "" {
			os.Remove(list)
		} else {
			write(t, list, bad, 0o644)
		}
		n := len(d.Events())
		if err := d.Reload(config); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "a refusal", func() bool {
			return strings.Contains(strings.Join(d.Events()[n:], "\n"), "was not changed")
		})
		ignored(Source4(1), l.Target.V4)
		witness(t, l, d, Source4(10+len(bad)), l.Target.V4)
		untouched(t, d, Source4(1))
	}
	write(t, list, "192.0.2.12\n", 0o644)
	if err := d.Reload(config); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(5*time.Second, "read again"); err != nil {
		t.Fatal(err)
	}
	ignored(Source4(1), l.Target.V4)
	if _, err := d.WaitBlock(Source4(1), 3*time.Second); err != nil {
		t.Errorf("no longer ignored: %v", err)
	}
	untouched(t, d, Source4(2))
}

// TestLastPort (B7.10): a range that ends at 65535 wraps in PortSentry's connect mode.
func TestLastPort(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: "[tcp]\nmodes = [\"classic\", \"stealth\"]\ntrigger = 0\n" +
		"classic = \"65000-65535\"\nstealth = \"64000-64999\"\n"})
	for i, port := range []uint16{65535, 65000, 64999, 64000} {
		for family, dst := range map[netip.Addr]netip.Addr{Source4(i + 1): l.Target.V4,
			Source6(i + 1): l.Target.V6} {
			open := l.Attacker.Reaches(family, netip.AddrPortFrom(dst, port), time.Second)
			if want := port >= 65000; open != want {
				t.Errorf("%s to port %d: open %v", family, port, open)
			}
			if _, err := d.WaitBlock(family, 5*time.Second); err != nil {
				t.Errorf("port %d: %v", port, err)
			}
		}
	}
	if l.Attacker.Reaches(Source4(9), netip.AddrPortFrom(l.Target.V4, 63999), time.Second) {
		t.Error("a port beside the range is open")
	}
	witness := Source4(10)
	send(t, l.Attacker, probe(witness, l.Target.V4, 64001, 1))
	if _, err := d.WaitBlock(witness, 3*time.Second); err != nil {
		t.Error(err)
	}
	untouched(t, d, Source4(9))
}

// TestClosedPortsStayClosed (B7.11): PortSentry's search for services listens for moments, and
// a closed port answers SYN/ACK, 29 to 203 times of 100,000. picket never opens one.
func TestClosedPortsStayClosed(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: strings.ReplaceAll(longConfig(), `"block"`, `"log"`)})
	if err := l.Attacker.NFT(`table inet count {
	counter opened {}
	counter answered {}
	chain in {
		type filter hook prerouting priority raw
		ip saddr 192.0.2.2 tcp sport 11 tcp flags & (syn | ack) == syn | ack counter name opened
		ip saddr 192.0.2.2 tcp sport 11 counter name answered
	}
}`); err != nil {
		t.Fatal(err)
	}
	const probes = 100_000
	err := l.Attacker.Do(func() error {
		for i := range probes {
			if err := sendOne(tcp(Source4(1), l.Target.V4,
				segment{from: uint16(1024 + i%60000), to: 11, seq: uint32(i), flags: syn})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(3*time.Second, "192.0.2.11"); err != nil {
		t.Error(err)
	}
	count := func(name string) int {
		out, err := l.Attacker.Run("nft", "list", "counter", "inet", "count", name)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(regexp.MustCompile(`packets (\d+)`).FindStringSubmatch(out)[1])
		return n
	}
	eventually(t, 10*time.Second, "the answers", func() bool { return count("answered") > probes*9/10 })
	if n := count("opened"); n != 0 {
		t.Errorf("%d SYN/ACKs from a closed port", n)
	}
	t.Logf("%d answers to %d SYNs, none of them a SYN/ACK", count("answered"), probes)
}

// TestFileOfSomebodyElse (B7.12): PortSentry trusts a file in /tmp that anybody may create.
func TestFileOfSomebodyElse(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	// In the form of 2.x: 192.0.2.11 is blocked.
	write(t, filepath.Join(dir, "blocked"), "\x02\x00\xc0\x00\x02\x0b", 0o644)
	if err := os.Chown(filepath.Join(dir, "blocked"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "history")); err != nil {
		t.Fatal(err)
	}
	d := start(t, l.Target, Options{Config: longConfig() + beside(dir)})
	witness(t, l, d, Source4(1), l.Target.V4)
	for _, says := range [][]string{{"blocked", "65534"}, {"history", "symbolic link"}} {
		if _, err := d.WaitEvent(3*time.Second, says...); err != nil {
			t.Error(err)
		}
	}
	if got := read(t, dir, "blocked"); len(got) != 6 {
		t.Errorf("somebody else's file was written to: %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("a symbolic link was followed")
	}
}

// TestBlockedSourceIsSilent (B7.13): PortSentry writes two lines for each packet of a blocked
// source.
func TestBlockedSourceIsSilent(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	d := start(t, l.Target, Options{Config: longConfig() + beside(dir)})
	witness(t, l, d, Source4(1), l.Target.V4)
	eventually(t, 3*time.Second, "history", func() bool { return read(t, dir, "history") != "" })
	before, lines := read(t, dir, "history"), len(d.Events())
	for i := range 1000 {
		send(t, l.Attacker, probe(Source4(1), l.Target.V4, uint16(11+i%5), 100+i))
	}
	b, ok, err := d.Blocked(Source4(1))
	if err != nil || !ok || b.Drops < 1000 {
		t.Errorf("%d of 1,000 packets dropped: %v", b.Drops, err)
	}
	witness(t, l, d, Source4(2), l.Target.V4)
	if added := len(d.Events()) - lines; added > 1 { // the witness
		t.Errorf("%d lines for 1,000 packets", added-1)
	}
	if after := read(t, dir, "history"); strings.Count(after, "192.0.2.11/") != strings.Count(before,
		"192.0.2.11/") {
		t.Errorf("history grew: %q, then %q", before, after)
	}
}
