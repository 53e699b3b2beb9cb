// SPDX-License-Identifier: MIT

package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// soakTime is the length of TestSoak, unless SOAK gives one, as "make soak" does.
const soakTime = 20 * time.Second

// patience is the time limit on a machine that is busy with other things.
const patience = time.Minute

// TestSoak does random things to a daemon: scans, floods, restarts, crashes, reboots, reloads,
// flushes, changes by hand in its sets, addresses that come and go, clocks that change,
// commands that are interrupted. After each, promised blocks must hold, and the kernel's sets,
// the book and, after a reboot, the file must agree. At the end nothing may have leaked. SOAK
// is the length, SEED the seed.
func TestSoak(t *testing.T) {
	length, seed := soakTime, uint64(time.Now().UnixNano())
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAK: %v", err)
		}
	}
	if text := os.Getenv("SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SEED: %v", err)
		}
	}
	t.Logf("SEED=%d SOAK=%v", seed, length)
	l := newLab(t)
	s := &soak{
		T: t, lab: l, rand: rand.New(rand.NewPCG(seed, 0)), promised: map[string]time.Time{},
		began: time.Now(),
	}
	var err error
	o := Options{Binary: os.Getenv(binaryEnv), Config: soakConfigs[0], Ready: time.Minute}
	if s.d, err = Start(l.Target, o); err != nil {
		t.Fatal(err)
	}
	defer func() {
		s.d.Kill()
		if t.Failed() {
			t.Logf("picket said, at last:\n%s", strings.Join(tail(s.d.Events(), 40), "\n"))
		}
	}()
	s.rest()
	goroutines := s.goroutines()
	s.again("crash")
	s.rest()
	files := s.files()
	done := map[string]int{}
	for end := s.began.Add(length); time.Now().Before(end); {
		a := soakActions[s.rand.IntN(len(soakActions))]
		if a.restarts && time.Until(end) < length/3 {
			continue // the last one runs long enough to leak
		}
		began := time.Now()
		a.do(s)
		s.agree(a.name)
		if done[a.name]++; length > soakTime {
			t.Logf("%8v %-10s %v, %d promised", time.Since(s.began).Round(time.Millisecond), a.name,
				time.Since(began).Round(time.Millisecond), len(s.promised))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(done)) {
		t.Logf("%4d %s", done[name], name)
	}
	s.leavesNothing(files, goroutines)
}

// A soak is a daemon and what it has promised.
type soak struct {
	*testing.T
	lab      *Lab
	d        *Daemon
	rand     *rand.Rand
	began    time.Time
	promised map[string]time.Time // blocks by source, with their ends
	next     int                  // number of the next address to block by hand
	config   int                  // which of soakConfigs is in force
	most     int                  // blocks at once so far
}

// soakConfigs block at the first probe, for longer than a soak. The second one watches another
// range and stores no probes.
var soakConfigs = [2]string{
	soakConfig, strings.Replace(soakConfig, `"1-1023"`, `"1-2000"`, 1),
}

const soakConfig = `
[block]
style = "block"
for = ["3h"]
unproven_for = ["3h"]
[tcp]
modes = ["classic", "stealth", "advanced"]
classic = "1,11,15"
trigger = { classic = 0, stealth = 0, advanced = 0 }
advanced = "1-1023"
exclude = ""
`

// A soakAction is one thing to do to the daemon.
type soakAction struct {
	name     string
	restarts bool
	do       func(*soak)
}

