// SPDX-License-Identifier: MIT

package lab

import (
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKernelHoldsWhilePicketSleeps: the kernel holds a source from its first packet on, without
// picket's help: neither the port nor a service answers it any more, and both answer everybody
// else.
func TestKernelHoldsWhilePicketSleeps(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: longConfig()})
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ src, other, dst netip.Addr }{
		{Source4(1), Source4(2), l.Target.V4},
		{Source6(1), Source6(2), l.Target.V6},
	} {
		at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(f.dst, port) }
		silent := func(port uint16, wait time.Duration) {
			t.Helper()
			_, err := l.Attacker.Dial("tcp", f.src, at(port), wait)
			if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: port %d got %v, want silence", f.src, port, err)
			}
		}
		silent(20, 300*time.Millisecond)
		for _, port := range []uint16{20, 2000, 80} { // again, outside the watched range, served
			silent(port, 100*time.Millisecond)
		}
		if _, err := l.Attacker.Dial("tcp", f.other, at(2000), time.Second); !errors.Is(err,
			syscall.ECONNREFUSED) {
			t.Errorf("%s: port 2000 got %v, want a refusal", f.other, err)
		}
		if !l.Attacker.Reaches(f.other, at(80), time.Second) {
			t.Errorf("%s, who probed nothing, does not reach a service", f.other)
		}
	}
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, src := range []netip.Addr{Source4(1), Source6(1)} {
		if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
			t.Error(err)
		}
	}
}

// TestFlushedTableComesBack: "nft flush ruleset", the first line of Debian's nftables.conf, frees nobody.
func TestFlushedTableComesBack(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: longConfig()})
	witness(t, l, d, Source4(1), l.Target.V4)
	witness(t, l, d, Source6(1), l.Target.V6)
	before := table(t, l.Target, false)
	if _, err := l.Target.Run("nft", "flush", "ruleset"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "the blocks are in the kernel again", func() bool {
		four, err4 := l.Target.Run("nft", "list", "set", "inet", "picket", "blocked4")
		six, err6 := l.Target.Run("nft", "list", "set", "inet", "picket", "blocked6")
		return err4 == nil && err6 == nil && listed(four, Source4(1)) && listed(six, Source6(1))
	})
	if diff := compare(before, table(t, l.Target, false)); diff != "" {
		t.Errorf("the table that came back differs (-before +after):\n%s", diff)
	}
	if _, err := d.WaitEvent(3*time.Second, "event=notice", "nft["); err != nil {
		t.Errorf("it does not say who did it: %v", err)
	}
	witness(t, l, d, Source4(2), l.Target.V4)
}

// TestElementsByHand: elements that an operator changes with nft count: picket follows the
// kernel.
func TestElementsByHand(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: longConfig()})
	witness(t, l, d, Source4(1), l.Target.V4)
	if _, err := l.Target.Run("nft", "delete", "element", "inet", "picket", "blocked4",
		"{ 192.0.2.11 }"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "the source is free in picket's list too", func() bool {
		_, ok, err := d.Blocked(Source4(1))
		return err == nil && !ok
	})
	innocent(t, l, d, Source4(1), l.Target.V4)
	if _, err := l.Target.Run("nft", "add", "element", "inet", "picket", "blocked4",
		"{ 192.0.2.12 timeout 1h }"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitBlock(Source4(2), 3*time.Second); err != nil {
		t.Error(err)
	}
}

