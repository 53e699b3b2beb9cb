// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestServices: a socket that waits for anybody from outside is a service; one with a
// peer, or on loopback, is not.
func TestServices(t *testing.T) {
	open := func(network, address string) uint16 {
		t.Helper()
		switch network {
		case "tcp":
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return uint16(l.Addr().(*net.TCPAddr).Port)
		case "dial":
			c, err := net.Dial("udp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return uint16(c.LocalAddr().(*net.UDPAddr).Port)
		}
		c, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return uint16(c.LocalAddr().(*net.UDPAddr).Port)
	}
	wild, wildUDP, trap := open("tcp", ":0"), open("udp", ":0"), open("tcp", "0.0.0.0:0")
	lo, connected := open("tcp", "127.0.0.1:0"), open("dial", "127.0.0.1:9")
	list, err := Services(trap)
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[Service]bool{
		{6, wild}: true, {17, wildUDP}: true, {6, trap}: false, {6, lo}: false, {17, connected}: false,
	} {
		if slices.Contains(list, s) != want {
			t.Errorf("%+v: listed %v, want %v", s, !want, want)
		}
	}
}

func TestOperators(t *testing.T) {
	record := func(kind uint16, addr ...byte) []byte {
		b := make([]byte, utmpSize)
		binary.NativeEndian.PutUint16(b, kind)
		copy(b[utmpAddress:], addr)
		return b
	}
	six := netip.MustParseAddr("2001:db8::7")
	b := slices.Concat(record(userProcess, 192, 0, 2, 7), record(8, 192, 0, 2, 8),
		record(userProcess, six.AsSlice()...), []byte("cut"))
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr("192.0.2.7"), six}, utmp(b),
		cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("utmp (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"UID=0\nREMOTE=1\nREMOTE_HOST=192.0.2.9\nSTATE=active\n":    "192.0.2.9",
		"UID=0\nREMOTE_HOST=192.0.2.9\nSTATE=closing\n":             "",
		"UID=0\nREMOTE_HOST=::ffff:192.0.2.9\n":                     "192.0.2.9",
		"UID=0\nREMOTE_HOST=somebody.example\nSTATE=active\n":       "",
		"UID=0\nACTIVE=1\nREMOTE=0\nSTATE=active\nSEAT=seat0\n\x00": "",
	} {
		a, ok := session([]byte(text))
		if got := a.String(); ok && got != want || !ok && want != "" {
			t.Errorf("%q: %v, %v, want %q", text, a, ok, want)
		}
	}
}

func TestSSHDPorts(t *testing.T) {
	for text, want := range map[string][]uint16{
		"": {22}, "#Port 7\nPermitRootLogin no\n": {22},
		"Port 2222\nport 22\nPort 2222\nPort many\n": {2222, 22},
	} {
		if got := sshdPorts([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