var soakActions = []soakAction{
	{"scan", false, (*soak).scan},
	{"scan", false, (*soak).scan},
	{"flood", false, func(s *soak) { s.flood(5000 + s.rand.IntN(20_000)) }},
	{"block", false, (*soak).block},
	{"block", false, (*soak).block},
	{"unblock", false, (*soak).unblock},
	{"reload", false, (*soak).reload},
	{"reload in a flood", false, func(s *soak) {
		done := make(chan struct{})
		packets := s.forged(20_000)
		go func() { defer close(done); pour(s, s.lab.Attacker, packets) }()
		s.reload()
		<-done
	}},
	{"flush ruleset", false, func(s *soak) { s.nft("flush ruleset") }},
	{"delete table", false, func(s *soak) { s.nft("delete table inet picket") }},
	{"alter table", false, func(s *soak) { s.nft("flush chain inet picket early") }},
	{"delete element", false, (*soak).deleteElement},
	{"add element", false, (*soak).addElement},
	{"add for ever", false, (*soak).addForEver},
	{"flush set", false, (*soak).flushSet},
	{"address", false, (*soak).address},
	{"link", false, (*soak).link},
	{"commands", false, (*soak).commands},
	{"restart", true, func(s *soak) { s.again("restart") }},
	{"crash", true, func(s *soak) { s.again("crash") }},
	{"reboot", true, func(s *soak) { s.again("reboot") }},
	{"power cut", true, func(s *soak) { s.again("power cut") }},
}

// source returns an address of the attacker that is not blocked, and a destination.
func (s *soak) source() (src, dst netip.Addr, ok bool) {
	for range 20 {
		i := 1 + s.rand.IntN(Sources)
		src, dst = Source4(i), s.lab.Target.V4
		if s.rand.IntN(2) == 0 {
			src, dst = Source6(i), s.lab.Target.V6
		}
		if s.one(func(who string) bool { return Block{Source: who}.Covers(src) }) == "" {
			return src, dst, true
		}
	}
	return src, dst, false
}

// scan connects to a trap and probes some ports from an address, which is then blocked.
func (s *soak) scan() {
	src, dst, ok := s.source()
	if !ok {
		s.unblock()
		return
	}
	s.connect(src, netip.AddrPortFrom(dst, 11))
	var packets []packet
	for range 1 + s.rand.IntN(50) {
		packets = append(packets, knock(src, dst, uint16(1+s.rand.IntN(1000))))
	}
	send(s, s.lab.Attacker, packets...)
	b, err := s.d.WaitBlock(src, patience)
	if err != nil {
		s.Fatal(err)
	}
	s.promised[b.Source] = b.Expires
}

// connect connects to a trap port. That proves the address, so a flood does not prevent its
// block.
func (s *soak) connect(from netip.Addr, to netip.AddrPort) {
	if c, err := s.lab.Attacker.Dial("tcp", from, to, 10*time.Second); err == nil {
		c.Close()
	}
}

// forged returns SYNs from sources that do not exist, to watched ports.
func (s *soak) forged(n int) []packet {
	out := make([]packet, n)
	for i := range out {
		n := s.rand.Uint32()
		src, dst := netip.AddrFrom4([4]byte{198, 18 + byte(n>>16&1), byte(n >> 8), byte(n)}), s.lab.Target.V4
		if s.rand.IntN(4) == 0 {
			a := netip.MustParseAddr("2001:db8:4000::1").As16()
			a[5], a[6], a[7] = byte(n>>16), byte(n>>8), byte(n)
			src, dst = netip.AddrFrom16(a), s.lab.Target.V6
		}
		out[i] = knock(src, dst, uint16(1+s.rand.IntN(3000)))
	}
	return out
}

// flood sends forged packets with a scanner in the middle, which must be found.
func (s *soak) flood(n int) {
	packets := s.forged(n)
	pour(s, s.lab.Attacker, packets[:n/2])
	s.scan()
	pour(s, s.lab.Attacker, packets[n/2:])
}

// hand returns the next address for a block by hand.
func (s *soak) hand() string {
	s.next++
	if s.next%3 == 0 {
		return fmt.Sprintf("2001:db8:f0:%x::/64", s.next)
	}
	return netip.AddrFrom4([4]byte{203, 0, 113, byte(s.next)}).String()
}

func (s *soak) block() {
	who := s.hand()
	for is := true; is; _, is = s.promised[who] {
		who = s.hand()
	}
	began := time.Now()
	s.picket("block", who, "--for", "2h")
	s.promised[who] = began.Add(2 * time.Hour)
}

