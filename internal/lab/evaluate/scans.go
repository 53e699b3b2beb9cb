// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"
)

// A scan is what somebody does to find out about the server.
type scan struct {
	name string
	only string // the address family of the tool: "4", "6" or both

	// The names that picket should give; tool "" if nobody could tell.
	pattern, technique, tool string
	orElse                   string // another right technique

	// The names that peers give, in their own words; "" if they have none.
	portsentry, scanlogd, psad string

	// command returns the command line.
	command func(a aim) []string
	// sources is how many addresses take part, if more than one.
	sources int
	// event is set if the pattern alone shows the scan, without a source.
	event string
}

// An aim is a scanner and its target.
type aim struct {
	src, dst netip.Addr
	mac      string
	n        int // number of the scan's first address
}

// pace is the speed of scans that set none: slow enough to count the probes until a tool
// reports, fast enough for all scans to end soon.
const pace = "50"

// scanPorts are the ports of most scans.
const scanPorts = "1-100"

// nmap returns the command of an nmap scan at the common pace. A delay keeps it better than a
// rate, which nmap fills up in bursts.
func nmap(options ...string) func(aim) []string {
	return nmapAt(append([]string{"--scan-delay", "20ms", "--max-scan-delay", "20ms", "--max-retries", "0"},
		options...)...)
}

// nmapAt is nmap at its own pace. -n and -Pn leave only the scan itself.
func nmapAt(options ...string) func(aim) []string {
	return func(a aim) []string {
		args := []string{"nmap", "-n", "-Pn", "-e", "eth0"}
		if a.dst.Is6() {
			args = append(args, "-6")
		} else {
			args = append(args, "--send-ip")
		}
		line := " " + strings.Join(options, " ") + " "
		if !strings.Contains(line, " -sT ") {
			args = append(args, "-S", a.src.String())
		}
		if !strings.Contains(line, " -sO ") && !strings.Contains(line, " -p ") {
			args = append(args, "-p", scanPorts)
		}
		return append(append(args, options...), a.dst.String())
	}
}

