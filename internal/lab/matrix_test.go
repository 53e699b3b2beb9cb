// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A scan is one run of a scanner.
type scan struct {
	name      string
	technique string // or several; the first port decides
	only4     bool   // not over IPv6
	// command returns the command line.
	command func(aim) []string
}

// An aim is a source, a destination, an interface and a next hop.
type aim struct {
	src, dst netip.Addr
	dev, mac string
	ports    string // closed ones
}

// nmap returns the command of an nmap scan. -n and -Pn leave only the scan itself.
func nmap(options ...string) func(aim) []string {
	return func(a aim) []string {
		args := []string{"nmap", "-n", "-Pn", "--max-retries", "0", "--min-rate", "500", "--host-timeout",
			"15s", "-e", a.dev}
		if a.dst.Is6() {
			args = append(args, "-6")
		} else {
			args = append(args, "--send-ip")
		}
		if options[0] != "-sT" { // the kernel connects, and a route chooses the source
			args = append(args, "-S", a.src.String())
		}
		if options[0] != "-sO" { // its ports are protocols
			args = append(args, "-p", a.ports)
		}
		return append(append(args, options...), a.dst.String())
	}
}

// protocols are unused numbers (IANA).
const protocols = "3,5,7-16,99,150-160"

// scans returns the rows of the matrix.
func scans() []scan {
	return []scan{
		{"nmap -sS", "syn", false, nmap("-sS")},
		{"nmap -sT", "syn connect", false, nmap("-sT")},
		{"nmap -sF", "fin", false, nmap("-sF")},
		{"nmap -sN", "null", false, nmap("-sN")},
		{"nmap -sX", "xmas", false, nmap("-sX")},
		{"nmap -sA", "ack", false, nmap("-sA")},
		{"nmap -sM", "maimon", false, nmap("-sM")},
		{"nmap -sW", "ack", false, nmap("-sW")},
		{"nmap -sU", "udp", false, nmap("-sU")},
		{"nmap -sY", "sctp-init", false, nmap("-sY")},
		{"nmap -sZ", "sctp-cookie-echo", false, nmap("-sZ")},
		{"nmap -sO", "ip-proto", false, nmap("-sO", "-p", protocols)},
		{"nmap SYNFIN", "syn-fin", false, nmap("-sS", "--scanflags", "SYNFIN")},
		{"nmap -f", "syn", true, nmap("-sS", "-f")},
		{"masscan", "syn", false, masscan},
		{"zmap", "syn", true, zmap},
	}
}

// masscan still listens after its last packet, and does not end by itself if nothing arrives.
func masscan(a aim) []string {
	router := "--router-mac"
	if a.dst.Is6() {
		router = "--router-mac-ipv6"
	}
	return []string{"sh", "-c", `timeout 4 "$@"; true`, "masscan", "masscan", a.dst.String(), "-p" + a.ports,
		"--rate", "1000", "--wait", "0",
		"-e", a.dev, "--source-ip", a.src.String(), router, a.mac}
}

// zmap scans one port, so it runs once for each, more often than the default trigger. Debian's
// sometimes aborts at its end, after the scan.
func zmap(a aim) []string {
	const each = `for p in $(seq 1 40); do zmap -q -o /dev/null -b /dev/null -c 0 -r 1000 -i "$1" -G "$2" ` +
		`-S "$3" -p "$p" "$4"; done; true`
	return []string{"sh", "-c", each, "zmap", a.dev, a.mac, a.src.String(), a.dst.String()}
}

// blockFor is the block time of the matrix: long enough to see the block on a busy machine,
// short enough to wait for its end.
const blockFor = 6 * time.Second

const hotConfig = `
[tcp]
modes = ["stealth", "advanced"]
action = "block"
trigger = 0
stealth = "1,11,15"
advanced = "1-1023"
exclude = ""
[udp]
modes = ["stealth", "advanced"]
action = "block"
trigger = 0
stealth = "7,9"
advanced = "1-1023"
exclude = "520"
[ip]
modes = ["advanced"]
action = "block"
trigger = 0
[block]
for = ["6s"]
`

// The sources of the matrix first connect to a service. A connected source would be spared.
const unconnected = "[ignore]\nconnected = false\n"

func TestMatrixTriggerZero(t *testing.T) {
	matrix(t, hotConfig, "1,11,13,15")
}

// TestMatrixDefault: the embedded default, except the block time, which is too long for a test.
func TestMatrixDefault(t *testing.T) {
	matrix(t, "[block]\nfor = [\"6s\"]\n", "1-300")
}

// matrix tests that every scan of either family is detected, named right, blocked, dropped in
// the kernel, and free again after the timeout.
func matrix(t *testing.T, config, ports string) {
	l := newLab(t)
	scanAll(t, l, l.Target, "dev eth0", "dev eth0", config, ports)
}