// one returns a promised block for which ok holds, or "".
func (s *soak) one(ok func(string) bool) string {
	list := slices.Sorted(maps.Keys(s.promised))
	list = slices.DeleteFunc(list, func(who string) bool { return !ok(who) })
	if len(list) == 0 {
		return ""
	}
	return list[s.rand.IntN(len(list))]
}

func (s *soak) unblock() {
	switch who := s.one(func(string) bool { return true }); {
	case s.rand.IntN(10) == 0:
		s.picket("unblock", "--all")
		clear(s.promised)
	case who != "":
		s.picket("unblock", who)
		delete(s.promised, who)
		ours := netip.MustParsePrefix("192.0.2.0/24")
		if a, err := netip.ParseAddr(who); err == nil && ours.Contains(a) && s.rand.IntN(2) == 0 {
			s.connect(a, netip.AddrPortFrom(s.lab.Target.V4, 15)) // it was freed, and is blocked again
			b, err := s.d.WaitBlock(a, patience)
			if err != nil {
				s.Fatal(err)
			}
			s.promised[who] = b.Expires
		}
	}
}

func (s *soak) reload() {
	s.config = 1 - s.config
	n := len(s.d.Events())
	if err := s.d.Reload(soakConfigs[s.config]); err != nil {
		s.Fatal(err)
	}
	s.heard(n, "read again")
}

// heard waits for words in the daemon's lines after the first n.
func (s *soak) heard(n int, words string) {
	eventually(s, patience, "a line with "+words, func() bool {
		said := func(line string) bool { return strings.Contains(line, words) }
		return slices.ContainsFunc(s.d.Events()[n:], said)
	})
}

func (s *soak) nft(command string) {
	if _, err := s.lab.Target.Run("nft", strings.Fields(command)...); err != nil {
		s.Fatal(err)
	}
}

func (s *soak) picket(args ...string) string {
	out, err := s.d.Cmd(args...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// single reports whether a block is in the set blocked4.
func single(who string) bool {
	a, err := netip.ParseAddr(who)
	return err == nil && a.Is4()
}

func (s *soak) deleteElement() {
	if who := s.one(single); who != "" {
		s.nft("delete element inet picket blocked4 { " + who + " }")
		delete(s.promised, who)
	}
}

func (s *soak) addElement() {
	if who := s.hand(); single(who) && s.promised[who].IsZero() {
		began := time.Now()
		s.nft("add element inet picket blocked4 { " + who + " timeout 2h }")
		s.promised[who] = began.Add(2 * time.Hour)
	}
}

// addForEver adds an element again, without a timeout.
func (s *soak) addForEver() {
	if who := s.one(single); who != "" {
		s.nft("add element inet picket blocked4 { " + who + " }")
	}
}

func (s *soak) flushSet() {
	if s.rand.IntN(4) > 0 {
		s.block() // the promised blocks must not all be old
		return
	}
	s.nft("flush set inet picket blocked4")
	maps.DeleteFunc(s.promised, func(who string, _ time.Time) bool { return single(who) })
}

// address adds an address to the host, which nobody may block, and removes it.
func (s *soak) address() {
	const own = "198.51.100.77"
	if err := s.lab.Target.IP("addr add " + own + "/32 dev lo"); err != nil {
		s.Fatal(err)
	}
	eventually(s, patience, own+" is protected", func() bool {
		out, err := s.d.Cmd("explain", own)
		return err == nil && strings.Contains(out, "is protected")
	})
	if err := s.lab.Target.IP("addr del " + own + "/32 dev lo"); err != nil {
		s.Fatal(err)
	}
	eventually(s, patience, own+" is protected no more", func() bool {
		out, err := s.d.Cmd("explain", own)
		return err == nil && !strings.Contains(out, "is protected")
	})
}

// link adds an interface, with addresses and a route, and removes it.
func (s *soak) link() {
	err := s.lab.Target.IP("link add soak type veth peer name soak1", "link set soak1 up",
		"addr add 198.51.100.129/25 dev soak", "link set soak up",
		"route add 198.18.0.0/15 dev soak", "link set soak down", "link del soak")
	if err != nil {
		s.Fatal(err)
	}
}

// commands runs all commands that ask, and interrupts some.
func (s *soak) commands() {
	for _, args := range [][]string{
		{"status"}, {"blocks", "--json"}, {"blocks"}, {"explain", "192.0.2.11"}, {"allowed"},
	} {
		cut := time.Duration(1+s.rand.IntN(30)) * time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), cut)
		_ = s.d.command(ctx, nil, args...).Run() // it may be interrupted
		cancel()
		s.picket(args...)
	}
}

