// SPDX-License-Identifier: MIT

package trap

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRedirect has a trap in a namespace of its own, behind the redirection
// that the managed table makes, and dials ports of it from another namespace.
func TestRedirect(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	host, peer := newNamespace(t, "trap"), newNamespace(t, "peer")
	for _, ns := range []string{host, peer} { // or link-local addresses take a second
		command(t, "", "ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
	}
	command(t, "", "ip", "-n", host, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", peer)
	for i, ns := range []string{host, peer} {
		command(t, "", "ip", "-n", ns, "address", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", "eth0")
		command(t, "", "ip", "-n", ns, "address", "add", fmt.Sprintf("2001:db8::%d/64", i+1), "dev", "eth0",
			"nodad")
		command(t, "", "ip", "-n", ns, "link", "set", "eth0", "up")
	}
	var tr *Trap
	inside(t, host, func() { tr = listen(t, Config{Banner: []byte("no\n"), Bytes: 64}) })
	reports, _ := serve(t, tr)
	command(t, fmt.Sprintf(`table inet probe {
		set classic_tcp { type inet_service; flags interval; elements = { 1, 11, 2000-2010 } }
		map trap_port { type inet_proto : inet_service; elements = { tcp : %d } }
		chain trap {
			type nat hook prerouting priority dstnat
			tcp dport @classic_tcp redirect to :meta l4proto map @trap_port
		}
	}`, tr.Addrs()[0].Port()), "ip", "netns", "exec", host, "nft", "-f", "-")

	// By number: package net remembers the names of one namespace only.
	var linkLocal, zone string
	inside(t, host, func() { linkLocal, _ = linkLocalAddress(t) })
	inside(t, peer, func() { _, zone = linkLocalAddress(t) })
	for _, to := range []string{
		"192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.1:11", "[2001:db8::1]:2003", "192.0.2.1:2010",
		"[" + linkLocal + "%" + zone + "]:11",
		// Not redirected: what was dialled is the listener itself.
		netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), tr.Addrs()[0].Port()).String(),
		netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), tr.Addrs()[0].Port()).String(),
	} {
		t.Run(to, func(t *testing.T) {
			want := netip.MustParseAddrPort(to)
			want = netip.AddrPortFrom(want.Addr().WithZone(""), want.Port())
			inside(t, peer, func() {
				c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", to)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				b := make([]byte, 3)
				if _, err := c.Read(b); err != nil || string(b) != "no\n" {
					t.Errorf("banner %q, %v", b, err)
				}
				if _, err := c.Write([]byte("hello")); err != nil {
					t.Error(err)
				}
				r := next(t, reports)
				if r.Destination != want || r.Source != addrPort(c.LocalAddr()) || string(r.Data) != "hello" {
					t.Errorf("got %+v, want %v", r, want)
				}
			})
		})
	}
}

func newNamespace(t *testing.T, name string) string {
	t.Helper()
	name = "picket-" + name + "-" + strconv.Itoa(os.Getpid())
	command(t, "", "ip", "netns", "add", name)
	t.Cleanup(func() { command(t, "", "ip", "netns", "delete", name) })
	command(t, "", "ip", "-n", name, "link", "set", "lo", "up")
	return name
}

// inside runs f on a thread in the namespace, which ends with it.
func inside(t *testing.T, namespace string, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(done) // f may end this goroutine
		ns, err := os.Open("/run/netns/" + namespace)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			done <- err
			return
		}
		f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func linkLocalAddress(t *testing.T) (address, zone string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			t.Fatal(err)
		}
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			if n := a.(*net.IPNet); n.IP.IsLinkLocalUnicast() && n.IP.To4() == nil {
				return n.IP.String(), strconv.Itoa(i.Index)
			}
		}
	}
	t.Fatal("no link-local address after 5 s")
	return "", ""
}

func command(t *testing.T, input, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
