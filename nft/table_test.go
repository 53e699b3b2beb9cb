// SPDX-License-Identifier: MIT

package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var testConfig = Config{Group: 5, Snaplen: 128}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func testElements() *Elements {
	return &Elements{
		ClassicTCP: []Range{{1, 1}, {11, 11}}, StealthTCP: []Range{{111, 113}, {65535, 65535}},
		AdvancedTCP: []Range{{1, 1023}}, ExcludedTCP: []Range{{113, 113}}, AdvancedUDP: []Range{{1, 65535}},
		AdvancedIP: []Range{{7, 16}, {60, 255}}, DoorTCP: []Range{{0, 65535}},
		TriggerTCP: []Trigger{{Range{1, 110}, 25}, {Range{111, 112}, 0}, {Range{113, 65535}, 31}},
		TriggerUDP: []Trigger{{Range{1, 1023}, 25}},
		TriggerIP:  []Trigger{{Range{0, 255}, 5}}, Trusted: []string{"wg0"}, LoginPorts: []uint16{22},
		Operators: []netip.Addr{netip.MustParseAddr("192.0.2.77")},
		Links:     []netip.Prefix{prefix("2001:db8:1::/64")},
		Elsewhere: []netip.Prefix{prefix("192.0.2.8/32")},
		Virtual: map[uint8][]netip.AddrPort{6: {netip.MustParseAddrPort("192.0.2.8:80"),
			netip.MustParseAddrPort("[2001:db8:2::8]:80")}},
		Ignored: []netip.Prefix{prefix("192.0.2.0/25"), prefix("192.0.2.128/25"), prefix("198.51.100.7/32"),
			prefix("2001:db8::/32"), prefix("255.255.255.0/24")},
		Behind: []netip.Prefix{prefix("198.51.100.128/25"), prefix("2001:db8:2::/64")}, Published: true,
		Egress:   true,
		TrapPort: 4711, Invite: true,
	}
}

