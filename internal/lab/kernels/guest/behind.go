// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"picket/internal/lab"
)

// routed has what is behind the target judged.
const routed = "[forward]\nnetworks = [\"198.51.100.0/24\", \"2001:db8:c::/64\"]\n"

// fast has a flowtable carry every flow that is established, and counts what it does not carry.
const fast = `table inet fast {
	counter slow { }
	flowtable f { hook ingress priority 0; devices = { eth0, eth1 }; }
	chain c {
		type filter hook forward priority 0;
		counter name slow
		ct state established flow add @f
	}
}`

// flowtable: a flow that a flowtable carries past every rule ends when its source is blocked,
// and those of others go on.
func flowtable(l *lab.Lab) (notes string, err error) {
	c, err := l.AddContainer()
	if err != nil {
		return "", err
	}
	end, err := echoing(c, 7)
	if err != nil {
		return "", err
	}
	defer end()
	if err := l.Target.NFT(fast); err != nil {
		return "", err
	}
	d, err := start(l, lab.Options{Config: routed})
	if err != nil {
		return "", err
	}
	for i, network := range []string{"tcp", "udp"} {
		for _, f := range []struct{ src, other, dst netip.Addr }{
			{lab.Source4(1 + 2*i), lab.Source4(2 + 2*i), c.V4},
			{lab.Source6(1 + 2*i), lab.Source6(2 + 2*i), c.V6},
		} {
			to := netip.AddrPortFrom(f.dst, 7)
			his, err := carried(l, network, f.src, to)
			if err != nil {
				return "", fmt.Errorf("%s from %s: %w", network, f.src, err)
			}
			defer his.Close()
			others, err := carried(l, network, f.other, to)
			if err != nil {
				return "", fmt.Errorf("%s from %s: %w", network, f.other, err)
			}
			defer others.Close()
			if out, err := d.Cmd("block", f.src.String()); err != nil {
				return "", fmt.Errorf("%w: %s", err, out)
			}
			began := time.Now()
			for limit := began.Add(patience); say(his) == nil; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(limit) {
					return "", fmt.Errorf("the flow of %s by %s goes on; picket said %q", f.src, network,
						d.Events())
				}
			}
			took := time.Since(began) - answerTime // the last answer did not come for so long
			if err := say(others); err != nil {
				return "", fmt.Errorf("the flow of %s, whom nobody blocked: %w", f.other, err)
			}
			notes += fmt.Sprintf("%s of %s ended after %.1f s; ", network, f.src, took.Seconds())
		}
	}
	if err := sparedFlow(l, d, c); err != nil {
		return "", err
	}
	return notes, d.Stop()
}

// sparedFlow: a flow in the flowtable whose source is proven a scanner goes on, since it may be
// somebody else's behind the same address.
func sparedFlow(l *lab.Lab, d *lab.Daemon, c *lab.Host) error {
	src := lab.Source4(9)
	x, err := carried(l, "tcp", src, netip.AddrPortFrom(c.V4, 7))
	if err != nil {
		return err
	}
	defer x.Close()
	for _, port := range []uint16{1, 11, 15} {
		l.Attacker.Reaches(src, netip.AddrPortFrom(l.Target.V4, port), answerTime)
	}
	if err := waitProven(d, src); err != nil {
		return err
	}
	for range 5 { // while the flows are looked at, every two seconds
		time.Sleep(answerTime)
		if err := say(x); err != nil {
			return fmt.Errorf("a flow of %s, whose address is proven a scanner's: %w", src, err)
		}
	}
	return nil
}

