// SPDX-License-Identifier: MIT

package boot

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/state"
)

// A story is a system with picket on it and a peer that scans it.
type story struct {
	*System
	t    *testing.T
	ctx  context.Context
	peer *process // in the peer's network namespace
	debs []string // two versions of the package, the older first
}

// The system's address, and the peer's.
const (
	hostAddress = "192.0.2.1"
	peerAddress = "192.0.2.2"
)

// TestStory follows picket on a host, from the installation of its package to the purge, under
// the real systemd.
func TestStory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	s := newStory(t)
	begun := time.Now()
	for _, chapter := range []struct {
		name string
		tell func(*story)
	}{
		{"install", (*story).install},
		{"scan", (*story).scan},
		{"restart", (*story).restart},
		{"half judged", (*story).halfJudged},
		{"scan again", (*story).scanAgain},
		{"recipes", (*story).recipes},
		{"flush", (*story).flush},
		{"include", (*story).include},
		{"reboot", (*story).reboot},
		{"trap", (*story).trap},
		{"stopped", (*story).stopped},
		{"operator", (*story).operator},
		{"trouble", (*story).trouble},
		{"hung", (*story).hung},
		{"upgrade", (*story).upgrade},
		{"purge", (*story).purge},
	} {
		if !t.Run(chapter.name, func(t *testing.T) {
			s.t = t
			chapter.tell(s)
		}) {
			s.t = t
			t.Fatalf("status:\n%s\nthe journal of picket:\n%s", s.try("picket", "status"),
				s.try("journalctl", "-o", "short-precise", "-n", "80", "-p", "notice"))
		}
	}
	t.Logf("the whole story took %v, to be within a minute", time.Since(begun))
}

func newStory(t *testing.T) *story {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	s := &story{t: t, ctx: ctx}
	directory := t.TempDir()
	for _, version := range []string{"0.0.9", "0.1.0"} {
		dist := filepath.Join(directory, version)
		s.local("make", "-C", "../../..", "packages", "DIST="+dist, "PACKAGE_VERSION="+version)
		debs, err := filepath.Glob(filepath.Join(dist, "*.deb"))
		if err != nil || len(debs) != 1 {
			t.Fatalf("packages of version %s: %q, %v", version, debs, err)
		}
		s.debs = append(s.debs, debs...)
	}
	s.prepare()
	for i, deb := range s.debs {
		b, err := os.ReadFile(deb)
		if err == nil {
			err = os.WriteFile(s.Path(fmt.Sprintf("/root/%d.deb", i)), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// prepare makes the peer, and a system that is off.
func (s *story) prepare() {
	s.t.Helper()
	peer, err := start(nil, "unshare", "--net", "sh", "-ec",
		"ip link set lo up; echo up; exec sleep infinity")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := peer.kill(); err != nil {
			s.t.Error(err)
		}
	})
	if err := peer.says("up"); err != nil {
		s.t.Fatal(err)
	}
	s.peer = peer
	s.System, err = New(Options{Network: s.connect})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			s.t.Error(err)
		}
	})
}

// connect joins the system to the peer, which has a network of addresses.
func (s *story) connect(pid int) error {
	script := fmt.Sprintf(`
		# The network of the boot before may not be gone yet.
		ip link delete eth0 2>/dev/null || true
		ip link add eth0 type veth peer name eth0 netns %[1]d
		ip address add %[2]s/24 dev eth0
		ip link set eth0 up
		ip route replace local 198.51.100.0/24 dev lo
		ip route replace local 203.0.113.0/24 dev lo
		nsenter --target %[1]d --net sh -ec '
			ip address add %[3]s/24 dev eth0
			ip link set eth0 up
			ip route add 198.51.100.0/24 dev eth0
			ip route add 203.0.113.0/24 dev eth0'`, pid, peerAddress, hostAddress)
	out, err := exec.CommandContext(s.ctx, "nsenter", "--target", strconv.Itoa(s.peer.pid()), "--net", "sh",
		"-ec", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("network: %w\n%s", err, out)
	}
	return nil
}