// scans returns the rows of the table.
func scans() []scan {
	return []scan{
		{name: "nmap -sS", pattern: "portscan", technique: "syn", tool: "nmap", portsentry: "SYN/Normal",
			scanlogd: "fSrpau", psad: "flags: SYN", command: nmap("-sS")},
		// A SYN, until a connection to a trap port is completed.
		{name: "nmap -sT", pattern: "portscan", technique: "connect", orElse: "syn", portsentry: "SYN/Normal",
			scanlogd: "fSrpau", psad: "flags: SYN", command: nmap("-sT")},
		{name: "nmap -sF", pattern: "portscan", technique: "fin", tool: "nmap", portsentry: "FIN scan",
			scanlogd: "Fsrpau", psad: "flags: FIN", command: nmap("-sF")},
		{name: "nmap -sN", pattern: "portscan", technique: "null", tool: "nmap", portsentry: "NULL scan",
			scanlogd: "fsrpau", psad: "flags: NULL", command: nmap("-sN")},
		{name: "nmap -sX", pattern: "portscan", technique: "xmas", tool: "nmap", portsentry: "XMAS scan",
			scanlogd: "FsrPaU", psad: "flags: URG PSH FIN", command: nmap("-sX")},
		{name: "nmap -sA", pattern: "portscan", technique: "ack", tool: "nmap", scanlogd: "fsrpAu",
			psad: "flags: ACK", command: nmap("-sA")},
		{name: "nmap -sM", pattern: "portscan", technique: "maimon", tool: "nmap", scanlogd: "FsrpAu",
			psad: "flags: ACK FIN", command: nmap("-sM")},
		{name: "nmap -sW", pattern: "portscan", technique: "ack", tool: "nmap", scanlogd: "fsrpAu",
			psad: "flags: ACK", command: nmap("-sW")},
		{name: "nmap -sU", pattern: "portscan", technique: "udp", tool: "", portsentry: "UDP scan",
			psad: "udp pkts", command: nmap("-sU")},
		{name: "nmap -sY", pattern: "portscan", technique: "sctp-init", command: nmap("-sY")},
		{name: "nmap -sZ", pattern: "portscan", technique: "sctp-cookie-echo", command: nmap("-sZ")},
		{name: "nmap -sO", pattern: "portscan", technique: "ip-proto", psad: "IP protocol",
			command: nmap("-sO", "-p", "3,5,7-16,99,150-199")},
		{name: "nmap --scanflags SYNFIN", pattern: "portscan", technique: "syn-fin", tool: "nmap",
			portsentry: "SYN: 1 FIN: 1", scanlogd: "FSrpau", psad: "flags: SYN FIN",
			command: nmap("-sS", "--scanflags", "SYNFIN")},
		{name: "nmap -sS -f", only: "4", pattern: "portscan", technique: "syn", tool: "nmap",
			portsentry: "SYN/Normal", scanlogd: "fSrpau", psad: "flags: SYN", command: nmap("-sS", "-f")},
		{name: "nmap -sS -T2", pattern: "portscan", technique: "syn", tool: "nmap", portsentry: "SYN/Normal",
			scanlogd: "fSrpau", psad: "flags: SYN", command: nmapAt("-sS", "-T2")},
		{name: "nmap -sS -T3", pattern: "portscan", technique: "syn", tool: "nmap", portsentry: "SYN/Normal",
			scanlogd: "fSrpau", psad: "flags: SYN", command: nmapAt("-sS", "-T3")},
		{name: "nmap -sS -T4", pattern: "portscan", technique: "syn", tool: "nmap", portsentry: "SYN/Normal",
			scanlogd: "fSrpau", psad: "flags: SYN", command: nmapAt("-sS", "-T4")},
		{name: "nmap -sS -T5", pattern: "portscan", technique: "syn", tool: "nmap", portsentry: "SYN/Normal",
			scanlogd: "fSrpau", psad: "flags: SYN", command: nmapAt("-sS", "-T5")},
		{name: "nmap -sI (idle scan)", only: "4", pattern: "portscan", technique: "syn",
			portsentry: "SYN/Normal", scanlogd: "fSrpau", psad: "flags: SYN", command: idle},
		{name: "nmap -D, 10 decoys", only: "4", pattern: "decoy", technique: "syn", tool: "nmap", sources: 11,
			event: "decoy", command: decoys},
		{name: "20 sources, 5 ports each", pattern: "distributed", technique: "syn", tool: "nmap",
			sources: 20, event: "distributed", command: distributed},
		{name: "one port of 15 addresses", only: "4", pattern: "sweep", technique: "syn", tool: "nmap",
			portsentry: "SYN/Normal", scanlogd: "fSrpau", psad: "flags: SYN", command: sweep},
		{name: "masscan", pattern: "portscan", technique: "syn", tool: "masscan", portsentry: "SYN/Normal",
			scanlogd: "fSrpau", psad: "Masscan", command: masscan},
		{name: "zmap", only: "4", pattern: "portscan", technique: "syn", tool: "zmap",
			portsentry: "SYN/Normal", scanlogd: "fSrpau", psad: "flags: SYN", command: zmap},
		{name: "hping3 -S --scan", only: "4", pattern: "portscan", technique: "syn", tool: "hping3",
			portsentry: "SYN/Normal", scanlogd: "fSrpau", psad: "flags: SYN", command: hping},
	}
}

func masscan(a aim) []string {
	router := "--router-mac"
	if a.dst.Is6() {
		router = "--router-mac-ipv6"
	}
	return []string{"masscan", a.dst.String(), "-p" + scanPorts, "--rate", pace, "--wait", "0", "-e", "eth0",
		"--source-ip", a.src.String(), router, a.mac}
}

// zmap scans one port a run, so it runs for each.
func zmap(a aim) []string {
	const each = `for p in $(seq 1 30); do zmap -q -o /dev/null -b /dev/null -c 0 -r 50 -i eth0 -G "$1" -S ` +
		`"$2" -p "$p" "$3" || exit; done`
	return []string{"sh", "-c", each, "zmap", a.mac, a.src.String(), a.dst.String()}
}

func hping(a aim) []string {
	return []string{"hping3", "-q", "-n", "-a", a.src.String(), "-S", "-p", "++1", "-I", "eth0", "-c", "100",
		"-i", "u20000", a.dst.String()}
}

// decoys are ten unused addresses, and the scanner among them.
func decoys(a aim) []string {
	return nmap("-sS", "-D", strings.Join(decoyList(), ",")+",ME")(a)
}

func decoyList() (list []string) {
	for n := 201; n <= 210; n++ {
		list = append(list, scanner4(n).String())
	}
	return list
}