// virtualServices: a service of IPVS is no probe's target; what else is asked of its address is
// judged as what is behind this host, and the flows of who is fenced for it go on.
func virtualServices(l *lab.Lab) (notes string, err error) {
	c, err := l.AddContainer()
	if err != nil {
		return "", err
	}
	end, err := echoing(c, 7)
	if err != nil {
		return "", err
	}
	defer end()
	four, six := netip.MustParseAddr("192.0.2.50"), netip.MustParseAddr("2001:db8::50")
	if err := l.Target.IP("addr add 192.0.2.50/32 dev eth0",
		"addr add 2001:db8::50/128 dev eth0 nodad"); err != nil {
		return "", err
	}
	for _, s := range []struct{ virtual, real netip.Addr }{{four, c.V4}, {six, c.V6}} {
		at, to := netip.AddrPortFrom(s.virtual, 7).String(), netip.AddrPortFrom(s.real, 7).String()
		for _, protocol := range []string{"-t", "-u"} {
			if out, err := l.Target.Run("ipvsadm", "-A", protocol, at, "-s", "rr"); err != nil {
				return "", fmt.Errorf("%w: %s", err, out)
			}
			if out, err := l.Target.Run("ipvsadm", "-a", protocol, at, "-r", to, "-m"); err != nil {
				return "", fmt.Errorf("%w: %s", err, out)
			}
		}
	}
	const hot = "[tcp]\ntrigger = { stealth = 0, advanced = 0 }\n" +
		"[udp]\ntrigger = { stealth = 0, advanced = 0 }\n"
	for _, config := range []string{hot, ""} {
		d, err := start(l, lab.Options{Config: config})
		if err != nil {
			return "", err
		}
		if err := found(l, four); err != nil {
			return "", err
		}
		for _, f := range []struct{ client, scanner, virtual netip.Addr }{
			{lab.Source4(1), lab.Source4(2), four}, {lab.Source6(1), lab.Source6(2), six},
		} {
			var talks []net.Conn
			for _, from := range []netip.Addr{f.client, f.scanner} {
				for _, network := range []string{"tcp", "udp"} {
					x, err := l.Attacker.Dial(network, from, netip.AddrPortFrom(f.virtual, 7), patience)
					if err != nil {
						return "", err
					}
					defer x.Close()
					if err := say(x); err != nil {
						return "", fmt.Errorf("%s from %s: %w", network, from, err)
					}
					talks = append(talks, x)
				}
			}
			n, err := scanOf(l, f.scanner, f.virtual)
			if err != nil {
				return "", err
			}
			b, err := d.WaitBlock(f.scanner, patience)
			if err != nil {
				return "", err
			}
			if n > 40 || b.Response != "fence" {
				return "", fmt.Errorf("%d of 1000 answered to %s, want at most 40; %+v", n, f.scanner, b)
			}
			notes += fmt.Sprintf("%d of 1000 answered to %s; ", n, f.scanner)
			if err := say(talks[2]); err != nil {
				return "", fmt.Errorf("the connection of %s, who is fenced: %w", f.scanner, err)
			}
			if _, is, err := d.Blocked(f.client); is || err != nil {
				return "", fmt.Errorf("%s, a client, is blocked, or it is not known: %v", f.client, err)
			}
			for _, x := range talks[:2] {
				if err := say(x); err != nil {
					return "", fmt.Errorf("a client's flow: %w", err)
				}
			}
		}
		if err := d.Stop(); err != nil {
			return "", err
		}
		if out, err := d.Cmd("remove"); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
	}
	return notes, nil
}

// found waits until picket knows that others serve an address.
func found(l *lab.Lab, a netip.Addr) error {
	for limit := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "elsewhere4")
		if err == nil && strings.Contains(out, a.String()) {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s is not found: %v, %s", a, err, out)
		}
	}
}

// carried returns a flow that a flowtable carries: a hundred answers, and not ten packets that
// met the rules.
func carried(l *lab.Lab, network string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	x, err := l.Attacker.Dial(network, from, to, patience)
	if err != nil {
		return nil, err
	}
	say := func(n int) error {
		for range n {
			if err := say(x); err != nil {
				return err
			}
		}
		return nil
	}
	if err := say(10); err != nil {
		return nil, err
	}
	before, err := slow(l)
	if err == nil {
		err = say(100)
	}
	if err != nil {
		return nil, err
	}
	after, err := slow(l)
	if after-before > 10 {
		err = fmt.Errorf("%d packets of 200 met the rules", after-before)
	}
	return x, err
}

// slow is how many packets no flowtable carried.
func slow(l *lab.Lab) (int, error) {
	out, err := l.Target.Run("nft", "list", "counter", "inet", "fast", "slow")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(out, "packets ")
	n, _, _ := strings.Cut(rest, " ")
	return strconv.Atoi(n)
}

// answerTime is how long an answer may take.
const answerTime = 2 * time.Second

// say sends a line, and wants it back.
func say(x net.Conn) error {
	x.SetDeadline(time.Now().Add(answerTime))
	if _, err := io.WriteString(x, "news\n"); err != nil {
		return err
	}
	got, err := bufio.NewReader(x).ReadString('\n')
	if err == nil && got != "news\n" {
		err = fmt.Errorf("the answer is %q", got)
	}
	return err
}

// echoing starts a service of TCP and UDP that sends back what it gets.
func echoing(h *lab.Host, port uint16) (end func() error, err error) {
	packets, err := h.Listen("udp", port)
	if err != nil {
		return nil, err
	}
	l, err := h.Echo(port)
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return func() error { return errors.Join(packets.Close(), l.Close()) }, nil
}