// local runs a command of this machine.
func (s *story) local(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.CommandContext(s.ctx, name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fromPeer runs a command in the peer's network.
func (s *story) fromPeer(name string, args ...string) string {
	s.t.Helper()
	return s.local("nsenter", append([]string{"--target", strconv.Itoa(s.peer.pid()), "--net", name},
		args...)...)
}

// run runs a command on the system.
func (s *story) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.Run(s.ctx, name, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// try is run for a command that may fail.
func (s *story) try(name string, args ...string) string {
	out, _ := s.Run(s.ctx, name, args...)
	return out
}

// patience is the limit on a machine that runs other tests. The limit on an idle one is logged
// beside the time taken.
const patience = 20 * time.Second

// within waits until done, for things without a command of their own.
func (s *story) within(limit time.Duration, what string, done func() bool) {
	s.t.Helper()
	begun := time.Now()
	for !done() {
		if time.Since(begun) > patience {
			s.t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Logf("%s: after %v, to be within %v", what, time.Since(begun).Round(time.Millisecond), limit)
}

func (s *story) set(name string) string {
	return s.try("nft", "list", "set", "inet", "picket", name)
}

// remaining returns the remaining time of the kernel's block.
func (s *story) remaining(source string) time.Duration {
	s.t.Helper()
	m := regexp.MustCompile(regexp.QuoteMeta(source) +
		`[^,}]* expires ([0-9smhd]+)`).FindStringSubmatch(s.set("blocked4"))
	if m == nil {
		return 0
	}
	days, rest, found := strings.Cut(m[1], "d")
	if !found {
		days, rest = "0", m[1]
	}
	rest = strings.TrimSuffix(strings.ReplaceAll(rest, "s", "s "), " ")
	rest = strings.Fields(rest)[0] // without the milliseconds
	n, err := strconv.Atoi(days)
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		s.t.Fatalf("expires %q: %v", m[1], err)
	}
	return d + time.Duration(n)*24*time.Hour
}

// install: the package starts picket, hardened, within the promised time.
func (s *story) install() {
	s.run("dpkg", "--install", "/root/0.deb")
	if state := s.try("systemctl", "is-active", "picket.service", "picket.socket",
		"picket-trap.socket"); state != "active\nactive\nactive\n" {
		s.t.Fatalf("states: %q", state)
	}
	if state := s.try("systemctl", "is-enabled", "picket.service", "picket.socket",
		"picket-trap.socket"); state != "enabled\nenabled\nenabled\n" {
		s.t.Errorf("states: %q", state)
	}
	exposure := s.run("systemd-analyze", "security", "--no-pager", "picket.service")
	m := regexp.MustCompile(`exposure level for picket.service: ([0-9.]+)`).FindStringSubmatch(exposure)
	if m == nil {
		s.t.Fatal("no exposure level")
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > 1.2 {
		s.t.Errorf("exposure level %s", m[1])
	}
	if out := s.try("systemd-analyze", "verify", "picket.service", "picket.socket",
		"picket-trap.socket"); strings.Contains(out, "picket") {
		s.t.Errorf("the units are not clean:\n%s", out)
	}
	s.timed("start without state", 100*time.Millisecond, "systemctl", "restart", "picket.service")
	if out := s.run("systemctl", "status", "--no-pager", "picket.service"); !strings.Contains(out,
		"Status: \"") {
		s.t.Errorf("no status line:\n%s", out)
	}
}

// timed runs a command that starts picket, and logs the time that systemd measured up to READY.
func (s *story) timed(what string, limit time.Duration, name string, args ...string) {
	s.t.Helper()
	s.run(name, args...)
	at := func(property string) int64 {
		out := s.run("systemctl", "show", "--value", "--property", property, "picket.service")
		n, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return n
	}
	began, ready := at("ExecMainStartTimestampMonotonic"), at("ActiveEnterTimestampMonotonic")
	took := time.Duration(ready-began) * time.Microsecond
	s.t.Logf("%s: %v from exec to READY, to be within %v", what, took, limit)
	if took > patience {
		s.t.Errorf("%s: %v from exec to READY", what, took)
	}
}

// scan has the peer scan, be blocked in the kernel, and be reported. The story uses blocks
// only, no lesser response.
func (s *story) scan() {
	s.run("sh", "-c", "mkdir -p /etc/picket/picket.d && printf '[block]\nstyle = \"block\"\n"+
		"' >/etc/picket/picket.d/10-story.toml")
	s.run("systemctl", "reload", "picket.service")
	s.fromPeer("nmap", "-n", "-Pn", "-sS", "-T4", "--max-retries", "0", "-p1-200", hostAddress)
	s.within(5*time.Second, "block in the kernel", func() bool { return s.remaining(peerAddress) > 0 })
	var block map[string]string
	s.within(5*time.Second, "block in the journal", func() bool {
		entries, err := s.Journal(s.ctx, "PICKET_SOURCE="+peerAddress)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range entries {
			if e["PICKET_EVENT"] == "block" {
				block = e
			}
		}
		return block != nil
	})
	if block["MESSAGE_ID"] != "7b17c829bf6546549b895bf3159f3628" || block["PICKET_ACTION"] != "block" ||
		block["_SYSTEMD_UNIT"] != "picket.service" {
		s.t.Errorf("entry %v", block)
	}
	explained := s.run("journalctl", "--no-pager", "-x", "PICKET_SOURCE="+peerAddress, "PICKET_EVENT=block")
	for _, want := range []string{"Subject: " + peerAddress + " is blocked", "picket unblock " +
		peerAddress} {
		if !strings.Contains(explained, want) {
			s.t.Errorf("journalctl -x lacks %q:\n%s", want, explained)
		}
	}
	if sum := s.run("picket", "report", "--since", "1h"); !regexp.MustCompile(`(?m)^` +
		regexp.QuoteMeta(peerAddress) + ` +[1-9]`).MatchString(sum) {
		s.t.Errorf("picket report lacks %s:\n%s", peerAddress, sum)
	}
	if left := regexp.MustCompile(`@PICKET_\w+@`).FindString(s.run("journalctl", "--no-pager", "-x", "-t",
		"picket")); left != "" {
		s.t.Errorf("journalctl -x has %s", left)
	}
	// As a person asks, on the command line.
	var listed []struct{ Source, Reason string }
	if err := json.Unmarshal([]byte(s.run("picket", "blocks", "--json")), &listed); err != nil ||
		len(listed) != 1 || listed[0].Source != peerAddress {
		s.t.Errorf("picket blocks: %+v, %v", listed, err)
	}
}

// scanAgain has the peer blocked for longer, as a repeated offender.
func (s *story) scanAgain() {
	s.fromPeer("nmap", "-n", "-Pn", "-sS", "-T4", "--max-retries", "0", "-p1-200", hostAddress)
	s.within(5*time.Second, "block of a repeat offender",
		func() bool { return s.remaining(peerAddress) > 20*time.Minute })
}

// restart has 200 sources probe during a restart, and 200 during a crash and the start after
// it. All are blocked, so no probe is lost.
func (s *story) restart() {
	s.configure("[udp]\ntrigger = { stealth = 0 }\n")
	s.run("systemctl", "reload", "picket.service")
	s.within(5*time.Second, "reload", func() bool {
		return strings.Contains(s.try("nft", "list", "map", "inet", "picket", "trigger_udp"), "goto passed")
	})
	restarted := make(chan error, 1)
	first := s.process()
	go func() {
		_, err := s.Run(s.ctx, "systemctl", "restart", "picket.service")
		restarted <- err
	}()
	s.datagrams([3]byte{198, 51, 100}, 7, 300*time.Millisecond)
	if err := <-restarted; err != nil {
		s.t.Fatal(err)
	}
	s.within(5*time.Second, "200 blocks after a restart",
		func() bool { return strings.Count(s.set("blocked4"), "198.51.100.") == 200 })

	second := s.process()
	if second == first {
		s.t.Errorf("process %d was not restarted", first)
	}
	s.run("systemctl", "kill", "--signal=KILL", "picket.service")
	s.datagrams([3]byte{203, 0, 113}, 7, 300*time.Millisecond)
	s.within(5*time.Second, "200 blocks after SIGKILL",
		func() bool { return strings.Count(s.set("blocked4"), "203.0.113.") == 200 })
	if s.process() == second {
		s.t.Errorf("process %d was not killed", second)
	}
	if s.remaining(peerAddress) == 0 {
		s.t.Error("the block of before is gone")
	}
}

// halfJudged has 200 sources send the first of two probes before a restart and the second one
// after it.
func (s *story) halfJudged() {
	s.run("picket", "unblock", "--all")
	s.configure("[udp]\ntrigger = { stealth = 1 }\n")
	s.run("systemctl", "restart", "picket.service")
	s.datagrams([3]byte{198, 51, 100}, 7, 100*time.Millisecond)
	s.run("systemctl", "restart", "picket.service")
	if set := s.set("blocked4"); strings.Contains(set, "elements") {
		s.t.Fatalf("blocked by one probe: %s", set)
	}
	s.datagrams([3]byte{198, 51, 100}, 9, 100*time.Millisecond)
	s.within(5*time.Second, "200 blocks by a second probe",
		func() bool { return strings.Count(s.set("blocked4"), "198.51.100.") == 200 })
}

// recipes runs each command of examples/journalctl.md: all of them find something.
func (s *story) recipes() {
	b, err := os.ReadFile(s.Path("/usr/share/doc/picket/examples/journalctl.md"))
	if err != nil {
		s.t.Fatal(err)
	}
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
		for command := range strings.Lines(block[1]) {
			out, err := s.Command(s.ctx, "sh", "-c", command).Output()
			if err != nil || len(out) == 0 || strings.Contains(string(out), "-- No entries --") {
				s.t.Errorf("%s: %q, %v", command, out, err)
			}
			ran++
		}
	}
	if ran < 10 {
		s.t.Errorf("%d recipes were found", ran)
	}
}

func (s *story) configure(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.Path("/etc/picket/picket.toml"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) process() int {
	out := s.try("systemctl", "show", "--value", "--property", "MainPID", "picket.service")
	n, _ := strconv.Atoi(strings.TrimSpace(out)) // 0 if there is none
	return n
}

// trap connects to a port of classic mode: the peer gets the banner and is blocked, as proven.
func (s *story) trap() {
	const classic = "[tcp]\nmodes = [\"classic\"]\ntrigger = 0\nclassic = \"2000-2010\"\n[trap]\n" +
		"banner = \"go away\\r\\n\"\n"
	s.configure(classic)
	s.run("systemctl", "restart", "picket.service")
	s.run("picket", "unblock", "--all")
	err := s.inPeer(func() error {
		c, err := net.DialTimeout("tcp", hostAddress+":2003", 5*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		b := make([]byte, 16)
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if n, err := c.Read(b); string(b[:n]) != "go away\r\n" {
			return fmt.Errorf("banner %q, %w", b[:n], err)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.within(5*time.Second, "block of a trapped source", func() bool { return s.remaining(peerAddress) > 0 })
	entries, err := s.Journal(s.ctx, "PICKET_EVENT=block", "PICKET_TECHNIQUE=connect", "PICKET_PORT=2003",
		"PICKET_PROVEN=true")
	if err != nil || len(entries) != 1 {
		s.t.Errorf("%d entries, %v", len(entries), err)
	}
	// A command starts picket: only root may give one.
	s.run("systemctl", "stop", "picket.service")
	s.run("picket", "status")
}

// flush: somebody flushes all rules. Everything is back within a second.
func (s *story) flush() {
	before := s.remaining(peerAddress)
	s.run("nft", "flush", "ruleset")
	s.within(time.Second, "table and block after a flush",
		func() bool { return s.remaining(peerAddress) > 0 })
	if after := s.remaining(peerAddress); after > before || after < before-10*time.Second {
		s.t.Errorf("%v remain, of %v before", after, before)
	}
	s.within(5*time.Second, "the journal's word of it", func() bool {
		entries, err := s.Journal(s.ctx, "MESSAGE_ID=6c59d2d3b218415c89679103fe2ec1aa")
		return err == nil && len(entries) > 0
	})
}

// include: Debian's nftables.service loads the table from the include: before picket runs,
// while it runs, and without it.
func (s *story) include() {
	const conf = "#!/usr/sbin/nft -f\nflush ruleset\ntable inet filter { chain input { type filter hook " +
		"input priority filter\n }\n}\ninclude \"/etc/picket/*.nft\"\n"
	s.run("sh", "-ec", "picket ruleset >/etc/picket/ruleset.nft")
	if err := os.WriteFile(s.Path("/etc/nftables.conf"), []byte(conf), 0o755); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range []struct {
		what    string
		command []string
	}{
		{"start of nftables", []string{"systemctl", "start", "nftables.service"}},
		{"reload of nftables", []string{"systemctl", "reload", "nftables.service"}},
		{"start of picket after nftables",
			[]string{"sh", "-ec", "systemctl stop picket.service; systemctl reload nftables.service; " +
				"systemctl start picket.service"}},
	} {
		if out, err := s.Run(s.ctx, c.command[0], c.command[1:]...); err != nil {
			s.t.Fatalf("%s: %v\n%s\n%s", c.what, err, out,
				s.try("journalctl", "-u", "nftables", "--no-pager"))
		}
		s.within(time.Second, "block after "+c.what, func() bool { return s.remaining(peerAddress) > 0 })
		if !strings.Contains(s.run("nft", "list", "ruleset"), "table inet filter") {
			s.t.Errorf("%s: the other table is gone", c.what)
		}
	}
	s.run("systemctl", "enable", "nftables.service") // and both at the next boot
}

// reboot: after a reboot the block is in the new kernel, with its remaining time, and picket
// runs. A state file that is cut in half is set aside.
func (s *story) reboot() {
	s.configure("")
	before, at := s.remaining(peerAddress), time.Now()
	if err := s.Reboot(s.ctx); err != nil {
		s.t.Fatal(err)
	}
	s.within(5*time.Second, "block after a reboot", func() bool { return s.remaining(peerAddress) > 0 })
	want := before - time.Since(at)
	if after := s.remaining(peerAddress); after > want+2*time.Second || after < want-2*time.Second {
		s.t.Errorf("%v remain, want %v", after, want)
	}

	s.run("systemctl", "stop", "picket.service")
	path := s.Path("/var/lib/private/picket/state")
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, b[:len(b)/2], 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.run("systemctl", "start", "picket.service")
	if s.remaining(peerAddress) == 0 {
		s.t.Error("the block is gone")
	}
	s.within(5*time.Second, "the journal's word of the state file", func() bool {
		entries, err := s.Journal(s.ctx, "MESSAGE_ID=34b7016081ab466a838b9f222190c2f2")
		return err == nil && len(entries) == 1 && strings.Contains(entries[0]["MESSAGE"], "cut off")
	})
	if aside, err := filepath.Glob(path + ".bad-*"); err != nil || len(aside) != 1 {
		s.t.Errorf("set aside: %q, %v", aside, err)
	}
	s.fill(100_000)
	s.timed("start with 100,000 blocks in the state file and none in the kernel", time.Second, "systemctl",
		"start", "picket.service")
	in := func() int {
		set := s.set("blocked4")
		return strings.Count(set, "198.18.") + strings.Count(set, "198.19.")
	}
	s.within(10*time.Second, "all of them in the kernel", func() bool { return in() == 100_000 })
	s.ready("100000 blocks in force", "the blocks of an earlier run being read")
	s.timed("start with 100,000 blocks in both", time.Second, "systemctl", "restart", "picket.service")
	s.within(10*time.Second, "all of them booked",
		func() bool { return strings.Contains(s.run("picket", "status"), "100000 in force") })
	s.ready("100000 blocks in force", "the blocks of an earlier run being read")
	if n := in(); n != 100_000 {
		s.t.Errorf("%d blocks in the kernel", n)
	}
	s.run("picket", "unblock", "--all")
}

// ready compares the entry of the last start with the number of blocks known then. Several
// numbers may be right.
func (s *story) ready(blocks ...string) {
	s.t.Helper()
	s.within(5*time.Second, fmt.Sprintf("entry of the start with %q", blocks), func() bool {
		entries, err := s.Journal(s.ctx, "MESSAGE_ID=1f904c544c414affa5accbb63a176e94")
		return err == nil && len(entries) > 0 && slices.ContainsFunc(blocks, func(b string) bool {
			return strings.Contains(entries[len(entries)-1]["MESSAGE"], b)
		})
	})
}

// fill stops picket, removes its table and writes a state file with so many blocks.
func (s *story) fill(blocks int) {
	s.t.Helper()
	s.run("systemctl", "stop", "picket.service")
	s.run("nft", "flush", "ruleset")
	path := s.Path("/var/lib/private/picket/state")
	// As in internal/ledger.
	type block struct {
		Source       netip.Prefix
		Since, Until time.Time
		Reason       string
	}
	type record struct{ Block *block }
	err := state.File{Path: path, Kind: "state", Version: 2}.Save(func(w io.Writer) error {
		out := gob.NewEncoder(w)
		for i := range blocks {
			source := netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)}) // RFC 2544
			k := block{netip.PrefixFrom(source, 32), time.Now(), time.Now().Add(24 * time.Hour),
				"a probe of long ago"}
			if err := out.Encode(record{&k}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.run("chown", "--reference=/var/lib/private/picket", "/var/lib/private/picket/state")
}

// operator uses everything that the hardened unit allows, and a drop-in of the examples.
func (s *story) operator() {
	const source = "198.51.100.201"
	s.configure("[history]\nfile = \"/var/log/picket/history\"\n[route]\ntype = \"blackhole\"\n" +
		"[hosts_deny]\nline = \"ALL: $TARGET$\"\n")
	s.run("mkdir", "-p", "/etc/systemd/system/picket.service.d")
	s.run("cp", "/usr/share/doc/picket/examples/systemd/hosts-deny.conf",
		"/etc/systemd/system/picket.service.d/")
	s.run("systemctl", "daemon-reload")
	s.run("systemctl", "restart", "picket.service")
	s.run("picket", "block", source, "--for", "1h")
	s.within(5*time.Second, "a line in hosts.deny",
		func() bool { return strings.Contains(s.try("cat", "/etc/hosts.deny"), "ALL: "+source) })
	s.within(5*time.Second, "a line of history",
		func() bool { return strings.Contains(s.try("cat", "/var/log/picket/history"), source) })
	s.within(5*time.Second, "a route", func() bool {
		return strings.Contains(s.try("ip", "route", "show", "table", "7112"), "blackhole "+source)
	})
	s.run("picket", "unblock", source)
	s.within(5*time.Second, "neither line nor route", func() bool {
		return !strings.Contains(s.try("cat", "/etc/hosts.deny"), source) &&
			!strings.Contains(s.try("ip", "route", "show", "table", "7112"), source)
	})
	s.run("rm", "/etc/systemd/system/picket.service.d/hosts-deny.conf")
	s.run("systemctl", "daemon-reload")
	s.configure("")
	s.run("systemctl", "restart", "picket.service")
}

// trouble takes resources away from picket: each loss is reported in words, and the rest works
// on.
func (s *story) trouble() {
	s.run("systemctl", "stop", "picket.service", "picket.socket", "picket-trap.socket")
	s.run("systemd-run", "--unit=squatter", "systemd-socket-activate", "--listen=61003", "/bin/cat")
	s.within(5*time.Second, "squatter",
		func() bool { return strings.Contains(s.try("ss", "-tln"), ":61003") })
	s.run("systemctl", "start", "picket.service")
	s.told("trap port taken", "picket-trap.socket does that: systemctl status picket-trap.socket")
	s.run("picket", "block", "198.51.100.202")
	s.run("picket", "unblock", "198.51.100.202")
	s.run("systemctl", "stop", "squatter.service")
	s.run("systemctl", "restart", "picket.service")
	if state := s.try("systemctl", "is-active", "picket-trap.socket"); state != "active\n" {
		s.t.Errorf("the trap's socket is %q after a restart", state)
	}

	for _, c := range []struct{ what, dropIn, want string }{
		{"socket of an unknown name", "[Service]\nSockets=other.socket\n", `systemd passed descriptor`},
		{"no capability", "[Service]\nCapabilityBoundingSet=\nAmbientCapabilities=\n", "CAP_NET_ADMIN"},
	} {
		s.run("sh", "-ec", `
			printf '[Socket]\nListenStream=/run/other.sock\nService=picket.service\n' \
				> /etc/systemd/system/other.socket
			mkdir -p /etc/systemd/system/picket.service.d
			printf %s "$1" > /etc/systemd/system/picket.service.d/trouble.conf
			systemctl daemon-reload
			systemctl reset-failed`, "sh", c.dropIn)
		s.try("systemctl", "restart", "picket.service")
		s.told(c.what, c.want)
		s.run("rm", "-r", "/etc/systemd/system/other.socket", "/etc/systemd/system/picket.service.d")
		s.try("systemctl", "stop", "other.socket") // it may not be loaded
	}
	s.run("systemctl", "daemon-reload")
	s.run("systemctl", "reset-failed")
	s.run("systemctl", "restart", "picket.service")
}

// told waits for a message of picket.
func (s *story) told(what, want string) {
	s.t.Helper()
	s.within(5*time.Second, "word of "+what, func() bool {
		return strings.Contains(s.try("journalctl", "--boot", "--no-pager", "--output=cat",
			"--unit=picket.service"), want)
	})
}

// upgrade keeps the administrator's changes and the blocks.
func (s *story) upgrade() {
	const mine = "# mine\ndry_run = false\n"
	s.configure(mine)
	s.run("systemctl", "reload", "picket.service")
	s.run("dpkg", "--install", "/root/1.deb")
	if b, err := os.ReadFile(s.Path("/etc/picket/picket.toml")); string(b) != mine {
		s.t.Errorf("the configuration is now %q, %v", b, err)
	}
	if state := s.try("systemctl", "is-active", "picket.service"); state != "active\n" {
		s.t.Errorf("state %q", state)
	}
	if s.remaining(peerAddress) == 0 {
		s.t.Error("the block is gone")
	}
	// Earlier defaults hold where the file says nothing.
	var now struct {
		TCP struct {
			Advanced string
			Trigger  map[string]int
		}
		Block struct{ Style string }
	}
	if err := json.Unmarshal([]byte(s.run("picket", "check", "--json")), &now); err != nil {
		s.t.Fatal(err)
	}
	if now.TCP.Advanced != "1-1023" || now.TCP.Trigger["classic"] != 0 || now.Block.Style != "block" {
		s.t.Errorf("after the upgrade: %+v", now)
	}
	// A configuration with errors makes a reload fail; picket runs on.
	s.configure("dry_rum = true\n")
	if out, err := s.Run(s.ctx, "systemctl", "reload", "picket.service"); err == nil {
		s.t.Errorf("a reload with faults went well: %s", out)
	}
	if state := s.try("systemctl", "is-active", "picket.service"); state != "active\n" {
		s.t.Errorf("state %q after a reload with faults", state)
	}
}

// purge leaves nothing.
func (s *story) purge() {
	s.run("dpkg", "--purge", "picket")
	s.run("systemctl", "restart", "nftables.service") // the include matches nothing, and the firewall loads
	if out := s.run("nft", "list", "ruleset"); !strings.Contains(out, "table inet filter") {
		s.t.Errorf("the firewall is not there:\n%s", out)
	}
	if out, err := s.Run(s.ctx, "nft", "list", "table", "inet", "picket"); err == nil {
		s.t.Errorf("the table is left:\n%s", out)
	}
	for _, path := range []string{"/etc/picket", "/var/lib/picket", "/var/lib/private/picket", "/run/picket",
		"/usr/bin/picket",
		"/usr/share/picket", "/usr/share/doc/picket", "/usr/lib/systemd/system/picket.service",
		"/usr/lib/systemd/system/picket.service.d",
		"/usr/lib/systemd/catalog/picket.catalog", "/usr/lib/modules-load.d/picket.conf",
		"/etc/systemd/system/multi-user.target.wants/picket.service"} {
		if out, err := s.Run(s.ctx, "ls", "-lRd", path); err == nil {
			s.t.Errorf("left: %s", out)
		}
	}
	if out := s.try("systemctl", "list-units", "--all", "--no-legend", "picket*"); out != "" {
		s.t.Errorf("units are left:\n%s", out)
	}
}

// datagrams sends one datagram from each of 200 addresses of a network of the peer to a port of
// stealth mode, evenly over a time.
func (s *story) datagrams(network [3]byte, port int, over time.Duration) {
	s.t.Helper()
	err := s.inPeer(func() error {
		to := &net.UDPAddr{IP: net.ParseIP(hostAddress), Port: port}
		tick := time.NewTicker(over / 200)
		defer tick.Stop()
		for i := range 200 {
			// one each, or two are a decoy and its copy
			c, err := net.ListenUDP("udp4",
				&net.UDPAddr{IP: net.IPv4(network[0], network[1], network[2], byte(i+1)), Port: 20000 + i})
			if err != nil {
				return err
			}
			_, err = c.WriteTo([]byte("probe"), to)
			c.Close()
			if err != nil {
				return err
			}
			<-tick.C
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// inPeer runs f on a thread in the peer's network. The thread ends with it.
func (s *story) inPeer(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", s.peer.pid()))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}
