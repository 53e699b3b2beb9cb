// SPDX-License-Identifier: MIT

package route

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		conf Config
		ok   bool
	}{
		{Config{}, true}, {Config{Blackhole, 100, 1}, true}, {Config{Type: 4}, false},
		{Config{Table: 254}, false},
		{Config{Table: 253}, false}, {Config{Table: 255}, false}, {Config{Table: -1}, false},
		{Config{Priority: 32766}, false}, {Config{Priority: -1}, false},
	} {
		if err := c.conf.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.conf, err)
		}
	}
}

// A lab is two hosts: here is 192.0.2.1 and 2001:db8::1, there is .2 and ::2 with an
// address of a further network, 198.51.100.7, behind it.
type lab struct {
	t           *testing.T
	here, there string
}

func newLab(t *testing.T) lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	id := fmt.Sprintf("prt%d", os.Getpid())
	l := lab{t, id + "h", id + "t"}
	for _, ns := range []string{l.here, l.there} {
		l.run("ip", "netns", "add", ns)
		t.Cleanup(func() { l.run("ip", "netns", "del", ns) })
	}
	l.run("ip", "link", "add", "e0", "netns", l.here, "type", "veth", "peer", "name", "e0", "netns", l.there)
	for ns, n := range map[string]string{l.here: "1", l.there: "2"} {
		l.run("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.e0.accept_dad=0")
		l.run("ip", "-n", ns, "addr", "add", "192.0.2."+n+"/24", "dev", "e0")
		l.run("ip", "-n", ns, "addr", "add", "2001:db8::"+n+"/64", "dev", "e0")
		l.run("ip", "-n", ns, "link", "set", "lo", "up")
		l.run("ip", "-n", ns, "link", "set", "e0", "up")
	}
	l.run("ip", "-n", l.there, "addr", "add", "198.51.100.7/32", "dev", "lo")
	l.run("ip", "-n", l.here, "route", "add", "default", "via", "192.0.2.2")
	l.settle()
	return l
}

// settle waits until the kernel has noticed the carrier and added the routes of the IPv6
// addresses, which it does in work queues: they would change the routing behind a test.
func (l lab) settle() {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s := l.state()
		if !strings.Contains(s, "linkdown") && strings.Contains(s, "local 2001:db8::1 ") &&
			strings.Contains(s, "local fe80::") {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("the links do not come up:\n%s", s)
		}
	}
}

func (l lab) run(arg ...string) string {
	l.t.Helper()
	out, err := exec.Command(arg[0], arg[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%v: %v\n%s", arg, err, out)
	}
	return string(out)
}

// state is all of the routing of "here".
func (l lab) state() string {
	l.t.Helper()
	var b strings.Builder
	for _, family := range []string{"-4", "-6"} {
		b.WriteString(l.run("ip", "-n", l.here, family, "rule", "show"))
		b.WriteString(l.run("ip", "-n", l.here, family, "route", "show", "table", "all"))
	}
	return b.String()
}

// open opens our table in "here"; its socket stays there.
func (l lab) open(c Config) (*Table, error) {
	l.t.Helper()
	type result struct {
		table *Table
		err   error
	}
	ch := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/run/netns/" + l.here)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		var table *Table
		if err == nil {
			table, err = Open(c)
		}
		ch <- result{table, err}
	}()
	r := <-ch
	if r.table != nil {
		l.t.Cleanup(r.table.Close)
	}
	return r.table, r.err
}

func (l lab) mustOpen(c Config) *Table {
	l.t.Helper()
	table, err := l.open(c)
	if err != nil {
		l.t.Fatal(err)
	}
	return table
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l lab) want(table *Table, list ...string) {
	l.t.Helper()
	got, err := table.List()
	must(l.t, err)
	var strs []string
	for _, p := range got {
		strs = append(strs, p.String())
	}
	slices.Sort(strs)
	slices.Sort(list)
	if d := cmp.Diff(list, strs); d != "" {
		l.t.Errorf("table (-want +got):\n%s", d)
	}
}

func TestTable(t *testing.T) {
	l := newLab(t)
	before := l.state()
	table := l.mustOpen(Config{})
	if now := l.state(); now != before {
		t.Errorf("opening changed something:\n%s", cmp.Diff(before, now))
	}
	for range 2 { // idempotent
		must(t, table.Sync(nil))
		must(t, table.Add(prefixes("198.51.100.7/32", "203.0.113.9/24", "2001:db8:1::/64")...))
		must(t, table.Add(prefixes("2001:db8::99/128")...))
		must(t, table.Remove(prefixes("203.0.113.0/24", "203.0.113.0/28", "2001:db8:9::/64")...))
		l.want(table, "198.51.100.7/32", "2001:db8:1::/64", "2001:db8::99/128")
	}
	rules := l.run("ip", "-n", l.here, "-4", "rule") + l.run("ip", "-n", l.here, "-6", "rule")
	if n := strings.Count(rules, "500:\tfrom all lookup 7112"); n != 2 {
		t.Errorf("%d rules, want one for each family:\n%s", n, rules)
	}
	if main := l.run("ip", "-n", l.here, "route", "show", "table", "main"); strings.Contains(main,
		"unreachable") {
		t.Errorf("main was touched:\n%s", main)
	}
	for _, c := range []struct{ family, to, want string }{
		{"-4", "198.51.100.7", "No route to host"}, {"-6", "2001:db8::99", "No route to host"},
		{"-6", "2001:db8:1::5", "No route to host"},
	} {
		out, err := exec.Command("ip", "-n", l.here, c.family, "route", "get", c.to).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("the way to %s: %s (%v)", c.to, out, err)
		}
	}
	l.run("ip", "-n", l.here, "route", "get", "198.51.100.8") // others are unaffected

	// A later run with another type takes over, with what is missing.
	l.run("ip", "-n", l.here, "rule", "del", "priority", "500")
	table = l.mustOpen(Config{Type: Blackhole})
	must(t, table.Sync(prefixes("198.51.100.7/32", "2001:db8::99/128", "203.0.113.1/32")))
	l.want(table, "198.51.100.7/32", "2001:db8::99/128", "203.0.113.1/32")
	if s := l.state(); strings.Count(s, "blackhole") != 3 ||
		strings.Contains(s, "unreachable 198.51.100.7") || strings.Count(s, "lookup 7112") != 2 {
		t.Errorf("after the change of type:\n%s", s)
	}
	must(t, table.Clear())
	must(t, table.Clear())
	if now := l.state(); now != before {
		t.Errorf("left behind:\n%s", cmp.Diff(before, now))
	}
}

