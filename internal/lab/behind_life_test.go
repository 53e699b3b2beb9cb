// SPDX-License-Identifier: MIT

package lab

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flowsOfLife is how many flows there are: with the race detector, which is slow, a fifth.
func flowsOfLife() int64 {
	if raced() {
		return 20_000
	}
	return 100_000
}

// TestBehindOrdinaryLife: a hundred thousand flows through the target, from five hundred
// visitors and from behind it, get nobody blocked, fenced or called infected. Visitors find
// services for the first time, mistype a port, ask for addresses that are gone, and lose
// connections.
func TestBehindOrdinaryLife(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	four, six := many(t, c, 40)
	served := []uint16{22, 25, 53, 80, 110, 143, 443, 465, 587, 993, 995, 3306, 5432, 6379, 8080, 8443}
	for _, port := range served {
		listen(t, c, "tcp", port)
		listen(t, c, "udp", port)
		listen(t, l.Attacker, "tcp", port)
	}
	visitors4, visitors6 := visitors(t, l, 250)
	if err := l.Target.Sysctl("net/netfilter/nf_conntrack_tcp_timeout_time_wait", "3",
		"net/netfilter/nf_conntrack_tcp_timeout_close", "3", "net/netfilter/nf_conntrack_udp_timeout",
		"3"); err != nil {
		t.Fatal(err)
	}
	d := start(t, l.Target, Options{Config: routed})
	var done, failed atomic.Int64
	var group sync.WaitGroup
	for w := range 64 {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 15))
			for done.Add(1) <= flowsOfLife() {
				hosts, visitors, dead := four, visitors4, "198.51.100.%d"
				if r.IntN(2) == 0 {
					hosts, visitors, dead = six, visitors6, "2001:db8:c::%d"
				}
				n := r.IntN(len(visitors))
				visitor, host := visitors[n], hosts[r.IntN(len(hosts))]
				port := served[r.IntN(len(served))]
				var err error
				switch kind := r.IntN(1000); {
				case kind < 3: // a port without a service: each visitor has three wrong ones
					l.Attacker.Reaches(visitor, netip.AddrPortFrom(host, uint16(9000+n%50*10+r.IntN(3))),
						time.Second)
				case kind < 5: // an address that is gone
					l.Attacker.Reaches(visitor, netip.AddrPortFrom(addr(fmt.Sprintf(dead, 200+n%40)),
						port), 100*time.Millisecond)
				case kind < 200:
					err = echo(l.Attacker, visitor, netip.AddrPortFrom(host, port))
				case kind < 300: // from behind
					err = talks(c, host, netip.AddrPortFrom(visitor, port))
				default:
					err = talks(l.Attacker, visitor, netip.AddrPortFrom(host, port))
				}
				if err != nil {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := failed.Load(); n > flowsOfLife()/100 {
		t.Errorf("%d of %d flows failed", n, flowsOfLife())
	}
	pour(t, l.Attacker, fullScan(attackers{own: Source4(1), dst: c.V4})) // the witness, seen last
	if _, err := d.WaitBlock(Source4(1), 3*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, line := range d.Events() {
		if strings.Contains(line, "event=block") && !strings.Contains(line,
			"source="+Source4(1).String()+" ") ||
			strings.Contains(line, "event=infection") {
			t.Errorf("an innocent: %s", line)
		}
	}
	t.Logf("%d flows, %d of them failed", flowsOfLife(), failed.Load())
}

// visitors gives the attacker n addresses of each family. The target routes their networks to
// the attacker; each IPv6 address is a source of its own.
func visitors(t *testing.T, l *Lab, n int) (four, six []netip.Addr) {
	t.Helper()
	var commands []string
	for i := range n {
		four = append(four, addr(fmt.Sprintf("203.0.113.%d", i+1)))
		six = append(six, addr(fmt.Sprintf("2001:db8:1:%x::1", i+1)))
		commands = append(commands, fmt.Sprintf("addr add %s/32 dev lo", four[i]),
			fmt.Sprintf("addr add %s/128 dev lo", six[i]))
	}
	if err := l.Attacker.IP(commands...); err != nil {
		t.Fatal(err)
	}
	if err := l.Target.IP("route add 203.0.113.0/24 via 192.0.2.1",
		"route add 2001:db8:1::/48 via 2001:db8::1"); err != nil {
		t.Fatal(err)
	}
	return four, six
}

// talks connects and reads until the service closes.
func talks(h *Host, from netip.Addr, to netip.AddrPort) error {
	conn, err := h.Dial("tcp", from, to, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
