// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Clients of the server, and hosts that take it for something else.

// browsers fetch pages with curl, which tries IPv6 and IPv4 as in RFC 8305: from ports that
// answer in both, in one, in none. They try QUIC first.
func browsers(a *actor) error {
	for i := range perScene {
		v4, v6 := a.who(i)
		hosts := fmt.Sprintf("%s,[%s]", a.Target.V4, a.Target.V6)
		for round := range 15 {
			for _, url := range []string{"http://www.example:80/", "http://www.example:443/",
				"http://www.example:81/"} {
				name := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
				source := v4.String()
				if round%2 == 1 {
					source = v6.String()
				}
				if err := a.run("curl", "-s", "-o", "/dev/null", "-m", "3", "--happy-eyeballs-timeout-ms",
					"50",
					"--interface", source, "--resolve", name+":"+hosts, url, url+"a", url+"b"); err != nil {
					return err
				}
			}
			if err := a.both(i, func(src, dst netip.Addr) error {
				return a.ask(src, dst, 443, 1,
					make([]byte, 1200))
			}); err != nil {
				return err
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	return nil
}

// retries are a client that repeats its connections although the service is gone.
func retries(a *actor) error {
	for range 60 {
		if err := a.both(0, func(src, dst netip.Addr) error { return a.knock(src, dst, 143) }); err != nil {
			return err
		}
		if err := a.both(1, func(src, dst netip.Addr) error {
			return a.knock(src, dst, 993,
				993)
		}); err != nil {
			return err
		}
		time.Sleep(250 * time.Millisecond)
	}
	return nil
}

func traceroutes(a *actor) error {
	for i, how := range [][]string{{"-U"}, {}, {"-I"}, {"-T", "-p", "80"}, {"-T", "-p", "443"},
		{"-T", "-p", "179"}, {"-U", "-p", "53"}, {"-U", "-p", "123"}} {
		err := a.both(i, func(src, dst netip.Addr) error {
			argv := append([]string{"traceroute", "-n", "-w", "1", "-q", "3", "-m", "5", "-s", src.String()},
				how...)
			return a.run(append(argv, dst.String())...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func pings(a *actor) error {
	return errors.Join(
		a.both(0, func(src, dst netip.Addr) error {
			return a.run("ping", "-n", "-q", "-c", "40", "-i", "0.2", "-I", src.String(), dst.String())
		}),
		a.both(1, func(src, dst netip.Addr) error {
			return a.run("ping", "-n", "-q", "-c", "20", "-i", "0.2", "-s", "4000", "-I", src.String(),
				dst.String())
		}))
}

// ntp asks for the time where no server is: from port 123 as ntpd does, and from any other port
// as sntp does. Others broadcast the time.
func ntp(a *actor) error {
	query := make([]byte, 48)
	query[0] = 0x23 // version 4, client
	for range 10 {
		err := a.both(0, func(src, dst netip.Addr) error {
			return a.datagram(netip.AddrPortFrom(src, 123), netip.AddrPortFrom(dst, 123), query)
		})
		if err == nil {
			err = a.both(1, func(src, dst netip.Addr) error { return a.ask(src, dst, 123, 1, query) })
		}
		if err == nil {
			v4, _ := a.who(1)
			err = a.datagram(netip.AddrPortFrom(v4, 123), netip.MustParseAddrPort("224.0.1.1:123"), query)
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Second)
	}
	return nil
}

// monitoring checks ten services, twenty times, on two hosts: one has four of them, the other
// (for the second innocent) none.
func monitoring(a *actor) error {
	for range 20 {
		if err := a.both(0, func(src, dst netip.Addr) error {
			return errors.Join(a.knock(src, dst, 22, 25, 80, 443, 110, 143, 389, 636),
				a.ask(src, dst, 53, 1, []byte("query")), a.ask(src, dst, 123, 1, make([]byte, 48)))
		}); err != nil {
			return err
		}
		if err := a.both(1, func(src, dst netip.Addr) error {
			return errors.Join(a.knock(src, dst, 21, 110, 143, 389, 465, 587, 636, 873),
				a.ask(src, dst, 123, 1, make([]byte, 48)), a.ask(src, dst, 88, 1, make([]byte, 48)))
		}); err != nil {
			return err
		}
		time.Sleep(time.Second)
	}
	return nil
}

// balancer checks two services again and again, with half a handshake and a reset: one that is
// up, one that is down.
func balancer(a *actor) error {
	for range 40 {
		for i := range perScene {
			if err := a.both(i, func(src, dst netip.Addr) error {
				c, err := a.Attacker.Dial("tcp", src, netip.AddrPortFrom(dst, 80), 2*time.Second)
				if err != nil {
					return err
				}
				if err := c.(*net.TCPConn).SetLinger(0); err != nil {
					return err
				}
				return errors.Join(c.Close(), a.knock(src, dst, 81, 443))
			}); err != nil {
				return err
			}
		}
		time.Sleep(400 * time.Millisecond)
	}
	return nil
}

// office is forty people behind one address: most use services that are there, some use
// services that are gone or never were.
func office(a *actor) error {
	closed := []uint16{21, 143, 445, 139, 587, 993}
	for person := range 40 {
		if err := a.both(0, func(src, dst netip.Addr) error {
			if err := a.knock(src, dst, 443, 443, 80, 443, 22, 25); err != nil {
				return err
			}
			if person%6 == 0 {
				return a.knock(src, dst, closed[person/6%len(closed)])
			}
			return nil
		}); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	return nil
}

// autoconfig is a mail program that knows only the domain (guessConfig.js of Thunderbird: IMAP,
// POP3 and SMTP on their usual ports).
func autoconfig(a *actor) error {
	for i := range perScene {
		if err := a.both(i, func(src, dst netip.Addr) error {
			return a.knock(src, dst, 80, 443, 993, 143, 995, 110, 465, 587, 25)
		}); err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
	}
	return nil
}

// printer is a desktop that looks for a printer: IPP, LPD, web, raw and SNMP.
func printer(a *actor) error {
	for i := range perScene {
		if err := a.both(i, func(src, dst netip.Addr) error {
			return errors.Join(a.ask(src, dst, 161, 2, []byte("\x30\x26")),
				a.knock(src, dst, 631, 80, 515, 9100, 443))
		}); err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
	}
	return nil
}

// nfsClient mounts from a server whose services are down: it asks the port mapper over UDP and
// TCP, then NFS itself, three times.
func nfsClient(a *actor) error {
	for range 3 {
		for i := range perScene {
			if err := a.both(i, func(src, dst netip.Addr) error {
				return errors.Join(a.ask(src, dst, 111, 2, make([]byte, 56)),
					a.knock(src, dst, 111, 2049, 20048))
			}); err != nil {
				return err
			}
		}
		time.Sleep(2 * time.Second)
	}
	return nil
}

// domainMember takes the server for a file server, then for a domain controller.
func domainMember(a *actor) error {
	for range 3 {
		if err := a.both(0, func(src, dst netip.Addr) error {
			return a.knock(src, dst, 445, 139,
				80)
		}); err != nil {
			return err
		}
		if err := a.both(1, func(src, dst netip.Addr) error {
			return errors.Join(a.ask(src, dst, 389, 2, make([]byte, 40)), a.ask(src, dst, 88, 1,
				make([]byte, 200)),
				a.knock(src, dst, 135, 445, 389, 88, 464))
		}); err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
	}
	return nil
}

// admin tries by hand what a new server answers.
func admin(a *actor) error {
	return errors.Join(
		a.both(0, func(src, dst netip.Addr) error { return a.knock(src, dst, 22, 222, 2222, 22) }),
		a.both(1, func(src, dst netip.Addr) error { return a.knock(src, dst, 25, 110, 143, 23, 21, 80) }))
}
