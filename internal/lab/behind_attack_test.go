// SPDX-License-Identifier: MIT

package lab

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// judgedAndForged makes a lab with a host behind the target, whose network is judged, and with
// somebody outside who can forge its addresses.
func judgedAndForged(t *testing.T) (l *Lab, behind *Host, d *Daemon) {
	t.Helper()
	l = newLab(t)
	behind = addBehind(t, l)
	addForger(t, l)
	d = start(t, l.Target, Options{Config: routed})
	// The first probe only shows that answers come this way.
	send(t, l.Attacker, knock(Source4(8), behind.V4, 15), knock(Source6(8), behind.V6, 15))
	return l, behind, d
}

// TestBehindAskedScans: a peer that was asked from behind the host may answer late. It may not
// scan the network from the port that was asked. A question that somebody outside forges in the
// network's name excuses nothing.
func TestBehindAskedScans(t *testing.T) {
	l, c, d := judgedAndForged(t)
	for _, f := range []struct {
		name               string
		src, forger, c, of netip.Addr
	}{
		{"IPv4", Source4(1), addr("203.0.113.7"), c.V4, addr("198.51.100.9")},
		{"IPv6", Source6(1), addr("2001:db8:0:8000::7"), c.V6, addr("2001:db8:c::9")},
	} {
		t.Run(f.name, func(t *testing.T) {
			send(t, c, udp(f.c, f.src, 40001, 53, "?"))
			send(t, l.Attacker, udp(f.of, f.forger, 40001, 53, "?"))
			for _, src := range []netip.Addr{f.src, f.forger} {
				n := answersTo(t, l, func() {
					pour(t, l.Attacker, ports1000(func(p uint16) packet { return udp(src, f.c, 53, p, "x") }))
				})
				t.Logf("%s: %d of 1000 answered", src, n)
				if n > 40 {
					t.Errorf("%d of 1000 ports answered %s, want at most 40", n, src)
				}
				if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestBehindTakenOver: a router that takes over from another knows none of the flows through
// it. Flows from many hosts behind it to one server continue, even if the server speaks first.
func TestBehindTakenOver(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	start(t, l.Target, Options{Config: routed})
	for _, f := range []struct {
		name   string
		server netip.Addr
	}{{"IPv4", l.Attacker.V4}, {"IPv6", l.Attacker.V6}} {
		t.Run(f.name, func(t *testing.T) {
			const flows = 60
			var listener net.Listener
			if err := l.Attacker.Do(func() (err error) {
				listener, err = net.ListenTCP("tcp",
					net.TCPAddrFromAddrPort(netip.AddrPortFrom(f.server, 443)))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			var ours, theirs []net.Conn
			for range flows {
				var conn net.Conn
				if err := c.Do(func() (err error) {
					conn, err = net.Dial("tcp", netip.AddrPortFrom(f.server, 443).String())
					return err
				}); err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				at, err := listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer at.Close()
				ours, theirs = append(ours, conn), append(theirs, at)
			}
			// Neither connection tracking nor the rules know these flows.
			if _, err := l.Target.Run("conntrack", "-F"); err != nil {
				t.Fatal(err)
			}
			for _, set := range []string{"sought4", "sought6"} {
				if _, err := l.Target.Run("nft", "flush", "set", "inet", "picket", set); err != nil {
					t.Fatal(err)
				}
			}
			for _, conn := range theirs {
				if _, err := conn.Write([]byte("news")); err != nil {
					t.Fatal(err)
				}
			}
			limit, cut := time.Now().Add(5*time.Second), 0
			for _, conn := range ours {
				_ = conn.SetReadDeadline(limit)
				if _, err := conn.Read(make([]byte, 9)); err != nil {
					cut++
				}
			}
			if cut > 0 {
				t.Errorf("%d of %d flows are cut", cut, flows)
			}
		})
	}
}

// TestBehindDatagramsOnly: a network with UDP alone is judged too, after its first answer.
func TestBehindDatagramsOnly(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	listen(t, c, "udp", 53)
	d := start(t, l.Target, Options{Config: routed})
	for _, f := range []struct {
		name             string
		client, src, dst netip.Addr
	}{{"IPv4", Source4(1), Source4(2), c.V4}, {"IPv6", Source6(1), Source6(2), c.V6}} {
		t.Run(f.name, func(t *testing.T) {
			if _, err := l.Target.Run("nft", "flush", "set", "inet", "picket", "heard"); err != nil {
				t.Fatal(err)
			}
			if err := echo(l.Attacker, f.client, netip.AddrPortFrom(f.dst, 53)); err != nil {
				t.Fatal(err)
			}
			pour(t, l.Attacker, ports1000(func(p uint16) packet { return udp(f.src, f.dst, 40000, p, "x") }))
			if _, err := d.WaitBlock(f.src, 3*time.Second); err != nil {
				t.Error(err)
			}
			untouched(t, d, f.client)
		})
	}
}

// TestBehindSilence: forged packets keep a source from a service behind this host only if the
// service has answered nobody within the hour, and only until it answers somebody.
func TestBehindSilence(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	listen(t, c, "tcp", 8443)
	start(t, l.Target, Options{Config: routed})
	send(t, l.Attacker, knock(Source4(8), c.V4, 15)) // shows that answers come this way
	eventually(t, 3*time.Second, "answers are heard", func() bool {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "heard")
		return err == nil && strings.Contains(out, "expires")
	})
	src, service := Source4(1), netip.AddrPortFrom(c.V4, 8443)
	pour(t, l.Attacker, ports1000(func(p uint16) packet { return clientSYN(src, c.V4, 40000, p) })[:30])
	eventually(t, 3*time.Second, "it is quiet", func() bool {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "quiet4")
		return err == nil && listed(out, src)
	})
	time.Sleep(time.Second) // for the fence, before it is ended here
	for _, set := range []string{"fence4", "held4"} {
		if _, err := l.Target.Run("nft", "flush", "set", "inet", "picket", set); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		src  netip.Addr
		gets bool
	}{{src, false}, {Source4(5), true}, {src, true}} {
		if got := l.Attacker.Reaches(x.src, service, 2*time.Second); got != x.gets {
			t.Errorf("%s gets in: %v, want %v", x.src, got, x.gets)
		}
	}
}

// TestBehindForgedFlows: a flow that somebody outside begins in the name of a host behind this one,
// or of this one, hides no scan. To connection tracking, what the scanner sends in it are answers.
func TestBehindForgedFlows(t *testing.T) {
	for _, x := range []struct {
		protocol string
		begin    func(from, to netip.Addr, sport, dport uint16) packet
	}{{"TCP", clientSYN}, {"UDP", func(from, to netip.Addr, sport, dport uint16) packet {
		return udp(from, to, sport, dport, "x")
	}}} {
		l, c, d := judgedAndForged(t)
		for _, f := range []struct {
			name     string
			src, dst netip.Addr
		}{
			{"IPv4", addr("203.0.113.7"), c.V4}, {"IPv6", addr("2001:db8:0:8000::7"), c.V6},
			{"this host, IPv6", addr("2001:db8:0:8000::7"), l.Target.V6},
		} {
			t.Run(x.protocol+", "+f.name, func(t *testing.T) {
				pour(t, l.Attacker, ports1000(func(p uint16) packet {
					return x.begin(f.dst, f.src, p, 40000)
				}))
				time.Sleep(time.Second) // what came back is no answer
				n := answersTo(t, l, func() {
					pour(t, l.Attacker, ports1000(func(p uint16) packet {
						return x.begin(f.src, f.dst, 40000, p)
					}))
				})
				t.Logf("%d of 1000 answered", n)
				if n > 40 {
					t.Errorf("%d of 1000 ports answered, want at most 40", n)
				}
				if _, err := d.WaitBlock(f.src, 3*time.Second); err != nil {
					t.Error(err)
				}
				if _, err := d.Cmd("unblock", "--all"); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}
