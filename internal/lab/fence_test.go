// SPDX-License-Identifier: MIT

package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// echoing starts a TCP service that sends back every line. It ends with the test.
func echoing(t *testing.T, h *Host, port uint16) {
	t.Helper()
	l, err := h.Echo(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// untracked keeps two services of the host out of connection tracking, and publishes a third
// one.
const untracked = `table inet raw {
	chain in {
		type filter hook prerouting priority raw;
		udp dport 7002 notrack
		tcp dport 7003 notrack
	}
	chain out {
		type filter hook output priority raw;
		udp sport 7002 notrack
		tcp sport 7003 notrack
	}
}
` + dnat

// A talk is a lasting flow of an innocent.
type talk struct {
	name, network string
	to            netip.AddrPort
	conn          net.Conn
}

// say sends a line and expects it back. Datagrams may get lost, segments may not.
func (x *talk) say(line string) error {
	for try := 0; ; try++ {
		x.conn.SetDeadline(time.Now().Add(time.Second))
		if x.network == "tcp" {
			x.conn.SetDeadline(time.Now().Add(5 * time.Second))
		}
		if _, err := fmt.Fprintln(x.conn, line); err != nil {
			return err
		}
		got, err := bufio.NewReader(x.conn).ReadString('\n')
		if err == nil && got == line+"\n" {
			return nil
		}
		if x.network == "tcp" || try == 2 {
			return fmt.Errorf("got %q, %v", got, err)
		}
	}
}

// stream sends 20 megabits a second to a host, from a client's address, for six seconds. It returns
// once they run; what the channel gives is nil if all came.
func stream(t *testing.T, l *Lab, to *Host, from, dst netip.Addr) <-chan error {
	t.Helper()
	serve := to.Command(t.Context(), "iperf3", "-s", "-1", "-B", dst.String())
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { serve.Wait() })
	sockets := func(state string, n int) func() bool {
		return func() bool {
			out, _ := to.Run("ss", "-Htn", "state", state, "sport", "=", ":5201")
			return strings.Count(out, "\n") >= n
		}
	}
	eventually(t, 10*time.Second, "iperf3 listens", sockets("listening", 1))
	ended := make(chan error, 1)
	go func() {
		const size, unread = 16_000_000, 1 << 18 // iperf3 ends before it has read its last blocks
		out, err := l.Attacker.Run("iperf3", "-J", "-B", from.String(), "-c", dst.String(), "-b", "20M",
			"-n", strconv.Itoa(size))
		var said struct {
			Error string
			End   struct {
				Received struct{ Bytes int } `json:"sum_received"`
			}
		}
		err = errors.Join(err, json.Unmarshal([]byte(out), &said))
		if n := said.End.Received.Bytes; err == nil && (said.Error != "" || n < size-unread) {
			err = fmt.Errorf("%q, %+v", said.Error, said.End)
		}
		ended <- err
	}()
	eventually(t, 10*time.Second, "iperf3 sends", sockets("established", 2))
	return ended
}

// TestForgedScanCutsNoFlow: a scan in an innocent's name gets it fenced, but cuts none of its
// flows: to this host, forwarded, to a published port, to services without connection tracking,
// and by UDP after a silence that connection tracking does not remember. New connections are
// refused while the fence lasts.
func TestForgedScanCutsNoFlow(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Target.NFT(untracked); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		h    *Host
		port uint16
	}{{l.Target, 7000}, {l.Target, 7003}, {c, 80}} {
		echoing(t, x.h, x.port)
	}
	for _, x := range []struct {
		h    *Host
		port uint16
	}{{l.Target, 7001}, {l.Target, 7002}, {c, 80}} {
		listen(t, x.h, "udp", x.port)
	}
	d := start(t, l.Target, Options{})
	// Six seconds of silence stand for five minutes.
	if err := l.Target.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "4",
		"net/netfilter/nf_conntrack_udp_timeout_stream", "4",
		"net/ipv4/conf/all/rp_filter", "0", "net/ipv4/conf/eth0/rp_filter", "0"); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name                  string
		innocent, dst, inside netip.Addr
	}{
		{"IPv4", Source4(1), l.Target.V4, c.V4},
		{"IPv6", Source6(1), l.Target.V6, c.V6},
	} {
		t.Run(f.name, func(t *testing.T) {
			var talks []*talk
			for _, x := range []talk{
				{name: "host", network: "tcp", to: netip.AddrPortFrom(f.dst, 7000)},
				{name: "host", network: "udp", to: netip.AddrPortFrom(f.dst, 7001)},
				{name: "untracked", network: "udp", to: netip.AddrPortFrom(f.dst, 7002)},
				{name: "untracked", network: "tcp", to: netip.AddrPortFrom(f.dst, 7003)},
				{name: "forwarded", network: "tcp", to: netip.AddrPortFrom(f.inside, 80)},
				{name: "forwarded", network: "udp", to: netip.AddrPortFrom(f.inside, 80)},
				{name: "published", network: "tcp", to: netip.AddrPortFrom(f.dst, 600)},
				{name: "published", network: "udp", to: netip.AddrPortFrom(f.dst, 600)},
			} {
				if x.conn, err = l.Attacker.Dial(x.network, f.innocent, x.to, 3*time.Second); err != nil {
					t.Fatalf("%s %s: %v", x.name, x.network, err)
				}
				defer x.conn.Close()
				talks = append(talks, &x)
			}
			all := func(when string) {
				t.Helper()
				for _, x := range talks {
					if err := x.say(when); err != nil {
						t.Errorf("%s, %s %s: %v", when, x.name, x.network, err)
					}
				}
			}
			for range 4 { // a UDP flow counts as lasting after two seconds
				all("before")
				time.Sleep(time.Second)
			}
			time.Sleep(6 * time.Second)
			streams := map[string]<-chan error{"host": stream(t, l, l.Target, f.innocent, f.dst),
				"forwarded": stream(t, l, c, f.innocent, f.inside)}
			began := time.Now()
			// Half a million packets for each family, while the flows go on.
			for round := range uint16(84) {
				var forged []packet
				for n := range uint16(1000) {
					p := 1 + (round*1000+n)%65000
					forged = append(forged, clientSYN(f.innocent, f.dst, 50000, p),
						udp(f.innocent, f.dst, 50000, p, "x"),
						tcp(f.innocent, f.dst, segment{from: 50000, to: p, seq: 1, flags: ack}),
						icmpError(f.innocent, f.dst, p),
						chunk(f.innocent, f.dst, p, 1), udp(f.innocent, f.dst, 53, 30000+p%30000, "x"))
				}
				pour(t, l.Attacker, forged)
				if round%12 == 0 {
					all(fmt.Sprintf("after %d packets", 6000*(int(round)+1)))
				}
			}
			poured := time.Since(began)
			for name, ended := range streams {
				if err := <-ended; err != nil {
					t.Errorf("iperf3, %s: %v", name, err)
				}
			}
			t.Logf("forged for %v, streamed for %v", poured, time.Since(began))
			b, err := d.WaitBlock(f.innocent, 3*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if b.Proven {
				t.Errorf("forged packets prove somebody: %+v", b)
			}
			all("fenced")
			if conn, err := l.Attacker.Dial("tcp", f.innocent, netip.AddrPortFrom(f.dst, 7000),
				2*time.Second); err == nil {
				conn.Close()
				blocks, _ := d.Blocks()
				t.Errorf("a fenced source was let in anew: nothing is shown by flows that live: %+v", blocks)
			}
			all("and later")
			if _, err := l.Target.Run("conntrack", "-F"); err != nil {
				t.Fatal(err)
			}
			all("fenced, and connection tracking flushed")
			all("and later again")
		})
	}
}

