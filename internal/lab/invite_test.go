// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/netns"
)

// inviting is the default with invitations.
const inviting = "[trap]\ninvite = \"scored\"\n"

// The default trigger, which is the number of completed connections that prove a source, and the
// ports to which one is led by SYNs that complete no connection, and by others.
const (
	invitedTrigger = 25
	invitedPorts   = 32
)

// A visit is a scanner that completes connections at once or later, all from one address.
type visit struct {
	name  string
	only4 bool // zmap and pnscan know no IPv6
	scan  func(s *scanner, a aim)
}

// families are those that the scanner speaks, by name, and whether each is IPv6.
func (v *visit) families() map[string]bool {
	if v.only4 {
		return map[string]bool{"IPv4": false}
	}
	return map[string]bool{"IPv4": false, "IPv6": true}
}

// A scanner runs until it is done or blocked.
type scanner struct {
	ctx context.Context
	testing.TB
	*Lab
}

// run runs a program and ignores its exit code: a blocked one may fail.
func (s *scanner) run(argv ...string) string {
	out, err := netns.Output(s.Attacker.Command(s.ctx, argv[0], argv[1:]...))
	if err != nil && s.ctx.Err() == nil {
		s.Log(err)
	}
	return out
}

// line is a scanner of one program.
func line(command func(a aim) []string) func(*scanner, aim) {
	return func(s *scanner, a aim) { s.run(command(a)...) }
}

func invitedNmap(options ...string) func(a aim) []string {
	return func(a aim) []string {
		args := []string{
			"nmap", "-n", "-Pn", "-T4", "--max-retries", "1", "--min-rate", "300", "-p", a.ports,
			"-e", a.dev, "-S", a.src.String(),
		}
		if a.dst.Is6() {
			args = append(args, "-6")
		}
		return append(append(args, options...), a.dst.String())
	}
}

// openPorts reads the ports that nmap found open.
func openPorts(grepable string) (out []uint16) {
	for word := range strings.FieldsSeq(grepable) {
		if port, _, is := strings.Cut(word, "/open/tcp"); is {
			n, _ := strconv.ParseUint(port, 10, 16)
			out = append(out, uint16(n))
		}
	}
	return out
}

// grab connects to ports, a few at a time, and reads the first bytes of each.
func (s *scanner) grab(a aim, ports []uint16) {
	var group sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, p := range ports {
		if s.ctx.Err() != nil {
			break
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			c, err := s.Attacker.Dial("tcp", a.src, netip.AddrPortFrom(a.dst, p), time.Second)
			if err != nil {
				return
			}
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(time.Second))
			io.ReadAll(io.LimitReader(c, 64)) // a banner, or none
		})
	}
	group.Wait()
}

// zmapAndGrab scans one port after the other, and reads a banner from each port found.
func zmapAndGrab(s *scanner, a aim) {
	const each = `for p in $(seq 1 120); do
		( zmap -q -o - -b /dev/null -c 1 -r 1000 -i "$1" -G "$2" -S "$3" -p $p "$4" 2>/dev/null | sed ` +
		`"s/.*/$p/" ) &
		[ $((p % 20)) -ne 0 ] || wait
	done; wait; true`
	out := s.run("sh", "-c", each, "zmap", a.dev, a.mac, a.src.String(), a.dst.String())
	var found []uint16
	for _, word := range strings.Fields(out) {
		n, _ := strconv.ParseUint(word, 10, 16)
		found = append(found, uint16(n))
	}
	s.grab(a, found)
}

func visits() []visit {
	return []visit{
		{name: "nmap -sT", scan: line(invitedNmap("-sT"))},
		{name: "nmap -sV", scan: line(invitedNmap("-sV"))},
		{name: "nmap -sS, then -sV", scan: func(s *scanner, a aim) {
			out := s.run(invitedNmap("-sS", "-oG", "-")(a)...)
			var list []string
			for _, p := range openPorts(out) {
				list = append(list, strconv.Itoa(int(p)))
			}
			if len(list) < invitedTrigger {
				s.Errorf("the half-open scan found %d ports open: %s", len(list), out)
				return
			}
			a.ports = strings.Join(list, ",")
			s.run(invitedNmap("-sV")(a)...)
		}},
		{name: "zmap, then a banner grab", only4: true, scan: zmapAndGrab},
		{name: "pnscan", only4: true, scan: line(func(a aim) []string {
			return []string{"pnscan", "-n50", "-t2000", a.dst.String(), "1:300"}
		})},
	}
}

