// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// Packets that any network brings: broadcasts, and answers that are late or for somebody else.

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// broadcasts sends a datagram from both innocents to everybody, n times.
func (a *actor) broadcasts(n int, from uint16, payload []byte, to ...string) error {
	for range n {
		for i := range perScene {
			v4, v6 := a.who(i)
			for _, t := range to {
				dst, src := netip.MustParseAddrPort(t), v4
				if dst.Addr().Is6() {
					src = v6
				}
				if err := a.datagram(addrPort(src, from), dst, payload); err != nil {
					return err
				}
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
	return nil
}

// dhcp is discovery, renewal at a former server, and answers to the server's own client, which
// has no UDP socket.
func dhcp(a *actor) error {
	discover := make([]byte, 300)
	copy(discover, "\x01\x01\x06\x00\x12\x34\x56\x78")
	copy(discover[236:], "\x63\x82\x53\x63\x35\x01\x01\xff")
	if err := a.broadcasts(8, 68, discover, "255.255.255.255:67", "192.0.2.255:67",
		"[ff02::1:2]:547"); err != nil {
		return err
	}
	v4, v6 := a.who(0)
	for range 5 {
		if err := errors.Join(
			a.datagram(addrPort(v4, 68), addrPort(a.Target.V4, 67), discover),
			a.datagram(addrPort(v4, 67), addrPort(a.Target.V4, 68), discover),
			a.datagram(addrPort(v6, 547), addrPort(a.Target.V6, 546), discover[:80])); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

func multicastDNS(a *actor) error {
	query := []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05_ipps\x04_tcp\x05local\x00\x00\x0c" +
		"\x00\x01")
	return errors.Join(
		a.broadcasts(10, 5353, query, "224.0.0.251:5353", "[ff02::fb]:5353"),
		a.broadcasts(10, 0, query, "224.0.0.252:5355", "239.255.255.250:3702", "[ff02::c]:3702"),
		a.both(0, func(src, dst netip.Addr) error { return a.ask(src, dst, 5353, 5, query) }))
}

func ssdp(a *actor) error {
	search := []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n" +
		"MX: 2\r\nST: ssdp:all\r\n\r\n")
	return errors.Join(a.broadcasts(20, 0, search, "239.255.255.250:1900", "[ff02::c]:1900"),
		a.both(0, func(src, dst netip.Addr) error { return a.ask(src, dst, 1900, 5, search) }))
}

// netbios are the broadcasts of a Windows network, and the node status query that a Windows
// host sends to its peers.
func netbios(a *actor) error {
	query := []byte("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x20" +
		"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x21\x00\x01")
	return errors.Join(a.broadcasts(20, 137, query, "192.0.2.255:137"), a.broadcasts(10, 138, query,
		"192.0.2.255:138"),
		a.both(0, func(src, dst netip.Addr) error {
			return errors.Join(a.ask(src, dst, 137, 5, query), a.ask(src, dst, 138, 2, query))
		}))
}

// datagrams are devices with a wrong or an outdated address.
func datagrams(a *actor) error {
	return errors.Join(
		a.both(0, func(src, dst netip.Addr) error {
			return errors.Join(a.ask(src, dst, 161, 5, []byte("\x30\x26\x02\x01\x01")),
				a.ask(src, dst, 162, 3, []byte("\x30\x26")),
				a.ask(src, dst, 514, 20, []byte("<13>Jan  1 00:00:00 switch link up")))
		}),
		a.broadcasts(5, 520, make([]byte, 24), "192.0.2.255:520", "224.0.0.9:520", "[ff02::9]:521"),
		a.broadcasts(3, 0, make([]byte, 102), "192.0.2.255:9", "192.0.2.255:7"),
		a.both(1, func(src, dst netip.Addr) error { return a.ask(src, dst, 9, 3, make([]byte, 102)) }))
}

// tunnels are clients of a VPN server that has moved: IKE, then other protocols, and the
// tunnels themselves, whose other end does not know it yet.
func tunnels(a *actor) error {
	if err := a.both(0, func(src, dst netip.Addr) error {
		return errors.Join(a.ask(src, dst, 500, 10, make([]byte, 300)), a.ask(src, dst, 4500, 5,
			make([]byte, 120)),
			a.ask(src, dst, 1194, 5, make([]byte, 54)), a.ask(src, dst, 51820, 5, make([]byte, 148)),
			a.knock(src, dst, 1723))
	}); err != nil {
		return err
	}
	return a.both(1, func(src, dst netip.Addr) error {
		for _, protocol := range []string{"47", "50", "51"} { // GRE, ESP, AH
			network := "ip4:" + protocol
			if src.Is6() {
				network = "ip6:" + protocol
			}
			if err := a.Attacker.Do(func() error {
				c, err := net.DialIP(network, &net.IPAddr{IP: src.AsSlice()}, &net.IPAddr{IP: dst.AsSlice()})
				if err != nil {
					return err
				}
				defer c.Close()
				for range 10 {
					if _, err := c.Write(make([]byte, 64)); err != nil && !refused(err) {
						return err
					}
					time.Sleep(100 * time.Millisecond)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// lateDNS has the server ask resolvers that answer after it has closed: at once, and after
// connection tracking has forgotten the question.
func lateDNS(a *actor) error {
	for i := range perScene {
		if err := a.both(i, func(src, dst netip.Addr) error {
			var resolver *net.UDPConn
			if err := a.Attacker.Do(func() (err error) {
				resolver, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort(src, 53)))
				return err
			}); err != nil {
				return err
			}
			defer resolver.Close()
			for n := range 20 {
				question, err := a.Target.Dial("udp", dst, addrPort(src, 53), time.Second)
				if err != nil {
					return err
				}
				if _, err := question.Write([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03" +
					"www\x07example\x00\x00\x01\x00\x01")); err != nil {
					return err
				}
				question.Close()
				buf := make([]byte, 512)
				resolver.SetReadDeadline(time.Now().Add(2 * time.Second))
				got, from, err := resolver.ReadFromUDPAddrPort(buf)
				if err != nil {
					return err
				}
				if n%4 == 3 {
					pause(a.ctx, 2500*time.Millisecond)
				}
				if a.ctx.Err() != nil {
					return a.ctx.Err()
				}
				if _, err := resolver.WriteToUDPAddrPort(buf[:got], from); err != nil && !refused(err) {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// ftp is the server as a client in active mode: the FTP server queries its ident port, and
// connects back for the data.
func ftp(a *actor) error {
	for i := range perScene {
		if err := a.both(i, func(src, dst netip.Addr) error {
			for range 10 {
				if err := a.knock(src, dst, 113); err != nil {
					return err
				}
				var data net.Listener
				if err := a.Target.Do(func() (err error) {
					data, err = net.Listen("tcp",
						addrPort(dst, 0).String())
					return err
				}); err != nil {
					return err
				}
				port := uint16(data.Addr().(*net.TCPAddr).Port)
				err := a.Attacker.Do(func() error {
					d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(addrPort(src, 20)),
						Timeout: 2 * time.Second}
					c, err := d.Dial("tcp", addrPort(dst, port).String())
					if err != nil {
						return nil // port 20 is still in use by the last connection
					}
					defer c.Close()
					_, err = c.Write(make([]byte, 30000))
					return err
				})
				data.Close()
				if err != nil && !refused(err) {
					return err
				}
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// backscatter is the answers of victims of a flood in the server's name: SYN+ACKs and RSTs.
func backscatter(a *actor) error {
	v4, _ := a.who(0)
	other, _ := a.who(1)
	dst := a.Target.V4.String()
	return errors.Join(
		a.run("hping3", "-q", "-n", "-I", "eth0", "-a", v4.String(), "-s", "80", "-k", "-S", "-A", "-p",
			"++1", "-c", "200", "-i", "u20000", dst),
		a.run("hping3", "-q", "-n", "-I", "eth0", "-a", other.String(), "-s", "443", "-k", "-R", "-A", "-p",
			"++1", "-c", "200", "-i", "u20000", dst))
}