// again ends the daemon and starts it, with another time since the machine's boot.
func (s *soak) again(how string) {
	modified := func() time.Time {
		info, err := os.Stat(filepath.Join(s.d.dir, "state", "state"))
		if err != nil {
			return time.Time{} // nothing was saved yet
		}
		return info.ModTime()
	}
	switch how {
	case "restart", "reboot":
		if err := s.d.Stop(); err != nil {
			s.Fatal(err)
		}
	case "crash":
		s.d.Kill() // at any moment: the kernel has the blocks
	case "power cut":
		// After a crash the file counts. It is saved once a second, or, if a save takes long,
		// after twenty times that time. The second save from now on began after everything
		// promised so far.
		for range 2 {
			saved := modified()
			s.block()
			eventually(s, 3*patience, "what was promised is saved",
				func() bool { return modified() != saved })
		}
		s.d.Kill()
	}
	if how == "reboot" || how == "power cut" {
		_, _ = s.lab.Target.Run("nft", "flush", "ruleset")
	}
	var through []string
	if s.rand.IntN(2) == 0 {
		up := strconv.Itoa(s.rand.IntN(1 << 30))
		through = []string{"unshare", "--time", "--monotonic", up, "--boottime", up}
	}
	var err error
	if s.d, err = s.d.Again(through...); err != nil {
		s.Fatal(err)
	}
}

// response is one of the book or of the kernel.
type response struct{ kind, source string }

// responseSets are the sets of each response.
var responseSets = []struct{ name, kind string }{
	{"blocked4", "block"}, {"blocked6", "block"}, {"blocked_nets4", "block"}, {"blocked_nets6", "block"},
	{"spared4", "block"}, {"spared6", "block"}, {"fence4", "fence"}, {"fence6", "fence"},
	{"dark4", "dark"}, {"dark6", "dark"}, {"dark_nets4", "dark"}, {"dark_nets6", "dark"},
}