// provenBlock waits until a source is blocked, and returns the event. Fences and the dark do
// not count.
func provenBlock(d *Daemon, source netip.Addr, wait time.Duration) (string, error) {
	return d.WaitEvent(wait, "source="+sourceName(source)+" ", "action=block ", "proven=true")
}

// sourceName returns the source of an event about a: the address alone.
func sourceName(a netip.Addr) string { return a.String() }

// completedIn returns the number of completed connections in a proof.
func completedIn(t testing.TB, line string) int {
	t.Helper()
	_, rest, found := strings.Cut(line, "proven: completed ")
	word, _, _ := strings.Cut(rest, " ")
	if n := slices.Index([]string{"no", "one", "two", "three"}, word); n >= 0 {
		return n
	}
	n, err := strconv.Atoi(word)
	if !found || err != nil {
		t.Fatalf("no proof in %s", line)
	}
	return n
}

// inviter is a lab whose target invites, and the hardware address of that.
func inviter(t testing.TB) (l *Lab, d *Daemon, mac string) {
	t.Helper()
	l = newLab(t)
	listen(t, l.Target, "tcp", 8080)
	mac, err := l.Target.Run("cat", "/sys/class/net/"+l.Target.Dev+"/address")
	if err != nil {
		t.Fatal(err)
	}
	return l, start(t, l.Target, Options{Config: inviting}), strings.TrimSpace(mac)
}