func open(t *testing.T) *Table {
	t.Helper()
	tab, err := Open(testConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

func install(t *testing.T, tab *Table) (adopted bool) {
	t.Helper()
	adopted, err := tab.Install(testElements())
	if err != nil {
		t.Fatalf("install: %v", err)
	}
	return adopted
}

func loadText(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ruleset.nft")
	if err := os.WriteFile(file, []byte(Ruleset(testConfig)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "nft", "-f", file)
}

func never(Response, netip.Prefix) bool  { return false }
func always(Response, netip.Prefix) bool { return true }

// TestRulesetEqualsInstall: the include and the daemon make the same table, so they can share
// one.
func TestRulesetEqualsInstall(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	installed := listing(t, false)
	if _, err := tab.Remove(); err != nil {
		t.Fatal(err)
	}
	loadText(t)
	if diff := cmp.Diff(installed, listing(t, false)); diff != "" {
		t.Errorf("installed over netlink (-) and loaded as text (+) differ:\n%s", diff)
	}
	if len(installed) < 40 {
		t.Errorf("the listing has %d objects: too few to have been read right", len(installed))
	}
}

func TestIncludeIsAdopted(t *testing.T) {
	inNetns(t)
	loadText(t)
	before := run(t, "", "nft", "-a", "list", "chain", "inet", Name, "mirror_tcp")
	if !install(t, open(t)) {
		t.Error("a table from an include was not adopted")
	}
	if after := run(t, "", "nft", "-a", "list", "chain", "inet", Name, "mirror_tcp"); after != before {
		t.Errorf("rules were touched:\n%s\n%s", before, after)
	}
	if s := run(t, "", "nft", "list", "set", "inet", Name, "stealth_tcp"); !strings.Contains(s,
		"111-113, 65535") {
		t.Errorf("sets were not filled:\n%s", s)
	}
}

// TestInstallAgainKeepsBlocks covers a second run, an include loaded again,
// and rules that somebody changed.
func TestInstallAgainKeepsBlocks(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	err := tab.Block([]Block{{Source: prefix("203.0.113.9/32"), For: time.Hour},
		{Source: prefix("2001:db8:1::/48"), For: time.Hour}}, never)
	if err != nil {
		t.Fatal(err)
	}
	want := listing(t, true)
	for name, change := range map[string]func(){
		"nothing":          func() {},
		"include again":    func() { loadText(t) },
		"a rule was lost":  func() { run(t, "", "nft", "flush", "chain", "inet", Name, "mirror") },
		"a chain was lost": func() { run(t, "", "nft", "delete", "chain", "inet", Name, "early") },
		"a rule was added": func() { run(t, "", "nft", "add", "rule", "inet", Name, "mirror", "counter") },
	} {
		change()
		install(t, tab)
		if diff := cmp.Diff(want, listing(t, true)); diff != "" {
			t.Errorf("%s: before (-) and after (+):\n%s", name, diff)
		}
	}
}

func TestWatchTellsWhoTouchedTheTable(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	w, err := tab.Watch()
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan string, 16)
	done := make(chan error, 1)
	go func() { done <- w.Run(func(by string) { changes <- by }) }()
	if err := tab.Block([]Block{{Source: prefix("203.0.113.1/32"), For: time.Hour}}, never); err != nil {
		t.Fatal(err) // our own change is not reported
	}
	run(t, "", "nft", "add", "table", "inet", "other") // a change of another table is not either
	run(t, Ruleset(testConfig), "nft", "-f", "-")
	if by := <-changes; !strings.HasPrefix(by, "nft[") {
		t.Errorf("changed by %q, want nft[...]", by)
	}
	if filled, err := tab.Filled(); !filled || err != nil {
		t.Errorf("the include alone empties no set: Filled = %v, %v", filled, err)
	}
	run(t, "flush ruleset\n"+Ruleset(testConfig), "nft", "-f", "-") // a reload of nftables.service
	<-changes
	if filled, err := tab.Filled(); filled || err != nil {
		t.Errorf("a table made anew is not filled: Filled = %v, %v", filled, err)
	}
	run(t, "", "nft", "flush", "ruleset")
	<-changes
	if ok, err := tab.Verify(); ok || err != nil {
		t.Errorf("Verify after a flush = %v, %v", ok, err)
	}
	install(t, tab)
	if ok, err := tab.Verify(); !ok || err != nil {
		t.Errorf("Verify after a new installation = %v, %v", ok, err)
	}
	w.Close()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestForeignTableIsLeftAlone(t *testing.T) {
	inNetns(t)
	run(t, "", "nft", "add table inet picket; add chain inet picket mine; add rule inet picket mine counter")
	before := listing(t, true)
	tab := open(t)
	if _, err := tab.Install(testElements()); !errors.Is(err, ErrForeign) {
		t.Errorf("Install = %v, want ErrForeign", err)
	}
	if _, err := tab.Remove(); !errors.Is(err, ErrForeign) {
		t.Errorf("Remove = %v, want ErrForeign", err)
	}
	if diff := cmp.Diff(before, listing(t, true)); diff != "" {
		t.Errorf("the table was changed:\n%s", diff)
	}
}

func TestBlocks(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	in := []Block{
		{Source: prefix("203.0.113.1/32"), For: time.Hour},
		{Source: prefix("2001:db8::1/128"), For: time.Hour},
		{Source: prefix("198.51.100.0/24"), For: time.Hour},
		{Source: prefix("198.51.101.0/24"), For: time.Hour},
		{Source: prefix("2001:db8:2::/64"), For: time.Hour},
	}
	if err := tab.Block(in, never); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]time.Duration {
		t.Helper()
		bs, err := tab.Blocks()
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]time.Duration{}
		for _, b := range bs {
			m[b.Source.String()] = b.For.Round(time.Minute)
		}
		return m
	}
	want := map[string]time.Duration{}
	for _, b := range in {
		want[b.Source.String()] = time.Hour
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}

	for i := range in {
		in[i].For = 2 * time.Hour
	}
	if err := tab.Block(in, always); err != nil {
		t.Fatal(err)
	}
	for s, d := range read() {
		if d != 2*time.Hour {
			t.Errorf("%s: %v left after its renewal, want 2h", s, d)
		}
	}
	if err := tab.Block([]Block{{Source: prefix("198.51.100.128/25"), For: time.Hour}},
		never); !errors.Is(err, ErrOverlap) {
		t.Errorf("block of an overlapping prefix: %v, want ErrOverlap", err)
	}
	for range 2 { // the second time it is gone
		if err := tab.Unblock(prefix("203.0.113.1/32")); err != nil {
			t.Fatal(err)
		}
		if err := tab.Unblock(prefix("198.51.100.0/24")); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(); len(got) != 3 {
		t.Errorf("after two were unblocked: %v", got)
	}
	if err := tab.UnblockAll(); err != nil || len(read()) != 0 {
		t.Errorf("after all were unblocked (%v): %v", err, read())
	}
}

// TestRepeats: of a source that comes twice in one call, the last block counts, be it new, renewed, or
// with living flows before and without after.
func TestRepeats(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	sources := []string{"203.0.113.1/32", "198.51.100.0/24", "2001:db8::1/128", "2001:db8:2::/64"}
	for _, renew := range []func(Response, netip.Prefix) bool{never, always} {
		var in []Block
		for i := range 100 {
			for _, s := range sources {
				in = append(in, Block{Source: prefix(s), For: time.Duration(100-i) * time.Hour, Held: true,
					Spare: i%2 == 0},
					Block{Response: Dark, Source: prefix(s), For: time.Duration(100-i) * time.Hour})
			}
		}
		if err := tab.Block(in, renew); err != nil {
			t.Fatal(err)
		}
		bs, err := tab.Blocks()
		if err != nil || len(bs) != 2*len(sources) {
			t.Errorf("%d blocks, %v", len(bs), err)
		}
		for _, b := range bs {
			if b.Spare || b.For > time.Hour {
				t.Errorf("%+v, want an hour", b)
			}
		}
	}
}

// TestUnblockPart: a part of a blocked network is not blocked by itself, which is no error, and the
// network stays.
func TestUnblockPart(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	if err := tab.Block([]Block{{Source: prefix("198.51.100.0/24"), For: time.Hour},
		{Response: Dark, Source: prefix("198.51.100.0/24"), For: time.Hour}}, never); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"198.51.100.0/25", "198.51.100.128/25", "198.51.0.0/16", "198.51.100.7/32"} {
		if err := tab.Unblock(prefix(s)); err != nil {
			t.Error(err)
		}
		if err := tab.End(Blocked, prefix(s)); err != nil {
			t.Error(err)
		}
	}
	if bs, err := tab.Blocks(); err != nil || len(bs) != 2 {
		t.Errorf("blocks %v, %v", bs, err)
	}
}

// TestResponses: each response to a source is independent, and an IPv6 prefix that is one
// source is one element.
func TestResponses(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	var in []Block
	for _, s := range []string{"203.0.113.1/32", "2001:db8::1/128", "2001:db8:2::/64"} {
		for r := range Responses {
			in = append(in, Block{Response: Response(r), Source: prefix(s), For: time.Hour})
		}
	}
	in = append(in, Block{Response: Dark, Source: prefix("198.51.100.0/24"), For: time.Hour},
		Block{Source: prefix("203.0.113.7/32"), Spare: true, For: time.Hour},
		Block{Source: prefix("2001:db8:7::/64"), Spare: true, For: time.Hour})
	if err := tab.Block(in, never); err != nil {
		t.Fatal(err)
	}
	read := func() []string {
		t.Helper()
		bs, err := tab.Blocks()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, b := range bs {
			out = append(out, fmt.Sprint(b.Response, b.Source, b.Spare))
		}
		slices.Sort(out)
		return out
	}
	var want []string
	for _, b := range in {
		want = append(want, fmt.Sprint(b.Response, b.Source, b.Spare))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("responses (-want +got):\n%s", diff)
	}
	if err := tab.Block([]Block{{Response: Fenced, Source: prefix("198.51.100.0/24")}},
		never); !errors.Is(err, ErrExtent) {
		t.Errorf("a fence around a network: %v, want ErrExtent", err)
	}
	// The spared flow has ended: the same block, without exemption.
	if err := tab.Block([]Block{{Source: prefix("203.0.113.7/32"), For: time.Hour}}, always); err != nil {
		t.Fatal(err)
	}
	if err := tab.End(Fenced, prefix("203.0.113.1/32")); err != nil {
		t.Fatal(err)
	}
	if err := tab.Unblock(prefix("2001:db8:2::/64")); err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(s string) bool {
		return strings.Contains(s, "2001:db8:2::") || s == fmt.Sprint(Fenced, prefix("203.0.113.1/32"), false)
	})
	want[slices.Index(want, fmt.Sprint(Blocked, prefix("203.0.113.7/32"), true))] = fmt.Sprint(Blocked,
		prefix("203.0.113.7/32"), false)
	slices.Sort(want)
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("after three were ended or changed (-want +got):\n%s", diff)
	}
}