// inSets returns the responses in the kernel, with the seconds left of each.
func (s *soak) inSets() (map[response]int, error) {
	all := map[response]int{}
	for _, set := range responseSets {
		out, err := s.lab.Target.Run("nft", "-j", "list", "set", "inet", "picket", set.name)
		if err != nil {
			return nil, err
		}
		var listed struct {
			Nftables []struct {
				Set struct {
					Elem []struct {
						Elem struct {
							Val     json.RawMessage
							Expires int
						}
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(out), &listed); err != nil {
			return nil, fmt.Errorf("set %s: %w", set.name, err)
		}
		for _, x := range listed.Nftables {
			for _, e := range x.Set.Elem {
				source, err := sourceOf(e.Elem.Val, !strings.HasPrefix(set.name, "blocked"))
				if err != nil {
					return nil, err
				}
				all[response{set.kind, source}] = e.Elem.Expires
			}
		}
	}
	return all, nil
}

// sourceOf reads an element as nft prints it. With whole, an IPv6 prefix is its first address.
func sourceOf(val json.RawMessage, whole bool) (string, error) {
	var text string
	if json.Unmarshal(val, &text) == nil {
		if a, err := netip.ParseAddr(text); err == nil && whole && a.Is6() {
			if p := netip.PrefixFrom(a, 64); p.Masked().Addr() == a {
				return p.String(), nil
			}
		}
		return text, nil
	}
	var net struct {
		Prefix struct {
			Addr string
			Len  int
		}
	}
	err := json.Unmarshal(val, &net)
	return fmt.Sprintf("%s/%d", net.Prefix.Addr, net.Prefix.Len), err
}

// agree waits until kernel and book have the same responses, all promised ones included, and
// none without an end.
func (s *soak) agree(after string) {
	wrong := ""
	end := time.Now().Add(patience)
	for {
		if wrong = s.disagree(); wrong == "" {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("after %s: %s", after, wrong)
		}
		time.Sleep(5 * pollEvery)
	}
}

// soon is how many seconds before its end a response may be missing in one of two lists.
const soon = 3

// disagree returns the difference, or "".
func (s *soak) disagree() string {
	kernel, err := s.inSets()
	if err != nil {
		return err.Error()
	}
	list, err := s.d.Blocks()
	if err != nil {
		return err.Error()
	}
	s.most = max(s.most, len(list))
	book := map[response]Block{}
	for _, b := range list {
		r := response{cmp.Or(b.Response, "block"), b.Source}
		book[r] = b
		if left, is := kernel[r]; b.Remaining > soon && (!is || left == 0) {
			return fmt.Sprintf("the book has %v, the kernel %v with %d s left", b, is, left)
		}
	}
	for r, left := range kernel {
		if _, is := book[r]; !is && left > soon {
			return fmt.Sprintf("the kernel has %v for %d s, the book has not", r, left)
		}
	}
	for who, until := range s.promised {
		b, is := book[response{"block", who}]
		if !is {
			return fmt.Sprintf("%s is not blocked", who)
		}
		if off := b.Expires.Sub(until).Abs(); off > soon*time.Second {
			return fmt.Sprintf("%s ends at %v, %v from what was promised", who, b.Expires, off)
		}
	}
	return ""
}

// tail returns the last n lines.
func tail(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// rest waits until the daemon is idle.
func (s *soak) rest() { time.Sleep(5 * time.Second) }

func (s *soak) files() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.d.cmd.Process.Pid))
	if err != nil {
		s.Fatal(err)
	}
	return len(list)
}

// goroutines ends the daemon by a signal that prints all goroutines, and returns their number.
func (s *soak) goroutines() int {
	if err := s.d.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		s.Fatal(err)
	}
	<-s.d.ended
	n := 0
	for _, stack := range strings.Split(strings.Join(s.d.Events(), "\n"), "\ngoroutine ")[1:] {
		if strings.Contains(stack, "picket/") { // not one of the runtime's
			n++
		}
	}
	if n == 0 {
		s.Fatal("no goroutine is told of")
	}
	return n
}

// leavesNothing ends the soak: freed blocks must be gone from the book, the sets and memory.
func (s *soak) leavesNothing(files, goroutines int) {
	peak, most := memory(s, s.d, "VmHWM"), s.most
	s.picket("unblock", "--all")
	clear(s.promised)
	s.agree("unblock --all")
	if left, err := s.inSets(); err != nil || len(left) > 0 {
		s.Errorf("in the sets there are still %v, %v", left, err)
	}
	s.rest()
	resident := memory(s, s.d, "VmRSS")
	s.Logf("peak %.1f MiB with %d blocks at most, %.1f MiB in the end, %d descriptors",
		peak, most, resident, s.files())
	// The limit of the reference: memory, and 700 bytes for each block.
	if bound := 64 + float64(most)*700/(1<<20); !raced() && (peak > bound || resident > 64) {
		s.Errorf("peak %.1f MiB where the reference says %.1f, %.1f MiB in the end", peak, bound, resident)
	}
	// What looks at the kernel by the clock opens a descriptor and closes it again.
	eventually(s, patience, fmt.Sprintf("as few descriptors as the %d after the start", files),
		func() bool { return s.files() <= files })
	for _, line := range s.d.Events() {
		if strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic:") {
			s.Errorf("it said %s", line)
		}
	}
	if n := s.goroutines(); n > goroutines {
		s.Errorf("%d goroutines, %d after the start:\n%s", n, goroutines, strings.Join(s.d.Events(), "\n"))
	}
}