func TestNobodyElseIsTouched(t *testing.T) {
	l := newLab(t)
	l.run("ip", "-n", l.here, "route", "add", "203.0.113.0/24", "via", "192.0.2.2", "table", "7112")
	if _, err := l.open(Config{}); err == nil ||
		!strings.Contains(err.Error(), "203.0.113.0/24, which is not picket's") {
		t.Errorf("a table in use: %v", err)
	}
	// Others' rules of our priority, and into our table, stay.
	table := l.mustOpen(Config{Table: 7113})
	l.run("ip", "-n", l.here, "rule", "add", "priority", "500", "lookup", "7112")
	l.run("ip", "-n", l.here, "rule", "add", "priority", "499", "from", "203.0.113.5", "lookup", "7113")
	before := l.state()
	must(t, table.Sync(prefixes("198.51.100.7/32")))
	l.run("ip", "-n", l.here, "route", "add", "blackhole", "203.0.113.77", "table", "7113")
	must(t, table.Clear())
	// left to its owner
	l.run("ip", "-n", l.here, "route", "del", "blackhole", "203.0.113.77", "table", "7113")
	if now := l.state(); now != before {
		t.Errorf("others' changed:\n%s", cmp.Diff(before, now))
	}
}

func TestTenThousand(t *testing.T) {
	l := newLab(t)
	before := l.state()
	table := l.mustOpen(Config{})
	var all []netip.Prefix
	for a := netip.MustParseAddr("198.18.0.0"); len(all) < 9_000; a = a.Next() {
		all = append(all, netip.PrefixFrom(a, 32))
	}
	for a := netip.MustParseAddr("2001:db8:1::"); len(all) < 10_000; a = a.Next() {
		all = append(all, netip.PrefixFrom(a, 128))
	}
	begin := time.Now()
	must(t, table.Sync(all))
	added := time.Since(begin)
	got, err := table.List()
	must(t, err)
	if len(got) != len(all) {
		t.Errorf("%d routes of %d", len(got), len(all))
	}
	begin = time.Now()
	must(t, table.Remove(all...))
	t.Logf("10,000 routes: added in %v, removed in %v", added.Round(time.Millisecond),
		time.Since(begin).Round(time.Millisecond))
	must(t, table.Clear())
	if now := l.state(); now != before {
		t.Errorf("left behind:\n%s", cmp.Diff(before, now))
	}
}

// TestWhatARouteStops: no answer goes back; arriving packets are dropped by IPv4's
// reverse path filter, if it is on, and let in otherwise.
func TestWhatARouteStops(t *testing.T) {
	l := newLab(t)
	table := l.mustOpen(Config{})
	ping := func(family, to string) bool {
		return exec.Command("ip", "netns", "exec", l.there, "ping", family, "-c", "1", "-W", "1",
			to).Run() == nil
	}
	received := func(counter string) string {
		for line := range strings.Lines(l.run("ip", "netns", "exec", l.here, "nstat", "-asz", counter)) {
			if f := strings.Fields(line); f[0] == counter {
				return f[1]
			}
		}
		t.Fatalf("no counter %s", counter)
		return ""
	}
	for _, c := range []struct {
		name, family, to, source, counter, filter string
		enters                                    bool
	}{
		{"IPv4", "-4", "192.0.2.1", "192.0.2.2/32", "IcmpInEchos", "0", true},
		{"IPv4, strict reverse path", "-4", "192.0.2.1", "192.0.2.2/32", "IcmpInEchos", "1", false},
		{"IPv4, loose reverse path", "-4", "192.0.2.1", "192.0.2.2/32", "IcmpInEchos", "2", false},
		{"IPv6", "-6", "2001:db8::1", "2001:db8::2/128", "Icmp6InEchos", "1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, key := range []string{"all", "e0"} {
				l.run("ip", "netns", "exec", l.here, "sysctl", "-qw",
					"net.ipv4.conf."+key+".rp_filter="+c.filter)
			}
			if !ping(c.family, c.to) {
				t.Fatal("no answer before the block")
			}
			must(t, table.Sync(prefixes(c.source)))
			was := received(c.counter)
			if ping(c.family, c.to) {
				t.Error("an answer got through")
			}
			if enters := received(c.counter) != was; enters != c.enters {
				t.Errorf("the packet came in: %v, want %v", enters, c.enters)
			}
			must(t, table.Remove(prefixes(c.source)...))
			if !ping(c.family, c.to) {
				t.Error("no answer after the block's end")
			}
		})
	}
}