// visited has a scanner visit from its i-th source, and returns how many connections prove it.
func (v *visit) visited(t testing.TB, l *Lab, d *Daemon, mac string, i int, v6 bool) int {
	t.Helper()
	a := aim{Source4(i), l.Target.V4, l.Attacker.Dev, mac, "1-400"}
	if v6 {
		a.src, a.dst = Source6(i), l.Target.V6
	}
	// The source of connect().
	if err := l.Attacker.IP(fmt.Sprintf("route replace %s dev eth0 src %s", a.dst, a.src)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Cmd("unblock", "--all"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan struct{})
	go func() { defer close(done); v.scan(&scanner{ctx, t, l}, a) }()
	defer func() { stop(); <-done }()
	line, err := provenBlock(d, a.src, 50*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	n := completedIn(t, line)
	if n > invitedTrigger+2 {
		t.Errorf("%d connections until it was proven, want %d at most: %s", n, invitedTrigger+2, line)
	}
	return n
}

// TestInvitation: a scanner that connects, at once or in a second phase, is led to the trap,
// and proven after at most two more connections than the trigger.
func TestInvitation(t *testing.T) {
	l, d, mac := inviter(t)
	for i, v := range visits() {
		for family, v6 := range v.families() {
			t.Run(v.name+" "+family, func(t *testing.T) {
				t.Logf("proven by %d connections", v.visited(t, l, d, mac, i+1, v6))
			})
		}
	}
}

// BenchmarkInvitation has each scanner visit twenty times, from a source of its own each
// time, and fails unless every visit is proven.
func BenchmarkInvitation(b *testing.B) {
	for _, v := range visits() {
		for family, v6 := range v.families() {
			b.Run(v.name+" "+family, func(b *testing.B) {
				for range b.N {
					l, d, mac := inviter(b)
					least, most := math.MaxInt, 0
					for i := range 20 {
						n := v.visited(b, l, d, mac, i+1, v6)
						least, most = min(least, n), max(most, n)
					}
					b.ReportMetric(float64(least), "least-connections")
					b.ReportMetric(float64(most), "most-connections")
					b.ReportMetric(0, "ns/op")
				}
			})
		}
	}
}

// rawSYN is a SYN as nmap makes it. One is enough for the dark.
func rawSYN(src, dst netip.Addr, from, to uint16) packet { return rawSegment(src, dst, from, to, syn) }

// rawSegment is the same with some other flags.
func rawSegment(src, dst netip.Addr, from, to uint16, flags byte) packet {
	b := make([]byte, 24)
	binary.BigEndian.PutUint16(b[0:], from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint32(b[4:], 99+uint32(from)<<8+uint32(to))
	b[12], b[13] = 6<<4, flags
	binary.BigEndian.PutUint16(b[14:], 1024)
	copy(b[20:], []byte{2, 4, 5, 0xb4})
	binary.BigEndian.PutUint16(b[16:], upperChecksum(src, dst, unix.IPPROTO_TCP, b))
	return ipPacket(src, dst, unix.IPPROTO_TCP, b)
}

// forged is a scan of some ports in the name of a source. One SYN makes it dark, and 26 get it
// fenced. Each takes one of the ports to which such SYNs lead.
func forged(src, dst netip.Addr, ports uint16) (out []packet) {
	for p := range ports {
		out = append(out, rawSYN(src, dst, 40000+p, 2001+p))
	}
	return out
}

// waitScored waits until a source is dark, and fenced too if enough ports were asked for.
func waitScored(t *testing.T, d *Daemon, source string, ports uint16) {
	t.Helper()
	for _, action := range []string{"action=dark", "action=fence"}[:1+ports/26] {
		if _, err := d.WaitEvent(5*time.Second, "source="+source+" ", action); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInvitedInnocents: an innocent that forged packets have scored, and that asks for services
// which are not here, meets the trap and is never proven: a client of SMB, a mail program, a
// monitor of ten ports. Each of them comes again.
func TestInvitedInnocents(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: inviting})
	innocents := []struct {
		name   string
		scored uint16 // ports of the forged scan in its name
		ports  []uint16
		say    string
	}{
		{"a client of SMB", 26, []uint16{445, 139}, "\x00\x00\x00\x2f\xffSMB"},
		{"a mail program", 26, []uint16{143, 110, 587, 993, 995, 465, 25}, ""},
		{"a monitor", 26, []uint16{21, 22, 25, 80, 110, 143, 389, 443, 3306, 5432}, ""},
		{"a browser that a page leads about", 1, pages(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"the same by TLS", 1, pages(), "\x16\x03\x01\x02\x00\x01"},
	}
	var group sync.WaitGroup
	for i, x := range innocents {
		for _, v6 := range []bool{false, true} {
			src, dst, source := Source4(i+1), l.Target.V4, Source4(i+1).String()
			if v6 {
				src, dst = Source6(i+1), l.Target.V6
				source = fmt.Sprintf("2001:db8:0:%d::/64", 11+i)
			}
			pour(t, l.Attacker, forged(src, dst, x.scored))
			group.Go(func() {
				waitScored(t, d, source, x.scored)
				led := 0
				for range 3 {
					for _, p := range x.ports {
						c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(dst, p),
							300*time.Millisecond)
						if err != nil {
							continue
						}
						led++
						io.WriteString(c, x.say)
						c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
						c.Read(make([]byte, 1))
						c.Close()
					}
				}
				if led < 2 {
					t.Errorf("%s, %s: led %d times: nothing was tried", x.name, src, led)
				}
			})
		}
	}
	group.Wait()
	if t.Failed() {
		return
	}
	// The witness: its proof comes after everything above.
	if _, err := l.Attacker.Run("nmap", "-n", "-Pn", "-sT", "-T4", "--max-retries", "1", "--min-rate", "300",
		"-p", "1-300", "192.0.2.2"); err != nil {
		t.Log(err)
	}
	if _, err := provenBlock(d, l.Attacker.V4, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, line := range d.Events() {
		if containsAll(line, []string{"action=block "}) && !strings.Contains(line, "source=192.0.2.1 ") {
			t.Errorf("proven: %s", line)
		}
	}
}

// pages are ports that a web page can make a browser ask for.
func pages() (out []uint16) {
	for p := uint16(8001); p <= 8040; p++ {
		out = append(out, p)
	}
	return out
}

// TestInvitationReflectsLittle: a million SYNs in the names of live hosts prove nobody. Nobody
// gets more answers than rules_trap.go says, and connection tracking gets no more entries than
// that.
func TestInvitationReflectsLittle(t *testing.T) {
	const names, most = 20, 2 * invitedPorts * 6 * 2
	l := newLab(t)
	if err := l.Attacker.NFT(`table inet lab {
		set answered4 { type ipv4_addr; size 1000; flags dynamic; counter; }
		set answered6 { type ipv6_addr; size 1000; flags dynamic; counter; }
		chain in { type filter hook input priority 0;
			tcp flags & (syn | ack) == syn | ack add @answered4 { ip daddr }
			tcp flags & (syn | ack) == syn | ack add @answered6 { ip6 daddr }
		}
	}`); err != nil {
		t.Fatal(err)
	}
	d := start(t, l.Target, Options{Config: inviting})
	began, entries := time.Now(), 0
	for round := range 20 {
		var packets []packet
		for i := range 50_000 {
			src, dst := Source4(1+i%names), l.Target.V4
			if i%2 == 1 {
				src, dst = Source6(1+i%names), l.Target.V6
			}
			from, to := uint16(1024+(i*13+round*7)%60000), uint16(1+(i*31+round)%9973)
			if round%2 == 0 {
				packets = append(packets, rawSYN(src, dst, from, to))
			} else {
				packets = append(packets, clientSYN(src, dst, from, to))
			}
		}
		pour(t, l.Attacker, packets)
		tracked, err := l.Target.Run("cat", "/proc/sys/net/netfilter/nf_conntrack_count")
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(strings.TrimSpace(tracked))
		entries = max(entries, n)
	}
	took := time.Since(began)
	if entries > 500+100*int(took/time.Second+1)+200 {
		t.Errorf("%d entries in connection tracking within %v", entries, took)
	}
	time.Sleep(2 * time.Second) // for a repeated answer
	hosts, all := 0, 0
	for _, set := range []string{"answered4", "answered6"} {
		out, err := l.Attacker.Run("nft", "-j", "list", "set", "inet", "lab", set)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range packetsCounted.FindAllStringSubmatch(out, -1) {
			n, _ := strconv.Atoi(m[1])
			hosts, all = hosts+1, all+n
			if n > most {
				t.Errorf("a host was answered %d times, want %d at most", n, most)
			}
		}
	}
	if hosts == 0 {
		t.Error("nobody was answered: nothing was tried")
	}
	t.Logf("a million SYNs in %v: %d hosts answered %d times in all, %d entries tracked at most", took, hosts,
		all, entries)
	for _, line := range d.Events() {
		if strings.Contains(line, "proven=true") {
			t.Errorf("proven: %s", line)
		}
	}
}

var packetsCounted = regexp.MustCompile(`"counter": \{"packets": (\d+)`)

// TestServiceTakesItsPortBack: a source is led to the trap at a port. When a service starts
// there, the next SYN reaches the service, even from the same source port.
func TestServiceTakesItsPortBack(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: inviting})
	for _, x := range []struct {
		src, dst netip.Addr
		source   string
		port     uint16
	}{{Source4(1), l.Target.V4, Source4(1).String(), 8080},
		{Source6(1), l.Target.V6, "2001:db8:0:11::/64", 8081}} {
		// One raw SYN: the source is dark, but not fenced.
		pour(t, l.Attacker, []packet{rawSYN(x.src, x.dst, 40001, 2001)})
		if _, err := d.WaitEvent(5*time.Second, "source="+x.source+" ", "action=dark"); err != nil {
			t.Fatal(err)
		}
		read := func() string {
			dialer := net.Dialer{Timeout: time.Second,
				LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(x.src, 45000))}
			var c net.Conn
			var err error
			eventually(t, 5*time.Second, "the source port is free again", func() bool {
				err = l.Attacker.Do(func() (err error) {
					c, err = dialer.Dial("tcp", netip.AddrPortFrom(x.dst, x.port).String())
					return err
				})
				return !errors.Is(err, unix.EADDRINUSE)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			b, _ := io.ReadAll(c)
			return string(b)
		}
		if got := read(); got != "" {
			t.Errorf("%s: the trap said %q", x.src, got)
		}
		s, err := l.Target.Listen("tcp", x.port)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(); got != "picket lab\n" {
			t.Errorf("%s: the service said %q", x.src, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnswersOnce: to a host that neither acknowledges nor resets, the trap's SYN+ACK is
// repeated once. A service's is repeated five times.
func TestAnswersOnce(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	if err := l.Attacker.NFT(`table inet lab {
		set answered { type inet_service; size 1000; flags dynamic; counter; }
		chain in { type filter hook input priority 0;
			tcp flags & (syn | ack) == syn | ack add @answered { tcp sport }
		}
		chain out { type filter hook output priority 0; tcp flags & rst == rst drop; }
	}`); err != nil {
		t.Fatal(err)
	}
	d := start(t, l.Target, Options{Config: inviting})
	pour(t, l.Attacker, []packet{rawSYN(Source4(1), l.Target.V4, 40001, 2001)})
	if _, err := d.WaitEvent(5*time.Second, "source="+Source4(1).String()+" ", "action=dark"); err != nil {
		t.Fatal(err)
	}
	pour(t, l.Attacker, []packet{
		rawSYN(Source4(1), l.Target.V4, 40002, 2002), // led
		clientSYN(Source4(2), l.Target.V4, 40003, 80),
	})
	answers := func() (trap, service int) {
		out, err := l.Attacker.Run("nft", "list", "set", "inet", "lab", "answered")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(\d+) counter packets (\d+)`).FindAllStringSubmatch(out, -1) {
			n, _ := strconv.Atoi(m[2])
			if m[1] == "80" {
				service = n
			} else if m[1] == "2002" {
				trap = n
			}
		}
		return trap, service
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(pollEvery) { // repeats: 1, 3, 7 s
		trap, service := answers()
		if service >= 4 {
			if trap != 2 {
				t.Errorf("the trap answered %d times, want 2", trap)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the trap answered %d times, a service %d", trap, service)
		}
	}
}

// TestInvitedAreQuoted: the event of a proof has the visitor's first bytes, quoted and cleaned.
// "picket explain" and "picket blocks" say what proved the source.
func TestInvitedAreQuoted(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: inviting})
	src := Source4(1)
	pour(t, l.Attacker, []packet{rawSYN(src, l.Target.V4, 40001, 2001)})
	if _, err := d.WaitEvent(5*time.Second, "source="+src.String()+" ", "action=dark"); err != nil {
		t.Fatal(err)
	}
	for p := range uint16(invitedTrigger) {
		c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(l.Target.V4, 3001+p), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "USER \x1b[2Jroot\r\n")
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.Read(make([]byte, 1)) // the trap closes after it has read that
		c.Close()
	}
	line, err := provenBlock(d, src, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	const proof = "completed 25 connections to different ports that nobody serves"
	if !containsAll(line, []string{"data=", "USER", "root", "proven: " + proof}) ||
		strings.Contains(line, "\x1b") {
		t.Errorf("told as %q", line)
	}
	for _, command := range [][]string{{"explain", src.String()}, {"blocks"}} {
		out, err := d.Cmd(command...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(strings.Fields(out), " "), proof) {
			t.Errorf("picket %s says\n%s", strings.Join(command, " "), out)
		}
	}
}

// TestInvitationTellsWhatIsNotSo: with invitations, a fast half-open scan finds as many closed
// ports as without. Ports that the trap shows open beside them are false.
func TestInvitationTellsWhatIsNotSo(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("IPv%d", map[bool]int{false: 4, true: 6}[v6]), func(t *testing.T) {
			l := newLab(t)
			start(t, l.Target, Options{Config: inviting})
			a := attackers{own: Source4(1), dst: l.Target.V4}
			if v6 {
				a.own, a.dst = Source6(1), l.Target.V6
			}
			var truly int
			falsely := toldBy(t, l, syn, func() {
				truly = toldBy(t, l, rst, func() { pour(t, l.Attacker, fullScan(a)) })
			})
			t.Logf("%d ports told truly, %d falsely", truly, falsely)
			if truly > 40 || falsely < 1 || falsely > invitedPorts+12 { // the twelve traps answer too
				t.Errorf("%d of 1000 ports are told truly, %d falsely; want 40 and %d at most", truly,
					falsely, invitedPorts+12)
			}
		})
	}
}

// toldBy is how many ports of TCP answer with such flags while f runs.
func toldBy(t *testing.T, l *Lab, flags byte, f func()) int {
	t.Helper()
	return answered(t, l, f, func(b []byte) string {
		port, head := answeredPort(b), 14+20
		if len(b) > 14 && b[14]>>4 == 6 {
			head = 14 + 40
		}
		if !strings.HasPrefix(port, "6/") || len(b) < head+14 || b[head+13]&(syn|rst) != flags {
			return ""
		}
		return port
	})
}

// TestTrapIsTold: to a bare ACK of a dark source a service answers, and the trap does not:
// by that he can tell them apart until he is fenced. So many ports are all that such SYNs lead him to,
// so he can use them up.
func TestTrapIsTold(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: inviting})
	for i, dst := range []netip.Addr{l.Target.V4, l.Target.V6} {
		src, source := Source4(1), Source4(1).String()
		if i == 1 {
			src, source = Source6(1), "2001:db8:0:11::/64"
		}
		send(t, l.Attacker, rawSYN(src, dst, 40001, 2001))
		waitScored(t, d, source, 1)
		if n := toldBy(t, l, syn, func() { send(t, l.Attacker, rawSYN(src, dst, 40002, 2002)) }); n != 1 {
			t.Fatalf("%s: the trap answered %d times", src, n)
		}
		if n := toldBy(t, l, rst, func() {
			for _, port := range []uint16{80, 2002, 2003} {
				send(t, l.Attacker, rawSegment(src, dst, 41000, port, ack))
			}
		}); n != 1 {
			t.Errorf("%s: %d ports answered an ACK, want the service alone", src, n)
		}
		all := toldBy(t, l, syn, func() {
			for port := range uint16(44) {
				send(t, l.Attacker, rawSYN(src, dst, 42000+port, 3000+port))
				time.Sleep(55 * time.Millisecond) // twenty a second of a fenced source are looked at
			}
		})
		if all < invitedPorts-2 || all > invitedPorts-1 { // the trap's own and the first one's are of them
			t.Errorf("%s: led to %d ports more, want %d or one more", src, all, invitedPorts-2)
		}
		if n := toldBy(t, l, syn, func() {
			send(t, l.Attacker, rawSYN(src, dst, 43000, 4000), rawSYN(src, dst, 43000, 2002))
		}); n != 1 {
			t.Errorf("%s: %d of a new port and an old one answered, want the old one", src, n)
		}
	}
}

// TestHalfOpenTakesNoPlace: who is fenced for a half-open scan, and then connects to other ports
// than those, is led there too, and proven.
func TestHalfOpenTakesNoPlace(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: inviting})
	for i, f := range []struct{ src, dst netip.Addr }{{Source4(1), l.Target.V4}, {Source6(1), l.Target.V6}} {
		source := []string{Source4(1).String(), "2001:db8:0:11::/64"}[i]
		send(t, l.Attacker, rawSYN(f.src, f.dst, 40001, 2001))
		waitScored(t, d, source, 1)
		// No port of a trap is among these.
		n := toldBy(t, l, syn, func() {
			for port := range uint16(44) {
				send(t, l.Attacker, rawSYN(f.src, f.dst, 40002, 2002+port))
			}
		})
		if n < invitedTrigger || n > invitedPorts {
			t.Errorf("%s: %d half-open ports answered, want %d to %d", f.src, n, invitedTrigger, invitedPorts)
		}
		waitScored(t, d, source, 26)
		for port := range uint16(invitedTrigger) {
			// Beyond 20 SYNs a second the next one gets there.
			if !l.Attacker.Reaches(f.src, netip.AddrPortFrom(f.dst, 3001+port), 4*time.Second) {
				t.Errorf("%s: not led to the %d. port", f.src, port+1)
				break
			}
		}
		if _, err := provenBlock(d, f.src, 5*time.Second); err != nil {
			t.Error(err)
		}
	}
}

// TestNobodyIsLedWhenFull: when the table of ports that sources were led to is full, a dark
// source gets silence, as without invitation, and status counts it.
func TestNobodyIsLedWhenFull(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: inviting})
	src, dst := Source4(1), l.Target.V4
	send(t, l.Attacker, rawSYN(src, dst, 40001, 2001))
	waitScored(t, d, src.String(), 1)
	led := func(port uint16) int {
		return toldBy(t, l, syn, func() { send(t, l.Attacker, rawSYN(src, dst, 40002, port)) })
	}
	if n := led(2002); n != 1 {
		t.Fatalf("the trap answered %d times", n)
	}
	var all []string
	for i := range 1<<16 - 1 { // the room that is left
		all = append(all, fmt.Sprintf("198.18.%d.%d . %d", i>>14, i>>6&0xff, 1000+i&0x3f))
	}
	err := l.Target.NFT("add element inet picket invited_ports4 { " + strings.Join(all, ", ") + " }")
	if err != nil {
		t.Fatal(err)
	}
	if n := led(2003); n != 0 {
		t.Errorf("led to %d ports more", n)
	}
	if n := led(2002); n != 1 {
		t.Errorf("of the ports that it was led to %d answer, want the one", n)
	}
	if s := inlineOf(t, d); s.Rules["full_invited_ports"] == 0 {
		t.Errorf("%v", s.Rules)
	}
}
