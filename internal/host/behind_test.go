// SPDX-License-Identifier: MIT

package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func setting(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// TestNetworks: the networks of a host's links are behind it, except those of the
// default route. A bridge without a card of the machine belongs to containers.
func TestNetworks(t *testing.T) {
	inNetns(t, wire+"addr add 192.0.2.2/24 dev d0\nroute add default via 192.0.2.1\n"+
		"addr add 2001:db8::2/64 dev d0 nodad\nroute add 2000::/3 via 2001:db8::1\n"+
		"link add docker0 type bridge\naddr add 198.51.100.1/25 dev docker0\n"+
		"addr add 2001:db8:c::1/64 dev docker0 nodad\n"+
		"link add v0 type veth peer v1\nlink set v0 master docker0\nlink set docker0 up\n"+
		"link add br0 type bridge\nlink add card link d1 type macvlan\nlink set card master br0\n"+
		"addr add 198.51.100.129/26 dev br0\nlink set br0 up\n"+
		"link add lan0 type veth peer lan1\naddr add 203.0.113.1/24 dev lan0\n"+
		"addr add 203.0.113.2/32 dev lan0\nlink set lan0 up\n"+
		"link add kube-ipvs0 type veth peer kube1\n"+
		"addr add 203.0.113.129/25 dev kube-ipvs0\nlink set kube-ipvs0 up\n")
	names := func() (out []string) {
		list, err := Networks()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			out = append(out, fmt.Sprintf("%s %s %v", n.Prefix, n.Interface, n.Container))
		}
		return out
	}
	setting(t, "ipv4/ip_forward", "0")
	setting(t, "ipv6/conf/all/forwarding", "0")
	if got := names(); len(got) != 0 {
		t.Errorf("behind a host that forwards nothing are %q", got)
	}
	setting(t, "ipv4/ip_forward", "1")
	setting(t, "ipv6/conf/all/forwarding", "1")
	want := []string{"198.51.100.0/25 docker0 true", "198.51.100.128/26 br0 false",
		"203.0.113.0/24 lan0 false", "2001:db8:c::/64 docker0 true"}
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestTracker: connection tracking distinguishes an answered flow from an unanswered
// one, and has forgotten a refused one.
func TestTracker(t *testing.T) {
	inNetns(t, "link set lo up\n")
	// Without a rule that asks for it there is no connection tracking.
	const asks = "add table inet t { chain c { type filter hook input priority 0; ct state new; }; }"
	if out, err := exec.Command("nft", asks).CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	tracker, err := OpenTracker()
	if err != nil {
		t.Fatal(err)
	}
	defer tracker.Close()
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		from, to := c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort()
		for _, x := range [][2]netip.AddrPort{{from, to}, {to, from}} {
			if got, err := tracker.Flow(unix.IPPROTO_TCP, x[0], x[1]); err != nil ||
				got != (Tracked{Known: true, Replied: true}) {
				t.Errorf("a connection from %s: %+v, %v", x[0], got, err)
			}
		}
		closed := netip.AddrPortFrom(to.Addr(), 1)
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host), Port: int(from.Port()) ^ 1},
			Timeout: time.Second}
		if c, err := d.Dial("tcp", closed.String()); err == nil {
			c.Close()
			t.Fatal("port 1 is open")
		}
		from = netip.AddrPortFrom(from.Addr(), from.Port()^1)
		if got, err := tracker.Flow(unix.IPPROTO_TCP, from, closed); err != nil || got.Known {
			t.Errorf("a refused connection: %+v, %v", got, err)
		}
		u, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		silent, err := net.Dial("udp", u.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		if _, err := silent.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		from, to = silent.LocalAddr().(*net.UDPAddr).AddrPort(), silent.RemoteAddr().(*net.UDPAddr).AddrPort()
		if got, err := tracker.Flow(unix.IPPROTO_UDP, from, to); err != nil || got != (Tracked{Known: true}) {
			t.Errorf("a datagram that nobody answers: %+v, %v", got, err)
		}
	}
}

// TestCut: the flows of some sources are ended, and no others. The flag that a flowtable
// carries a flow stands for any.
func TestCut(t *testing.T) {
	inNetns(t, "link set lo up\n")
	const asks = "add table inet t { chain c { type filter hook input priority 0; ct state new; }; }"
	if out, err := exec.Command("nft", asks).CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect(t, l, "127.0.0.2", 3)
	connect(t, l, "127.0.0.3", 2)
	sources := func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.2") }
	if n, err := CutOffloaded(sources); n != 0 || err != nil {
		t.Errorf("%d flows ended that no flowtable carries: %v", n, err)
	}
	if n, err := cut(ctSeenReply, sources); n != 3 || err != nil {
		t.Errorf("%d of 3 flows ended: %v", n, err)
	}
	flows, err := Flows(0)
	if err != nil || flows[netip.MustParseAddr("127.0.0.2")] || !flows[netip.MustParseAddr("127.0.0.3")] {
		t.Errorf("left: %v, %v", flows, err)
	}
}
