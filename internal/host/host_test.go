// SPDX-License-Identifier: MIT

package host

import (
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/netns/netnstest"

	"golang.org/x/sys/unix"
)

// inNetns runs the rest of the test in a network namespace of its own, until the
// end of the thread.
func inNetns(t testing.TB, batch string) {
	t.Helper()
	netnstest.Enter(t)
	c := exec.Command("ip", "-batch", "-")
	c.Stdin = strings.NewReader(batch)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v\n%s", err, out)
	}
}

// connect makes n connections from one address of this host to another.
func connect(t testing.TB, l net.Listener, from string, n int) {
	t.Helper()
	for range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(); s.Close() })
	}
}

const wire = "link set lo up\nlink add d0 type veth peer d1\nlink set d0 up\nlink set d1 up\n"

const addresses4and6 = wire + "addr add 192.0.2.1/24 dev d0\naddr add 192.0.2.2/24 dev d0\n" +
	"addr add 2001:db8::1/64 dev d0 nodad\naddr add 2001:db8::2/64 dev d0 nodad\n"

// awaitLocal waits until the kernel takes IPv6 addresses for its own: it adds their
// routes in a work queue, even with nodad (addrconf_dad_begin in
// net/ipv6/addrconf.c), and an earlier connection asks the link for them.
func awaitLocal(t *testing.T, addresses ...string) {
	t.Helper()
	limit := time.Now().Add(5 * time.Second)
	for _, a := range addresses {
		for {
			out, err := exec.Command("ip", "-6", "route", "get", a).CombinedOutput()
			if err == nil && strings.HasPrefix(string(out), "local ") {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%s is not local: %v: %s", a, err, out)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestPeers(t *testing.T) {
	inNetns(t, addresses4and6)
	awaitLocal(t, "2001:db8::1", "2001:db8::2")
	listen := func(address string) net.Listener {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	four, six, dual, trap := listen("192.0.2.1:0"), listen("[2001:db8::1]:0"), listen("[::]:8080"),
		listen("127.0.0.1:0")
	ask := func(except uint16, want ...string) {
		t.Helper()
		got, err := Peers(except)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, a := range got {
			text = append(text, a.String())
		}
		if !slices.Equal(text, want) {
			t.Errorf("peers %v, want %v", text, want)
		}
	}
	ask(0)
	connect(t, trap, "127.0.0.1", 1)
	ask(0) // loopback is nobody
	connect(t, four, "192.0.2.2", 3)
	connect(t, six, "2001:db8::2", 2)
	// Both ends are here, so each is the other's peer.
	ask(0, "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
	port := netip.MustParseAddrPort(six.Addr().String()).Port()
	ask(port, "192.0.2.1", "192.0.2.2", "2001:db8::1")
	// A socket for both families knows an IPv4 peer by its mapped address.
	c, err := net.Dial("tcp4", "192.0.2.2:8080")
	if err != nil {
		t.Fatal(err)
	}
	s, err := dual.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ask(port, "192.0.2.1", "192.0.2.2", "2001:db8::1")
	// A closed connection is none, TIME_WAIT and FIN_WAIT included.
	c.Close()
	s.Close()
	ask(port, "192.0.2.1", "192.0.2.2", "2001:db8::1")
}

func TestPeerRefuses(t *testing.T) {
	good := make([]byte, sizeMessage)
	good[0], good[atRemote] = unix.AF_INET, 192
	good[atLocalPort], good[atLocalPort+1] = 0x1f, 0x90
	if a, ok := peer(good, 0); !ok || a != netip.MustParseAddr("192.0.0.0") {
		t.Errorf("a good message: %v, %v", a, ok)
	}
	if _, ok := peer(good, 8080); ok {
		t.Error("a connection to the excepted port counts")
	}
	if _, ok := peer(good[:sizeMessage-1], 0); ok {
		t.Error("a short message counts")
	}
	good[0] = unix.AF_UNIX
	if _, ok := peer(good, 0); ok {
		t.Error("a message of another family counts")
	}
}

// BenchmarkPeers asks with 5,000 connections, each of both ends.
func BenchmarkPeers(b *testing.B) {
	inNetns(b, addresses4and6)
	l, err := net.Listen("tcp", "192.0.2.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	connect(b, l, "192.0.2.2", 5000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Peers(0); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOnLink(t *testing.T) {
	inNetns(t, wire+"addr add 192.0.2.1/24 dev d0\naddr add 198.51.100.1/32 dev d0\n"+
		"addr add 2001:db8:1::1/64 dev d0 nodad\naddr add 2001:db8:2::1/128 dev d0 nodad\n"+
		"route add 2001:db8:2::/64 dev d0 proto ra\nroute add 2001:db8:3::/48 dev d0 proto static\n"+
		"route add 2001:db8:4::/64 via 2001:db8:1::2 proto ra\nroute add default dev d0 proto ra\n")
	got, err := OnLink()
	if err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]bool{
		"192.0.2.0/24": true, "198.51.100.1/32": true, "2001:db8:1::/64": true,
		"2001:db8:2::/64": true,  // announced: the host has a single address of it
		"2001:db8:3::/48": false, // the operator's route
		"2001:db8:4::/64": false, // behind a router
		"::/0":            false,
	} {
		if slices.Contains(got, netip.MustParsePrefix(prefix)) != want {
			t.Errorf("%s on link: %v, want %v; all: %v", prefix, !want, want, got)
		}
	}
}

// TestHalfClosedPeers: half a connection counts, from either end, and one without a
// process does not.
func TestHalfClosedPeers(t *testing.T) {
	inNetns(t, addresses4and6)
	l, err := net.Listen("tcp", "192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("192.0.2.2")}}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	both := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if got, err := Peers(0); err != nil || !slices.Equal(got, both) {
		t.Errorf("half closed: %v, %v, want %v", got, err, both)
	}
	c.Close() // the kernel alone waits for the other end
	if got, err := Peers(0); err != nil || !slices.Equal(got, both[1:]) {
		t.Errorf("closed at one end: %v, %v, want %v", got, err, both[1:])
	}
}

// enter puts the calling goroutine into a network namespace, for good.
func enter(t testing.TB, fd int) {
	runtime.LockOSThread()
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		t.Error(err)
	}
}