// TestLastingPeers: who talks by UDP for more than two seconds, with this host or with one behind it,
// is known long after connection tracking has forgotten it: by large packets if there are many, and
// by one that is as small as a keepalive, since some say nothing more for hours.
func TestLastingPeers(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	listen(t, l.Target, "udp", 7001)
	listen(t, c, "udp", 80)
	start(t, l.Target, Options{})
	known := func(family string, of, with netip.AddrPort) func() bool {
		return func() bool {
			out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "peers"+family)
			entry := fmt.Sprintf("%s . %d . %d ", of.Addr(), of.Port(), with.Port())
			return err == nil && strings.Contains(out, entry)
		}
	}
	for _, x := range []struct {
		name, family string
		from         netip.Addr
		to           netip.AddrPort
		forwarded    bool
	}{
		{"host, IPv4", "4", Source4(1), netip.AddrPortFrom(l.Target.V4, 7001), false},
		{"host, IPv6", "6", Source6(1), netip.AddrPortFrom(l.Target.V6, 7001), false},
		{"forwarded, IPv4", "4", Source4(1), netip.AddrPortFrom(c.V4, 80), true},
		{"forwarded, IPv6", "6", Source6(1), netip.AddrPortFrom(c.V6, 80), true},
	} {
		t.Run(x.name, func(t *testing.T) {
			dial := func() (*talk, netip.AddrPort) {
				t.Helper()
				conn, err := l.Attacker.Dial("udp", x.from, x.to, time.Second)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				return &talk{conn: conn, network: "udp"}, conn.LocalAddr().(*net.UDPAddr).AddrPort()
			}
			ask := func(peer *talk, size, times int) {
				t.Helper()
				for range times {
					if err := peer.say(strings.Repeat("x", size)); err != nil {
						t.Fatal(err)
					}
				}
			}
			loud, from := dial()
			quiet, whence := dial()
			ask(loud, 200, 200)
			ask(quiet, 31, 2)
			if known(x.family, from, x.to)() || known(x.family, whence, x.to)() {
				t.Error("a flow that has just begun is taken for a lasting one")
			}
			time.Sleep(2500 * time.Millisecond)
			ask(quiet, 31, 1)
			eventually(t, time.Second, "a peer that seldom speaks is known", known(x.family, whence, x.to))
			ask(loud, 200, 400) // all of them forget it once in 10^11 runs
			eventually(t, time.Second, "the peer is known", known(x.family, from, x.to))
			if x.forwarded {
				eventually(t, time.Second, "so is who answers", known(x.family, x.to, from))
			}
		})
	}
}

