// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"picket/internal/lab"
)

// A scan is one row: the scanner's command line, from a source of its own.
type scan struct {
	name string
	args string // of nmap; SRC, DST, BROADCAST and LINK are replaced
	six  bool
	do   func(l *lab.Lab, src netip.Addr) error // in place of nmap
}

const (
	tcpPorts = "1,11,15,79,111"
	udpPorts = "7,9,111,513"
)

// scans are the rows of the scan matrix (facts: D1), and harmless traffic.
func scans() []scan {
	tcp := func(name, options string) scan {
		return scan{name: name, args: options + " -p" + tcpPorts + " DST"}
	}
	return []scan{
		{name: "-sT", args: "-sT -p" + tcpPorts + " DST"},
		tcp("-sS", "-sS"), tcp("-sF", "-sF"), tcp("-sN", "-sN"), tcp("-sX", "-sX"),
		tcp("-sA", "-sA"), tcp("-sW", "-sW"), tcp("-sM", "-sM"),
		{name: "-sU", args: "-sU -p" + udpPorts + " DST"},
		tcp("-sY (SCTP)", "-sY"), {name: "-sO", args: "-sO -p3,5,7,9,99 DST"},
		{name: "-sn -PP (ICMP timestamp)", args: "-sn -PP DST"},
		tcp("-O", "-O --max-os-tries 1"), tcp("-sS -T2", "-sS -T2"), tcp("-sS -f", "-sS -f"),
		tcp("-sS -ff", "-sS -ff"),
		tcp("-sS --ip-options R", "-sS --ip-options R"),
		tcp("SYN+FIN", "-sS --scanflags SYNFIN"), tcp("URG", "-sS --scanflags URG"),
		tcp("SYN+FIN+PSH+URG", "-sS --scanflags SYNFINPSHURG"),
		tcp("SYN+ECE+CWR", "-sS --scanflags SYNECECWR"), tcp("RST", "-sS --scanflags RST"),
		tcp("SYN+ACK", "-sS --scanflags SYNACK"),
		{name: "-6 -sS", args: "-6 -sS -p" + tcpPorts + " DST", six: true},
		{name: "-6 -sX", args: "-6 -sX -p" + tcpPorts + " DST", six: true},
		{name: "-6 -sU", args: "-6 -sU -p" + udpPorts + " DST", six: true},
		{name: "published port (DNAT), no probe", do: published},
		{name: "late answer of a resolver, no probe", do: lateAnswer},
	}
}

// labels prints the names given by each.
func (b *bench) labels() error {
	s := settings{tcp: tcpPorts, udp: udpPorts}
	// 32771 is in PortSentry's default list; a socket of this host may have taken it.
	s.udp += ",32771"
	columns := []struct {
		name string
		sentry
	}{
		{"1.2 tcp, udp", &portsentry{bench: *b, settings: s, modes: []string{"-tcp", "-udp"}}},
		{"picket, imported", &picket{bench: *b, settings: s, modes: "tcp,udp"}},
		{"1.2 stcp, sudp", &portsentry{bench: *b, settings: s, modes: []string{"-stcp", "-sudp"}}},
		{"picket, imported", &picket{bench: *b, settings: s, modes: "stcp,sudp"}},
		{"1.2 atcp, audp", &portsentry{bench: *b, settings: s, modes: []string{"-atcp", "-audp"}}},
		{"picket, imported", &picket{bench: *b, settings: s, modes: "atcp,audp"}},
		{"picket, all modes", &picket{bench: *b,
			config: "[tcp]\naction = \"log\"\ntrigger = 0\n[udp]\naction = \"log\"\ntrigger = 0\n[ip]\n" +
				"action = \"log\"\ntrigger = 0\n"}},
	}
	names := []string{"scan"}
	table := make([][]string, len(scans()))
	for _, c := range columns {
		names = append(names, c.name)
		err := within(c.sentry, func(l *lab.Lab) error {
			// The source address of connect().
			if _, err := l.Attacker.Run("ip", "route", "add", "192.0.2.3", "dev", "eth0", "src",
				lab.Source4(1).String()); err != nil {
				return err
			}
			for i, sc := range scans() {
				cell, err := sc.run(l, c.sentry, i+1)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, sc.name, err)
				}
				table[i] = append(table[i], cell)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	head(names...)
	for i, sc := range scans() {
		row(append([]string{sc.name}, table[i]...)...)
	}
	return nil
}

// run scans from the i-th source and returns the sentry's name for it.
func (sc *scan) run(l *lab.Lab, s sentry, i int) (string, error) {
	src, dst := lab.Source4(i), l.Target.V4
	if sc.six {
		src, dst = lab.Source6(i), l.Target.V6
	}
	if sc.do != nil {
		if err := sc.do(l, src); err != nil {
			return "", err
		}
	} else {
		argv := []string{"-n", "-Pn", "--max-retries", "0", "--host-timeout", "20s"}
		switch {
		case sc.name == "-sT":
			dst = l.Target.Second4
		case sc.six:
			argv = append(argv, "-e", l.Attacker.Dev, "-S", src.String())
		default:
			argv = append(argv, "--send-ip", "-e", l.Attacker.Dev, "-S", src.String())
		}
		if strings.Contains(sc.args, "-sn") {
			argv = slices.DeleteFunc(argv, func(a string) bool { return a == "-Pn" })
		}
		argv = append(argv, strings.Fields(strings.ReplaceAll(sc.args, "DST", dst.String()))...)
		if _, err := l.Attacker.Run("nmap", argv...); err != nil {
			return "", err
		}
	}
	time.Sleep(300 * time.Millisecond) // the time to report
	return cmp.Or(strings.Join(s.labels(src.String()), ", "), "."), nil
}

// published is a port of the list with a service behind it, published as container engines do:
// its clients are no scanners.
func published(l *lab.Lab, src netip.Addr) error {
	if err := l.Target.NFT("table ip publish { chain pre { type nat hook prerouting priority dstnat; tcp " +
		"dport 79 redirect to :8079; }; }"); err != nil {
		return err
	}
	s, err := l.Target.Listen("tcp", 8079)
	if err != nil {
		return err
	}
	defer s.Close()
	if !l.Attacker.Reaches(src, netip.AddrPortFrom(l.Target.V4, 79), 2*time.Second) {
		return fmt.Errorf("the service behind port 79 does not answer")
	}
	_, err = l.Target.Run("nft", "delete", "table", "ip", "publish")
	return err
}

// lateAnswer is the answer of a resolver to a socket that is closed by then, on a port of
// PortSentry's default list. If PortSentry holds that port, nobody else can ask from it.
func lateAnswer(l *lab.Lab, src netip.Addr) error {
	const answer = `import socket,sys,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
s.bind((sys.argv[1],53)); s.settimeout(20); print(flush=True)
q,a=s.recvfrom(99); time.sleep(.2); s.sendto(b"a",a)`
	const ask = `import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
try: s.bind((sys.argv[1],32771))
except OSError: s.bind((sys.argv[1],0))
s.sendto(b"q",(sys.argv[2],53)); s.close()`
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resolver := l.Attacker.Command(ctx, "python3", "-c", answer, src.String())
	ready, err := resolver.StdoutPipe()
	if err != nil {
		return err
	}
	if err := resolver.Start(); err != nil {
		return err
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		return err
	}
	if _, err := l.Target.Run("python3", "-c", ask, l.Target.V4.String(), src.String()); err != nil {
		return err
	}
	return resolver.Wait()
}