// scanAll runs every scan in both families against a host. By4 and by6 are the attacker's ways
// to its second addresses.
func scanAll(t *testing.T, l *Lab, h *Host, by4, by6, config, ports string) {
	listen(t, h, "tcp", 80)
	// The source of connect() to the second addresses.
	last4, last6 := Source4(Sources), Source6(Sources)
	if err := l.Attacker.IP(fmt.Sprintf("route add %s %s src %s", h.Second4, by4, last4),
		fmt.Sprintf("route add %s %s src %s", h.Second6, by6, last6)); err != nil {
		t.Fatal(err)
	}
	mac, err := l.Target.Run("cat", "/sys/class/net/"+l.Target.Dev+"/address")
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, l.Target, Options{Config: config + unconnected})

	// All scans run side by side, as they mostly wait. go test's own -parallel depends on the
	// number of processors.
	var group sync.WaitGroup
	defer group.Wait()
	slots := make(chan struct{}, 8)
	for i, s := range scans() {
		for _, family := range []string{"IPv4", "IPv6"} {
			a := aim{Source4(i + 1), h.V4, l.Attacker.Dev, strings.TrimSpace(mac), ports}
			if family == "IPv6" {
				if s.only4 {
					continue
				}
				a.src, a.dst = Source6(i+1), h.V6
			}
			if s.name == "nmap -sT" {
				a.src, a.dst = last4, h.Second4
				if family == "IPv6" {
					a.src, a.dst = last6, h.Second6
				}
			}
			group.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				t.Run(s.name+" "+family, func(t *testing.T) { scanned(t, l, d, s, a) })
			})
		}
	}
}

// scanned runs one scan of the matrix, to the end of its block.
func scanned(t *testing.T, l *Lab, d *Daemon, s scan, a aim) {
	service := netip.AddrPortFrom(a.dst, 80)
	if !l.Attacker.Reaches(a.src, service, 3*time.Second) {
		t.Fatal("the service is not there before the scan")
	}
	done := make(chan error, 1)
	go func() {
		argv := s.command(a)
		_, err := l.Attacker.Run(argv[0], argv[1:]...)
		done <- err
	}()
	b, err := d.WaitBlock(a.src, 10*time.Second)
	if err != nil {
		t.Errorf("not blocked: %v; scanner: %v; what picket said of it:", err, <-done)
		for _, line := range d.Events() {
			if strings.Contains(line, "source="+a.src.String()+" ") {
				t.Log(line)
			}
		}
		return
	}
	if !slices.Contains(strings.Fields(s.technique), b.Technique) {
		t.Errorf("named %q, want %q", b.Technique, s.technique)
	}
	if b.Remaining <= 0 || b.Remaining > blockFor.Seconds() {
		t.Errorf("%v s remain of %v", b.Remaining, blockFor)
	}
	if l.Attacker.Reaches(a.src, service, 200*time.Millisecond) {
		t.Error("the service is reachable while blocked")
	}
	if after, ok, err := d.Blocked(a.src); err != nil || !ok {
		t.Errorf("no longer blocked within %v: %v", blockFor, err)
	} else if after.Drops <= b.Drops {
		t.Errorf("drops %d, then %d: the kernel dropped nothing", b.Drops, after.Drops)
	}
	if err := <-done; err != nil {
		t.Errorf("scanner: %v", err)
	}
	eventually(t, 3*blockFor, "free again", func() bool {
		return l.Attacker.Reaches(a.src, service, 200*time.Millisecond)
	})
}

// TestDecoys: a decoy is a source like any other: packets in its name count against it, and the
// scan counts against its true source.
func TestDecoys(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: hotConfig})
	for _, test := range []struct {
		name    string
		dst     netip.Addr
		sources []netip.Addr
	}{
		{"IPv4", l.Target.V4, []netip.Addr{Source4(1), Source4(2), Source4(3)}},
		{"IPv6", l.Target.V6, []netip.Addr{Source6(1), Source6(2), Source6(3)}},
	} {
		s := test.sources
		argv := nmap("-sS", "-D", fmt.Sprintf("%s,%s,ME", s[0], s[1]))(aim{src: s[2], dst: test.dst,
			dev: l.Attacker.Dev, ports: "1,11,13,15"})
		if _, err := l.Attacker.Run(argv[0], argv[1:]...); err != nil {
			t.Fatal(err)
		}
		for _, src := range s {
			b, err := d.WaitBlock(src, 3*time.Second)
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			} else if b.Technique != "syn" {
				t.Errorf("%s: %s named %q, want syn", test.name, src, b.Technique)
			}
		}
	}
}
