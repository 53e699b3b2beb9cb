// SPDX-License-Identifier: MIT

package nflog

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPorts(t *testing.T) {
	const sockets = `sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000003d36fb14 0   77         00000000 0        0        0     2        0        4
0000000090e14212 12  0          00000000 0        0        0     2        0        562
000000004b150c2f 12  4242       00000000 0        0        0     2        0        564
000000004b150c30 12  4294963098 00000000 0        0        0     2        0        565
000000004b150c31 12  4300       00000000 0        0        0     2        0        566
short line 12
`
	got := portsOf([]byte(sockets), map[string]bool{"566": true})
	if want := []string{"4242", "4294963098"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	const groups = "    6     99     0 2 3776    10 0  1\n   77   4242     0 2 3776    10 0  1\n"
	if got := portOf([]byte(groups), 77) + portOf([]byte(groups), 7); got != "4242" {
		t.Errorf("%q", got)
	}
	if got := name("4294963098"); got != "netlink port 4294963098" {
		t.Error(got)
	}
	self, want := os.Getpid(), "nflog.test"
	if got := name(fmt.Sprint(self)); got != fmt.Sprintf("process %d, %q (netlink port %d)", self, want,
		self) {
		t.Error(got)
	}
}

// The sockets of this process are its own, and are not reported.
func TestOwnSockets(t *testing.T) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(address.(*unix.SockaddrNetlink).Pid)
	b, err := exec.Command("cat", "/proc/net/netlink").Output()
	if err != nil {
		t.Fatal(err)
	}
	all, others := portsOf(b, nil), portsOf(b, ownSockets())
	if !slices.Contains(all, port) || slices.Contains(others, port) {
		t.Errorf("port %s: of all %q, of others %q", port, all, others)
	}
}