// TestUnblockForgets: the rules' counts of a source end with its block.
func TestUnblockForgets(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	fill := func() {
		t.Helper()
		for _, e := range []string{
			"held4 { 203.0.113.5 }", "quiet4 { 203.0.113.5 }", "holds4 { 203.0.113.5 }",
			"others4 { 203.0.113.5 }", "askers4 { 203.0.113.5 }",
			fmt.Sprintf("ports4 { 203.0.113.5 . %d }", 4^triggerBits(leastBehind)),
			"ports4 { 203.0.113.5 . 4, 203.0.113.5 . 17 }", "quiet6 { 2001:db8:5:: }",
			"ports6 { 2001:db8:5:: . 4 }",
		} {
			run(t, "", "nft", "add element inet picket "+e)
		}
	}
	empty := func(what string) {
		t.Helper()
		for _, s := range []string{
			"held4", "quiet4", "holds4", "others4", "askers4", "ports4", "quiet6", "ports6",
		} {
			if out := run(t, "", "nft", "list", "set", "inet", Name, s); strings.Contains(out, "elements") {
				t.Errorf("%s: not empty: %s", what, out)
			}
		}
	}
	fill()
	for _, p := range []string{"203.0.113.5/32", "2001:db8:5::/64"} {
		if err := tab.Unblock(prefix(p)); err != nil {
			t.Fatal(err)
		}
	}
	empty("each")
	fill()
	if err := tab.UnblockAll(); err != nil {
		t.Fatal(err)
	}
	empty("all")
}

