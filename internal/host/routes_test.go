// SPDX-License-Identifier: MIT

package host

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// friends returns the addresses of the friends of one kind.
func friends(t testing.TB, h *Host, why string) (out []string) {
	t.Helper()
	list, err := h.Friends(Wanted{Own: true, Gateways: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.Why == why {
			out = append(out, f.Prefix.Addr().String())
		}
	}
	return out
}

// TestNextHops: every next hop is a friend, by any kind of route.
func TestNextHops(t *testing.T) {
	const six = "link set d0 addrgenmode none\naddr add 2001:db8::2/64 dev d0 nodad\n"
	const base = wire + six + "addr add 192.0.2.2/24 dev d0\n"
	tests := []struct{ name, batch, want string }{
		{"none", "route add blackhole 10.0.0.0/8\nroute add 10.1.0.0/16 dev d0\n", ""},
		{"default", "route add default via 192.0.2.1\n", "192.0.2.1"},
		{"halves", "route add 0.0.0.0/1 via 192.0.2.1\nroute add 128.0.0.0/1 via 192.0.2.3\n",
			"192.0.2.1 192.0.2.3"},
		{"2000::/3", "route add 2000::/3 via 2001:db8::1\n", "2001:db8::1"},
		{"one network", "route add 10.0.0.0/8 via 192.0.2.1\n", "192.0.2.1"},
		{"another table", "route add default via 192.0.2.1 table 100\n", "192.0.2.1"},
		{"paths", "route add default nexthop via 192.0.2.1 nexthop via 192.0.2.9\n", "192.0.2.1 192.0.2.9"},
		{"another family", "route add default via inet6 2001:db8::1 dev d0\n", "2001:db8::1"},
		{"nexthop objects", "nexthop add id 7 via 192.0.2.1 dev d0\nnexthop add id 8 via 192.0.2.9 dev d0\n" +
			"nexthop add id 9 group 7/8\nroute add default nhid 9\n", "192.0.2.1 192.0.2.9"},
		{"a VXLAN tunnel", "link add x0 type vxlan id 9 local 192.0.2.2 remote 192.0.2.7 dstport 4789\n",
			"192.0.2.7"},
		{"a VXLAN group", "link add x0 type vxlan id 9 group 239.1.1.1 dev d0 dstport 4789\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inNetns(t, base+test.batch)
			if got := strings.Join(friends(t, new(Host), "gateway"), " "); got != test.want {
				t.Errorf("next hops %q, want %q", got, test.want)
			}
		})
	}
	t.Run("a VXLAN tunnel with many ends", func(t *testing.T) {
		inNetns(t, base+"link add x0 type vxlan id 9 local 192.0.2.2 dstport 4789\n")
		for _, end := range []string{"192.0.2.7", "192.0.2.8"} {
			out, err := exec.Command("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "x0", "dst",
				end).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		if got := strings.Join(friends(t, new(Host), "gateway"), " "); got != "192.0.2.7 192.0.2.8" {
			t.Errorf("other ends %q", got)
		}
	})
	t.Run("point-to-point", func(t *testing.T) {
		inNetns(t, wire+"addr add 192.0.2.2 peer 192.0.2.1/32 dev d0\nroute add default dev d0\n")
		const why = "other end of a point-to-point link"
		if got := friends(t, new(Host), why); !slices.Equal(got, []string{"192.0.2.1"}) {
			t.Errorf("peers %v", got)
		}
		if got := friends(t, new(Host), "own address"); !slices.Contains(got, "192.0.2.2") {
			t.Errorf("own addresses %v", got)
		}
	})
}

// watched runs Watch in the namespace of the calling thread, and reports each call
// of changed.
func watched(t *testing.T, h *Host) (calls <-chan struct{}) {
	t.Helper()
	ns := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	fd, err := unix.Open(ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ctx, cancel := context.WithCancel(t.Context())
	out, done := make(chan struct{}, 1000), make(chan error, 1)
	go func() {
		enter(t, fd)
		done <- h.Watch(ctx, func() {
			if _, err := h.Friends(Wanted{Own: true, Gateways: true}); err != nil {
				t.Error(err)
			}
			out <- struct{}{}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return out
}

func ip(t testing.TB, batch string) {
	t.Helper()
	c := exec.Command("ip", "-batch", "-")
	c.Stdin = strings.NewReader(batch)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v\n%s", err, out)
	}
}

func await(t *testing.T, calls <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-calls:
	case <-time.After(5 * time.Second):
		t.Fatalf("not told of %s", what)
	}
}

// TestWatch: a new next hop, a lost one and an address are noticed; routes over
// known hops are not.
func TestWatch(t *testing.T) {
	inNetns(t, wire+"addr add 192.0.2.2/24 dev d0\nroute add default via 192.0.2.1\n")
	h := new(Host)
	calls := watched(t, h)
	await(t, calls, "the beginning")
	ip(t, "route add 198.51.100.0/24 via 192.0.2.1\n")
	ip(t, "route add 203.0.113.0/24 via 192.0.2.7\n")
	await(t, calls, "a next hop")
	if got := friends(t, h, "gateway"); !slices.Equal(got, []string{"192.0.2.1", "192.0.2.7"}) {
		t.Errorf("next hops %v", got)
	}
	ip(t, "route del 203.0.113.0/24\n")
	await(t, calls, "a next hop that is gone")
	if got := friends(t, h, "gateway"); !slices.Equal(got, []string{"192.0.2.1"}) {
		t.Errorf("next hops %v", got)
	}
	ip(t, "addr add 192.0.2.3/24 dev d0\n")
	await(t, calls, "an address")
	ip(t, "nexthop add id 5 via 192.0.2.5 dev d0\n")
	await(t, calls, "a nexthop object")
	select {
	case <-calls:
		t.Error("told of what is no change")
	default:
	}
}

// TestManyRoutes is a bar: with 200,000 routes the memory grows by at most a read's
// buffer, and bursts of changes cost at most 1 % of a core beside the one look that
// follows the first of them. Two looks are allowed: the machine may be busy.
func TestManyRoutes(t *testing.T) {
	inNetns(t, wire+"addr add 192.0.2.2/24 dev d0\n"+manyRoutes("add", 200_000))
	h := new(Host)
	if n := testing.AllocsPerRun(1, func() {
		if _, err := new(Host).Friends(Wanted{Own: true, Gateways: true}); err != nil {
			t.Error(err)
		}
	}); n > 2000 {
		t.Errorf("%v allocations for 200,000 routes", n)
	}
	before := processor(t)
	if got := friends(t, h, "gateway"); !slices.Equal(got, []string{"192.0.2.1", "192.0.2.9"}) {
		t.Errorf("next hops %v", got)
	}
	look := processor(t) - before
	t.Logf("200,000 routes looked at in %v of processor time", look)
	calls := watched(t, h)
	await(t, calls, "the beginning")
	before = processor(t)
	const seconds = 3
	for range seconds {
		ip(t, manyRoutes("del", 500)+manyRoutes("add", 500))
		time.Sleep(time.Second)
	}
	used := processor(t) - before
	t.Logf("%v of processor time in %d bursts of 1,000 changes", used, seconds)
	if used > seconds*time.Second/100+2*look {
		t.Errorf("%v of processor time in %d s, of which a look takes %v", used, seconds, look)
	}
}

func manyRoutes(verb string, n int) string {
	var b strings.Builder
	for i := range n {
		a := netip.AddrFrom4([4]byte{10 + byte(i>>16), byte(i >> 8), byte(i), 0})
		via := "192.0.2.1"
		if i%2 == 1 {
			via = "192.0.2.9"
		}
		fmt.Fprintf(&b, "route %s %s/32 via %s\n", verb, a, via)
	}
	return b.String()
}

// processor returns the processor time of this process.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