// distributed is one scan of many sources, each with its own ports.
func distributed(a aim) []string {
	const each = `for i in $(seq 0 19); do
	from=$((i * 5 + 1)); to=$((from + 4)); source=$(eval echo \${$((i + 3))})
	nmap -n -Pn -e eth0 $1 -S "$source" --max-retries 0 --scan-delay 200ms -sS -p $from-$to "$2" >/dev/null &
done; wait`
	six := "--send-ip"
	if a.dst.Is6() {
		six = "-6"
	}
	args := []string{"sh", "-c", each, "distributed", six, a.dst.String()}
	for i := range 20 {
		src := scanner4(a.n + i)
		if a.dst.Is6() {
			src = scanner6(a.n + i)
		}
		args = append(args, src.String())
	}
	return args
}

func sweep(a aim) []string {
	args := nmap("-sS", "-p", "23")(a)
	for n := 1; n <= targets; n++ {
		args = append(args, target4(n).String())
	}
	return args
}

func idle(a aim) []string {
	// It runs through two interfaces, so it names none. nmap asks the zombie after every few
	// probes.
	return []string{"nmap", "-n", "-Pn", "--send-ip", "-sI", zombie.String() + ":80", "-p", "1-60",
		"--max-retries", "1", a.dst.String()}
}

// A scanRun is one scan in one family, as it was made.
type scanRun struct {
	scan
	family  string
	sources []netip.Addr // the senders of its packets
	target  netip.Addr
	err     error
}

// gap is the time between the beginnings of two scans, longer than most take.
const gap = 4 * time.Second

// runScans makes all scans, one started after the other, and waits for their end. After every
// fourth it rests.
func runScans(ctx context.Context, s *site, rest time.Duration, say func(string, ...any)) ([]*scanRun,
	error) {
	if err := s.raiseZombie(); err != nil {
		return nil, err
	}
	var runs []*scanRun
	next := 1
	done := make(chan struct{})
	for i, sc := range scans() {
		for _, family := range []string{"4", "6"} {
			if sc.only != "" && sc.only != family {
				continue
			}
			r := &scanRun{scan: sc, family: family}
			a := aim{src: scanner4(next), dst: s.Target.V4, mac: s.mac, n: next}
			if family == "6" {
				a.src, a.dst = scanner6(next), s.Target.V6
			}
			r.target = a.dst
			n := 1
			if sc.event == "distributed" {
				n = sc.sources
			}
			for i := range n {
				src := scanner4(next + i)
				if family == "6" {
					src = scanner6(next + i)
				}
				r.sources = append(r.sources, src)
			}
			if sc.event == "decoy" {
				for _, d := range decoyList() {
					r.sources = append(r.sources, netip.MustParseAddr(d))
				}
			}
			if strings.HasPrefix(sc.name, "nmap -sI") {
				r.sources = []netip.Addr{zombie}
			}
			next += n
			if strings.Contains(sc.name, "-sT") { // routes decide its source
				if err := s.connectFrom(a); err != nil {
					return nil, err
				}
			}
			runs = append(runs, r)
			go func() {
				r.err = s.scan(ctx, sc.command(a))
				done <- struct{}{}
			}()
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(gap):
			}
			if len(runs)%4 == 0 {
				pause(ctx, rest)
			}
		}
		if (i+1)%8 == 0 {
			say("%d of %d scans begun, up to %s", i+1, len(scans()), sc.name)
		}
	}
	for range runs {
		<-done
	}
	return runs, nil
}

// connectFrom has the kernel use a given address for connections from the far end.
func (s *site) connectFrom(a aim) error {
	return ipBatch(s.Attacker, []string{fmt.Sprintf("route replace %s dev eth0 src %s", a.dst, a.src)})
}

// scan runs a scanner to its end.
func (s *site) scan(ctx context.Context, argv []string) error {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Second)
	defer cancel()
	out, err := s.Attacker.Command(ctx, argv[0], argv[1:]...).CombinedOutput()
	if ctx.Err() == context.DeadlineExceeded {
		return nil // a scanner without answers is slow; its probes were sent
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if argv[0] == "hping3" && exit.ExitCode() == 1 {
			return nil // it got no answer
		}
		return fmt.Errorf("%s: %w: %s", argv[0], exit, out)
	}
	return err
}