// TestFencedScanLearnsNothing: a fenced scanner gets no more answers from a listener or a
// closed port, with any flags. Resets are dropped too: they would tell the two apart.
func TestFencedScanLearnsNothing(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	listen(t, c, "tcp", 80)
	for _, port := range []uint16{22, 80, 443} {
		listen(t, l.Target, "tcp", port)
	}
	listen(t, l.Target, "udp", 53)
	if err := l.Target.Sysctl("net/ipv4/icmp_ratelimit", "0", "net/ipv6/icmp/ratelimit", "0"); err != nil {
		t.Fatal(err)
	}
	d := start(t, l.Target, Options{Config: "[tcp]\nmodes = [\"stealth\", \"advanced\"]\n"})
	for _, f := range []struct {
		name             string
		src, dst, behind netip.Addr
	}{{"IPv4", Source4(1), l.Target.V4, c.V4}, {"IPv6", Source6(1), l.Target.V6, c.V6}} {
		t.Run(f.name, func(t *testing.T) {
			a := attackers{own: f.src, dst: f.dst}
			pour(t, l.Attacker, fullScan(a))
			if _, err := d.WaitEvent(3*time.Second, "action=fence"); err != nil {
				t.Fatal(err)
			}
			segments := func(to netip.Addr, from uint16, flags byte) func(p uint16) packet {
				return func(p uint16) packet {
					return tcp(f.src, to, segment{from: from, to: p, seq: 9, flags: flags})
				}
			}
			for name, each := range map[string]func(p uint16) packet{
				"-sA":                       segments(f.dst, 40001, ack),
				"-sM":                       segments(f.dst, 40002, fin|ack),
				"-sA of what is behind":     segments(f.behind, 40006, ack),
				"-sM of what is behind":     segments(f.behind, 40007, fin|ack),
				"-sF of what is behind":     segments(f.behind, 40008, fin),
				"-sN of what is behind":     segments(f.behind, 40009, 0),
				"-sS of what is behind":     segments(f.behind, 40010, syn),
				"RST+ACK to what is behind": segments(f.behind, 40011, rst|ack),
				"SYN+ACK to what is behind": segments(f.behind, 40012, synAck),
				"-sU": func(p uint16) packet {
					return udp(f.src, f.dst, 40003, p, "x")
				},
				"-sS": func(p uint16) packet {
					return clientSYN(f.src, f.dst, 40004, p)
				},
				"SYN+ACK": segments(f.dst, 40005, synAck),
			} {
				if n := answersTo(t, l, func() { pour(t, l.Attacker, ports1000(each)) }); n != 0 {
					t.Errorf("%s of a fenced source: %d of 1000 ports answered, want none", name, n)
				}
			}
		})
	}
}

// TestConnectedScannerIsFenced: a live connection does not spare a scanner, even if it was
// silent for so long that picket has not looked at its peers for a while.
func TestConnectedScannerIsFenced(t *testing.T) {
	l := newLab(t)
	echoing(t, l.Target, 7000)
	d := start(t, l.Target, Options{})
	for name, f := range families(l, 1) {
		t.Run(name, func(t *testing.T) {
			x := talk{network: "tcp", to: netip.AddrPortFrom(f[1], 7000)}
			var err error
			if x.conn, err = l.Attacker.Dial("tcp", f[0], x.to, time.Second); err != nil {
				t.Fatal(err)
			}
			defer x.conn.Close()
			time.Sleep(12 * time.Second)
			a := attackers{own: f[0], dst: f[1]}
			if n := answersTo(t, l, func() { pour(t, l.Attacker, fullScan(a)) }); n > 40 {
				t.Errorf("%d of 1000 ports answered", n)
			}
			if _, err := d.WaitEvent(3*time.Second, "action=fence", told(a)[0]); err != nil {
				t.Error(err)
			}
			if c, err := l.Attacker.Dial("tcp", f[0], x.to, 2*time.Second); err == nil {
				c.Close()
				t.Error("a fenced source was let in anew")
			}
			if err := x.say("still there"); err != nil {
				t.Error(err)
			}
		})
	}
}