func TestBlocksByHand(t *testing.T) {
	l := newLab(t)
	if err := l.Target.IP("route add default via 192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: longConfig()})
	reaches := func(src netip.Addr, wait time.Duration) bool {
		dst := l.Target.V4
		if src.Is6() {
			dst = l.Target.V6
		}
		return l.Attacker.Reaches(src, netip.AddrPortFrom(dst, 80), wait)
	}
	for _, test := range []struct {
		source       string
		inside, near netip.Addr
	}{
		{"192.0.2.11", Source4(1), Source4(2)},
		{"192.0.2.32/29", Source4(22), Source4(21)},
		{"2001:db8:0:11::1", Source6(1), Source6(2)},
		{"2001:db8:0:20::/60", Source6(10), Source6(9)},
	} {
		if _, err := d.Cmd("block", test.source, "--for", "1h", "--reason", "a test"); err != nil {
			t.Error(err)
			continue
		}
		b, ok, err := d.Blocked(test.inside)
		if err != nil || !ok || b.Source != test.source || b.Reason != "a test" || b.Remaining < 3500 ||
			b.Remaining > 3600 {
			t.Errorf("block %s: listed %v as %+v, %v", test.source, ok, b, err)
		}
		if reaches(test.inside, 200*time.Millisecond) {
			t.Errorf("block %s: %s reaches a service", test.source, test.inside)
		}
		if !reaches(test.near, time.Second) {
			t.Errorf("block %s: %s is blocked too", test.source, test.near)
		}
		if b, _, _ := d.Blocked(test.inside); b.Drops == 0 {
			t.Errorf("block %s: no packet was counted", test.source)
		}
		if _, err := d.Cmd("unblock", test.source); err != nil {
			t.Error(err)
		}
		if !reaches(test.inside, time.Second) {
			t.Errorf("unblock %s: %s is still blocked", test.source, test.inside)
		}
	}
	for source, code := range map[string]int{
		// gateway, own, and prefixes that hold them
		"192.0.2.1": 1, "192.0.2.2": 1, "0.0.0.0/0": 1, "2001:db8::/32": 1, "127.0.0.1": 1,
		"example": 2, "192.0.2.300": 2, "192.0.2.0/33": 2, "": 2,
	} {
		_, err := d.Cmd("block", source)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != code || !strings.Contains(err.Error(), "picket: ") {
			t.Errorf("block %q: %v, want exit code %d", source, err, code)
		}
	}
	for _, source := range []string{"192.0.2.11", "192.0.2.32/29", "2001:db8:0:11::1"} {
		if _, err := d.Cmd("block", source); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Cmd("unblock", Source4(22).String()); err == nil ||
		!strings.Contains(err.Error(), `"picket unblock 192.0.2.32/29"`) {
		t.Errorf("unblock of a part: %v, want the block that holds it", err)
	}
	if _, err := d.Cmd("unblock", "--all"); err != nil {
		t.Error(err)
	}
	if blocks, err := d.Blocks(); err != nil || len(blocks) != 0 {
		t.Errorf("after unblock --all: %v, %v", blocks, err)
	}
	for _, src := range []netip.Addr{Source4(1), Source4(22), Source6(1)} {
		if !reaches(src, time.Second) {
			t.Errorf("after unblock --all %s is still blocked", src)
		}
	}
}

// TestOffendersStayLonger: a repeated offender is blocked for longer.
func TestOffendersStayLonger(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: strings.ReplaceAll(hotConfig, `["6s"]`, `["6s", "1h"]`) +
		"unproven_for = [\"6s\", \"1h\"]\n"})
	sources := map[netip.Addr]netip.Addr{Source4(1): l.Target.V4, Source6(1): l.Target.V6}
	for src, dst := range sources {
		witness(t, l, d, src, dst)
	}
	for src, dst := range sources {
		eventually(t, 10*time.Second, "free after the first block", func() bool {
			_, ok, err := d.Blocked(src)
			return err == nil && !ok
		})
		send(t, l.Attacker, knock(src, dst, 11))
		b, err := d.WaitBlock(src, 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if b.Remaining < 3500 {
			t.Errorf("%s: %v s remain of the second block, want an hour", src, b.Remaining)
		}
	}
}

// TestHostChangesAreFollowed: a new gateway is protected, and freed if it was blocked, within
// the longest pause between two looks. A new address is watched at once.
func TestHostChangesAreFollowed(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: longConfig()})
	witness(t, l, d, Source4(1), l.Target.V4)
	witness(t, l, d, Neighbour6(1), l.Target.V6)
	if err := l.Target.IP("route add default via 192.0.2.11", "route add default via 2001:db8::11",
		"addr add 192.0.2.4/24 dev eth0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 12*time.Second, "the new gateways are free", func() bool {
		_, four, err4 := d.Blocked(Source4(1))
		_, six, err6 := d.Blocked(Neighbour6(1))
		return err4 == nil && err6 == nil && !four && !six
	})
	send(t, l.Attacker, knock(Source4(1), l.Target.V4, 11),
		knock(Neighbour6(1), l.Target.V6, 11))
	witness(t, l, d, Source4(2), addr("192.0.2.4"))
	innocent(t, l, d, Source4(1), l.Target.V4)
	innocent(t, l, d, Neighbour6(1), l.Target.V6)
}

// TestFullSetMakesRoom: in a full set the least worthy block makes room for a new one, and an
// event says so.
func TestFullSetMakesRoom(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: longConfig() + "max = 2\n"})
	witness(t, l, d, Source4(1), l.Target.V4)
	witness(t, l, d, Source6(1), l.Target.V6)
	witness(t, l, d, Source4(3), l.Target.V4)
	if line, err := d.WaitEvent(3*time.Second, "event=unblock source="+Source4(1).String(),
		"makes room"); err != nil {
		t.Errorf("%q, %v", line, err)
	}
	for src, want := range map[netip.Addr]bool{Source4(1): false, Source6(1): true, Source4(3): true} {
		if _, ok, err := d.Blocked(src); err != nil || ok != want {
			t.Errorf("%s is blocked: %v, %v; want %v", src, ok, err, want)
		}
	}
}

// TestRemove: a removal leaves nothing, not even blocks. A running picket refuses it and says
// why.
func TestRemove(t *testing.T) {
	l := newLab(t)
	if err := l.Target.NFT("table inet mine {\n chain input {\n type filter hook input priority filter\n" +
		" }\n}\n"); err != nil {
		t.Fatal(err)
	}
	before := ruleset(t, l.Target)
	d := begin(t, l.Target, Options{Config: longConfig()})
	witness(t, l, d, Source4(1), l.Target.V4)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Cmd("remove"); err != nil {
		t.Error(err)
	}
	if after := ruleset(t, l.Target); after != before {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
	}
	if _, err := d.Cmd("remove"); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}