// TestFullSet: a full set has its own error, which the caller puts in words.
func TestFullSet(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	var b []Block
	for i := range sizeNets + 1 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 14), byte(i >> 6), byte(i << 2)})
		b = append(b, Block{Source: netip.PrefixFrom(a, 30), For: time.Hour})
	}
	if err := tab.Block(b, never); !errors.Is(err, ErrFull) {
		t.Errorf("Block = %v, want ErrFull", err)
	}
}

func TestQuiet(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	run(t, "", "nft", "add element inet picket held4 { 203.0.113.5 }")
	if err := tab.Quiet(false); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"set inet picket guarded_tcp", "map inet picket trigger_tcp",
		"set inet picket held4", "map inet picket trap_port",
		"set inet picket inviting"} {
		if out := run(t, "", "sh", "-c", "nft list "+s); strings.Contains(out, "elements") {
			t.Errorf("not empty: %s", out)
		}
	}
}

func TestNoPrivilege(t *testing.T) {
	inNetns(t)
	tab := open(t)
	// The capability is the thread's; the thread ends with the test.
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Install(testElements()); !errors.Is(err, ErrPermission) {
		t.Errorf("Install = %v, want ErrPermission", err)
	}
}

func TestMerge(t *testing.T) {
	got := Merge([]Range{{10, 20}, {1, 1}, {21, 25}, {15, 18}, {2, 3}, {65535, 65535}})
	if diff := cmp.Diff([]Range{{1, 3}, {10, 25}, {65535, 65535}}, got); diff != "" {
		t.Error(diff)
	}
}

// TestConnected: the kernel's set, asked for one address at a time.
func TestConnected(t *testing.T) {
	inNetns(t)
	tab := open(t)
	if is, err := tab.Connected(netip.MustParseAddr("203.0.113.5")); is || err != nil {
		t.Errorf("without a table: %v, %v", is, err)
	}
	install(t, tab)
	run(t, "", "nft", "add element inet picket connected4 { 203.0.113.5 }")
	run(t, "", "nft", "add element inet picket connected6 { 2001:db8:5:: }")
	for a, want := range map[string]bool{"203.0.113.5": true, "203.0.113.6": false, "2001:db8:5::7": true,
		"2001:db8:6::7": false} {
		for range 2 {
			if is, err := tab.Connected(netip.MustParseAddr(a)); is != want || err != nil {
				t.Errorf("%s: %v, %v, want %v", a, is, err, want)
			}
		}
	}
}

// TestServe: a port that is served again begins its hour again.
func TestServe(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	run(t, "", "nft", "add element inet picket lately { tcp . 443 timeout 1h expires 5m }")
	for range 2 {
		if err := tab.Serve([]Service{{Protocol: 6, Port: 443}, {Protocol: 17, Port: 53}}); err != nil {
			t.Fatal(err)
		}
	}
	out := run(t, "", "nft", "list", "set", "inet", Name, "lately")
	if strings.Count(out, "expires 59m")+strings.Count(out, "expires 1h") != 2 ||
		!strings.Contains(out, "tcp . 443") || !strings.Contains(out, "udp . 53") {
		t.Errorf("lately served: %s", out)
	}
}
