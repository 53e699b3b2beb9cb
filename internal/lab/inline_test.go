// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const inlineConfig = "[inline]\nports = \"open\"\n"

// crudeSYN is a SYN without options, with a source port for each port.
func crudeSYN(src, dst netip.Addr, from, to uint16) packet {
	m := made{window: 512, ttl: 64, v6: dst.Is6(), from: from}
	p := m.bytes(src, dst, uint32(from)<<16)
	b := p[len(p)-20:]
	b[2], b[3] = byte(to>>8), byte(to)
	sum := upperChecksum(src, dst, 6, append(slices.Clone(b[:16]), 0, 0, b[18], b[19]))
	b[16], b[17] = byte(sum>>8), byte(sum)
	return p
}

// oddStack makes the connections of a host begin with a segment size and no other option, as
// small stacks do. All its SYNs wait.
func oddStack(t testing.TB, h *Host) {
	t.Helper()
	if err := h.Sysctl("net/ipv4/tcp_timestamps", "0", "net/ipv4/tcp_sack", "0",
		"net/ipv4/tcp_window_scaling", "0"); err != nil {
		t.Fatal(err)
	}
}

// inlineStatus is the part of the status about the inline verdict.
type inlineStatus struct {
	Pid    int    `json:"pid"`
	Probes uint64 `json:"probes"`
	Inline struct {
		Off                              string
		By                               string
		Held, Let, Refused, Aged, Errors uint64
	} `json:"inline"`
	Rules map[string]uint64 `json:"rules"`
}

func inlineOf(t testing.TB, d *Daemon) (s inlineStatus) {
	t.Helper()
	out, err := d.Cmd("status", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openTold counts the services that send the attacker a SYN+ACK while f runs. Ports of the trap
// are not services.
func openTold(t testing.TB, l *Lab, f func()) int {
	return answered(t, l, f, func(b []byte) string {
		port := answeredPort(b)
		if n, _ := strconv.Atoi(strings.TrimPrefix(port, "6/")); slices.Contains(services, uint16(n)) {
			upper := b[14+20:]
			if b[12] == 0x86 {
				upper = b[14+40:]
			}
			if len(upper) >= 14 && upper[13]&(syn|ack) == syn|ack {
				return port
			}
		}
		return ""
	})
}

// TestInlineVerdict: a scanner whose packets the door does not refuse learns nothing about
// services, by one SYN or two. An unknown source with the same packet and an ordinary client
// are answered. picket has CAP_NET_ADMIN only.
func TestInlineVerdict(t *testing.T) {
	l := newLab(t)
	for _, port := range []uint16{22, 80, 443} {
		listen(t, l.Target, "tcp", port)
	}
	d := start(t, l.Target, Options{Config: inlineConfig, User: 65534})
	if s := inlineOf(t, d); s.Inline.By == "" {
		t.Fatalf("the inline verdict is off: %+v", s)
	}
	for i, dst := range []netip.Addr{l.Target.V4, l.Target.V6} {
		src, stranger := Source4(1), Source4(2)
		if dst.Is6() {
			src, stranger = Source6(1), Source6(2)
		}
		if n := openTold(t, l, func() { send(t, l.Attacker, crudeSYN(stranger, dst, 3000, 80)) }); n != 1 {
			t.Errorf("a stranger was told %d open ports, want 1", n)
		}
		for n, port := range []uint16{23, 2323, 5555} {
			send(t, l.Attacker, crudeSYN(src, dst, uint16(2000+n), port))
		}
		time.Sleep(50 * time.Millisecond)
		n := openTold(t, l, func() {
			for n, port := range []uint16{22, 80, 443} {
				p := crudeSYN(src, dst, uint16(4000+n), port)
				send(t, l.Attacker, p, p)
			}
		})
		if n != 0 {
			t.Errorf("%v: a scanner was told %d open ports", dst, n)
		}
		if _, err := d.WaitEvent(5*time.Second, "action=fence", "held inline for ", "held_us="); err != nil {
			t.Error(err)
		}
		s := inlineOf(t, d)
		if s.Inline.Refused < uint64(1+i) || s.Inline.Errors != 0 || s.Inline.Aged != 0 {
			t.Errorf("%+v", s)
		}
		for _, c := range [][]string{{"explain", src.String()}, {"blocks"}} {
			if out, err := d.Cmd(c...); err != nil || !strings.Contains(out, "held inline for ") {
				t.Errorf("%s: %v\n%s", c, err, out)
			}
		}
		if !l.Attacker.Reaches(stranger, netip.AddrPortFrom(dst, 80), time.Second) {
			t.Error("a client does not get in")
		}
	}
}

// TestInlineNear: a scanner is not taken for a traceroute because its packets arrive with few
// hops left.
func TestInlineNear(t *testing.T) {
	l := newLab(t)
	for _, port := range []uint16{22, 80, 443} {
		listen(t, l.Target, "tcp", port)
	}
	d := start(t, l.Target, Options{Config: inlineConfig})
	for _, x := range []struct {
		src, dst netip.Addr
		hops     int // position of the hop count in the header
	}{{Source4(1), l.Target.V4, 8}, {Source6(1), l.Target.V6, 7}} {
		near := func(from, to uint16) packet {
			p := crudeSYN(x.src, x.dst, from, to)
			p[x.hops] = 5
			return p
		}
		for n, port := range []uint16{23, 2323, 5555, 3389, 1433, 5900} {
			send(t, l.Attacker, near(uint16(2000+n), port))
		}
		time.Sleep(50 * time.Millisecond)
		told := openTold(t, l, func() {
			for n, port := range []uint16{22, 80, 443} {
				send(t, l.Attacker, near(uint16(4000+n), port))
			}
		})
		if told != 0 {
			t.Errorf("%s was told %d open ports", x.src, told)
		}
	}
	// The SYN of an ordinary client waits too after its source has asked for an unserved port.
	for i, dst := range []netip.Addr{l.Target.V4, l.Target.V6} {
		src := []netip.Addr{Source4(2), Source6(2)}[i]
		before := inlineOf(t, d).Inline.Held
		send(t, l.Attacker, df(clientSYN(src, dst, 4000, 80)), df(clientSYN(src, dst, 4001, 9999)))
		time.Sleep(50 * time.Millisecond)
		send(t, l.Attacker, df(clientSYN(src, dst, 4002, 80)))
		time.Sleep(50 * time.Millisecond)
		if n := inlineOf(t, d).Inline.Held - before; n != 1 {
			t.Errorf("%d SYNs of %s have waited, want the one after the question", n, src)
		}
	}
}

// TestInlineDark: a scanner that rests until the rules have forgotten what it asked for is
// still judged while it is dark, by a SYN as clients send it too.
func TestInlineDark(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: inlineConfig})
	for i, dst := range []netip.Addr{l.Target.V4, l.Target.V6} {
		src, source := Source4(1), Source4(1).String()
		if i == 1 {
			src, source = Source6(1), "2001:db8:0:11::/64"
		}
		for n, port := range []uint16{23, 2323, 5555, 3389} {
			send(t, l.Attacker, crudeSYN(src, dst, uint16(2000+n), port))
		}
		waitScored(t, d, source, 1)
		eventually(t, 5*time.Second, "the probes are judged", func() bool {
			return inlineOf(t, d).Probes >= uint64(4+4*i)
		})
		set := "askers" + []string{"4", "6"}[i]
		if _, err := l.Target.Run("nft", "flush", "set", "inet", "picket", set); err != nil {
			t.Fatal(err)
		}
		send(t, l.Attacker, df(clientSYN(src, dst, 4000, 80)))
		_, err := d.WaitEvent(5*time.Second, "source="+source+" ", "action=fence", "held inline for ")
		if err != nil {
			t.Error(err)
		}
	}
}

// TestInlineFull: when the tables of who asked for what are full, a SYN as clients send it does
// not wait, and one that they do not send is refused all the same.
func TestInlineFull(t *testing.T) {
	l := newLab(t)
	for _, port := range services {
		listen(t, l.Target, "tcp", port)
	}
	d := start(t, l.Target, Options{Config: inlineConfig})
	var flood []packet
	for i := range 70000 {
		src := netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)})
		flood = append(flood, df(clientSYN(src, l.Target.V4, uint16(1024+i%60000), uint16(1000+i%900))))
	}
	pour(t, l.Attacker, flood)
	src, dst := Source4(1), l.Target.V4
	for n, port := range []uint16{23, 2323, 5555} {
		send(t, l.Attacker, crudeSYN(src, dst, uint16(2000+n), port))
	}
	eventually(t, 5*time.Second, "the table is full", func() bool {
		return inlineOf(t, d).Rules["full_sight"] > 0
	})
	time.Sleep(50 * time.Millisecond)
	usual := openTold(t, l, func() {
		for n, port := range services {
			send(t, l.Attacker, df(clientSYN(src, dst, uint16(5000+n), port)))
		}
	})
	odd := openTold(t, l, func() {
		for n, port := range services {
			send(t, l.Attacker, crudeSYN(src, dst, uint16(6000+n), port))
		}
	})
	if usual != len(services) || odd != 0 {
		t.Errorf("told %d services by usual SYNs, want %d, and %d by others, want 0: %+v", usual,
			len(services), odd, inlineOf(t, d).Inline)
	}
}

// df sets DF on an IPv4 packet, as ordinary clients do.
func df(p packet) packet {
	if p[0]>>4 == 4 {
		p[6] |= 0x40
	}
	return p
}

// crowd gives the attacker n unused addresses, half of each family. SYNs from recently
// connected addresses would not wait.
func crowd(t testing.TB, l *Lab, n int) (all []netip.Addr) {
	t.Helper()
	if err := l.Attacker.IP("route add local 198.51.100.0/24 dev lo", "route add local 203.0.113.0/24 dev lo",
		"route add local 2001:db8:0:8000::/49 dev lo"); err != nil {
		t.Fatal(err)
	}
	if err := l.Attacker.Sysctl("net/ipv6/ip_nonlocal_bind", "1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Target.IP("route add 198.51.100.0/24 via 192.0.2.1", "route add 203.0.113.0/24 via 192.0.2.1",
		"route add 2001:db8:0:8000::/49 via fe80::1 dev eth0"); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		a := netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i/2%254)})
		switch {
		case i%2 == 1:
			a = netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", 0x8000+i))
		case i/2 >= 254:
			a = netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + i/2%254)})
		}
		all = append(all, a)
	}
	return all
}

// connect dials a port from some addresses, atOnce at a time, and returns the sorted times. The
// test fails if a connection fails.
func connect(t testing.TB, l *Lab, port uint16, from []netip.Addr, atOnce int) (took []time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	work := make(chan netip.Addr, len(from))
	for _, a := range from {
		work <- a
	}
	close(work)
	for range atOnce {
		wg.Go(func() {
			for a := range work {
				to := netip.AddrPortFrom(l.Target.V4, port)
				if a.Is6() {
					to = netip.AddrPortFrom(l.Target.V6, port)
				}
				began := time.Now()
				c, err := l.Attacker.Dial("tcp", a, to, 10*time.Second)
				mu.Lock()
				if took = append(took, time.Since(began)); err != nil {
					t.Errorf("from %v: %v", a, err)
				} else {
					c.Close()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

// retransmitted is the time limit for a connection by the first retransmission of the SYN,
// which comes after a second (net/ipv4/tcp_timer.c, TCP_TIMEOUT_INIT), on a busy machine.
const retransmitted = 1900 * time.Millisecond

// TestInlineFailsOpen: whatever happens to the daemon while SYNs wait, every connection
// succeeds, with the first retransmission at the latest.
func TestInlineFailsOpen(t *testing.T) {
	for _, x := range []struct {
		name string
		do   func(t *testing.T, d *Daemon, pid int)
	}{
		{"judged", func(*testing.T, *Daemon, int) {}},
		{"stopped", func(t *testing.T, d *Daemon, pid int) {
			signal(t, pid, syscall.SIGSTOP)
			t.Cleanup(func() { signal(t, pid, syscall.SIGCONT) })
		}},
		{"killed", func(t *testing.T, d *Daemon, pid int) {
			time.AfterFunc(100*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		}},
		{"killed with SYNs held", func(t *testing.T, d *Daemon, pid int) {
			signal(t, pid, syscall.SIGSTOP)
			time.AfterFunc(300*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		}},
		{"ended", func(t *testing.T, d *Daemon, pid int) {
			time.AfterFunc(100*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGTERM) })
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := newLab(t)
			listen(t, l.Target, "tcp", 80)
			oddStack(t, l.Attacker)
			d := begin(t, l.Target, Options{Config: inlineConfig})
			t.Cleanup(d.Kill)
			s := inlineOf(t, d)
			x.do(t, d, s.Pid)
			took := connect(t, l, 80, crowd(t, l, 1000), 10)
			if most := took[len(took)-1]; most > retransmitted {
				t.Errorf("the slowest took %v", most)
			}
			t.Logf("median %v, 99 %% %v, most %v", took[500], took[990], took[999])
			if x.name == "judged" {
				if s = inlineOf(t, d); s.Inline.Held+s.Rules["inline_excess"] < 990 || s.Inline.Held < 100 ||
					s.Inline.Refused != 0 {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

func signal(t testing.TB, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// TestInlineFlood: a flood of SYNs that must wait passes beyond the limit, and prevents neither
// ordinary clients nor odd ones from connecting.
func TestInlineFlood(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: inlineConfig})
	var flood []packet
	for i := range 60000 {
		flood = append(flood, crudeSYN(Source4(3+i%20), l.Target.V4, uint16(1024+i), 80))
	}
	all := crowd(t, l, 200)
	var wg sync.WaitGroup
	wg.Go(func() { pour(t, l.Attacker, flood) })
	ordinary := connect(t, l, 80, all[:100], 1)
	oddStack(t, l.Attacker)
	odd := connect(t, l, 80, all[100:], 1)
	wg.Wait()
	if most := max(ordinary[99], odd[99]); most > retransmitted {
		t.Errorf("the slowest took %v", most)
	}
	s := inlineOf(t, d)
	if s.Rules["inline_excess"] == 0 || s.Inline.Held == 0 || s.Rules["full_doubted"] != 0 {
		t.Errorf("%+v", s)
	}
	t.Logf("ordinary %v, odd %v at most; %d held, %d passed, %d unjudged", ordinary[99], odd[99],
		s.Inline.Held, s.Rules["inline_excess"], s.Inline.Aged)
}

// TestInlineForgedCopy: after a forged SYN with a client's address and port, the client's own
// SYN is taken for a copy and dropped, and its next one passes.
func TestInlineForgedCopy(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: inlineConfig})
	src := Source4(1)
	p := crudeSYN(src, l.Target.V4, 3000, 80)
	if n := openTold(t, l, func() { send(t, l.Attacker, p) }); n != 1 {
		t.Errorf("the forged SYN: %d answers", n)
	}
	if n := openTold(t, l, func() { send(t, l.Attacker, p, p, p) }); n != 1 { // half a second later
		t.Errorf("the client's next ones: %d answers", n)
	}
	send(t, l.Attacker, crudeSYN(src, l.Target.V4, 3001, 80), crudeSYN(src, l.Target.V4, 3001, 80))
	s := inlineOf(t, d)
	if s.Rules["kept_copies"] != 1 || s.Rules["inline_later"] == 0 {
		t.Errorf("%+v", s.Rules)
	}
}

// TestInlineConnectedPasses: SYNs of a connected peer do not wait, whatever they look like.
func TestInlineConnectedPasses(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	listen(t, l.Target, "tcp", 443)
	d := start(t, l.Target, Options{Config: inlineConfig})
	src := Source4(1)
	c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(l.Target.V4, 80), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n, port := range []uint16{23, 2323, 5555} {
		send(t, l.Attacker, crudeSYN(src, l.Target.V4, uint16(2000+n), port))
	}
	told := openTold(t, l, func() { send(t, l.Attacker, crudeSYN(src, l.Target.V4, 4000, 443)) })
	if s := inlineOf(t, d); told != 1 || s.Inline.Held != 0 {
		t.Errorf("told %d open ports, want 1: %+v", told, s.Inline)
	}
}

// TestInlineIsNotStored: systemd stores the socket of the group for the next picket, but not
// the socket of the queue: a queue without a reader would hold packets. The queue of a killed
// picket is gone.
func TestInlineIsNotStored(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	oddStack(t, l.Attacker)
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	var stored atomic.Int32
	go func() {
		for b, oob := make([]byte, 4096), make([]byte, 1024); ; {
			n, m, _, _, err := manager.ReadMsgUnix(b, oob)
			if err != nil {
				return
			}
			if strings.Contains(string(b[:n]), "FDSTORE=1") && m > 0 {
				stored.Add(1) // the descriptor in oob stays open, as systemd keeps it
			}
		}
	}()
	d := begin(t, l.Target, Options{Config: inlineConfig, Through: []string{"env", "NOTIFY_SOCKET=" + path}})
	t.Cleanup(d.Kill)
	queues := func() string {
		text, err := l.Target.Run("cat", "/proc/net/netfilter/nfnetlink_queue")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(text)
	}
	eventually(t, 5*time.Second, "the group's socket is stored", func() bool { return stored.Load() > 0 })
	if stored.Load() != 1 || queues() == "" {
		t.Errorf("%d sockets stored, want the group's alone; queues: %q", stored.Load(), queues())
	}
	signal(t, inlineOf(t, d).Pid, syscall.SIGKILL)
	eventually(t, 5*time.Second, "the queue is gone", func() bool { return queues() == "" })
	if took := connect(t, l, 80, crowd(t, l, 2), 1); took[1] > retransmitted/2 {
		t.Errorf("without a reader a connection took %v", took[1])
	}
}

// scanners are scans of 1,000 ports at full speed.
func scanners(l *Lab) map[string]func(i int) (v6 bool, argv []string) {
	ports := "1-1000"
	mac := func() string {
		out, _ := l.Target.Run("cat", "/sys/class/net/eth0/address")
		return strings.TrimSpace(out)
	}
	nmap := func(i int, v6 bool) []string {
		src, to := Source4(i), l.Target.V4
		args := []string{"nmap", "-n", "-Pn", "-sS", "-T5", "--min-rate", "5000", "-p" + ports,
			"-e", l.Attacker.Dev}
		if v6 {
			src, to = Source6(i), l.Target.V6
			args = append(args, "-6")
		} else {
			args = append(args, "--send-ip")
		}
		return append(args, "-S", src.String(), to.String())
	}
	fast := func(i int, v6 bool) []string {
		src, to, router := Source4(i), l.Target.V4, "--router-mac"
		if v6 {
			src, to, router = Source6(i), l.Target.V6, "--router-mac-ipv6"
		}
		return []string{"sh", "-c", `timeout 2 "$@"; true`, "masscan", "masscan", to.String(), "-p" + ports,
			"--rate", "5000", "--wait", "0", "-e", l.Attacker.Dev, "--source-ip", src.String(), router, mac()}
	}
	return map[string]func(int) (bool, []string){
		"nmap":          func(i int) (bool, []string) { return false, nmap(i, false) },
		"nmap, IPv6":    func(i int) (bool, []string) { return true, nmap(i, true) },
		"masscan":       func(i int) (bool, []string) { return false, fast(i, false) },
		"masscan, IPv6": func(i int) (bool, []string) { return true, fast(i, true) },
		"zmap": func(i int) (bool, []string) {
			const each = `for p in 21 22 23 25 53 80 110 111 135 139 143 443 445 993; do ` +
				`zmap -q -o /dev/null -b /dev/null -c 0 -r 5000 -i "$1" -G "$2" -S "$3" -p $p "$4"; ` +
				`done; true`
			return false, []string{"sh", "-c", each, "zmap", l.Attacker.Dev, mac(), Source4(i).String(),
				l.Target.V4.String()}
		},
		"hping3": func(i int) (bool, []string) {
			return false, []string{"sh", "-c",
				`timeout 20 hping3 -q -S -i u200 -c 1000 -p ++1 -a "$1" "$2"; true`, "hping3",
				Source4(i).String(), l.Target.V4.String()}
		},
	}
}

// services are the open ports of the scans.
var services = []uint16{22, 80, 143, 443, 993}

// scanServices runs a scanner n times, each time from another source, and returns how many open
// ports each run found.
func scanServices(t testing.TB, name, config string, n int) (told []int) {
	l := newLab(t)
	for _, port := range services {
		listen(t, l.Target, "tcp", port)
	}
	d := start(t, l.Target, Options{Config: config})
	argv := scanners(l)[name]
	for i := 1; i <= n; i++ {
		_, args := argv(i)
		told = append(told, openTold(t, l, func() {
			if out, err := l.Attacker.Run(args[0], args[1:]...); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
		}))
	}
	s := inlineOf(t, d)
	if s.Probes < uint64(n) {
		t.Errorf("%s: only %d probes were seen", name, s.Probes)
	}
	t.Logf("%s: open ports told %v; refused at the door %d, inline %d of %d", name, told,
		s.Rules["kept_door"], s.Inline.Refused, s.Inline.Held)
	return told
}

// TestScanOfServices: with the door and the inline verdict, a scan at full speed finds no
// service; with the inline verdict alone it finds none either.
func TestScanOfServices(t *testing.T) {
	for _, name := range []string{"nmap", "nmap, IPv6", "masscan", "masscan, IPv6", "zmap"} {
		for _, config := range []string{inlineConfig, inlineConfig + "[door]\nraw = \"log\"\n"} {
			if told := scanServices(t, name, config, 1); slices.Max(told) != 0 {
				t.Errorf("%s, %s: told %v", name, strconv.Quote(config), told)
			}
		}
	}
}

// BenchmarkInlineScans scans twenty times with each tool: with the door and the inline verdict,
// with the door alone, with the inline verdict alone, and without both.
func BenchmarkInlineScans(b *testing.B) {
	const noDoor = "[door]\nraw = \"log\"\n"
	for _, name := range []string{"nmap", "nmap, IPv6", "masscan", "masscan, IPv6", "zmap", "hping3"} {
		for what, config := range map[string]string{
			"both": inlineConfig, "door": "", "inline": inlineConfig + noDoor, "neither": noDoor,
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				for range b.N {
					told, runs := scanServices(b, name, config, 20), 0
					for _, n := range told {
						runs += min(n, 1)
					}
					b.ReportMetric(float64(slices.Max(told)), "max-told")
					b.ReportMetric(float64(runs), "runs-told-any")
					b.ReportMetric(0, "ns/op")
				}
			})
		}
	}
}

// TestInlineFarHeader: a SYN with its TCP header behind long extension headers is judged as any
// other.
func TestInlineFarHeader(t *testing.T) {
	l := newLab(t)
	for _, port := range []uint16{22, 80, 443} {
		listen(t, l.Target, "tcp", port)
	}
	d := start(t, l.Target, Options{Config: inlineConfig})
	src := Source6(1)
	for n, port := range []uint16{23, 2323, 5555} {
		send(t, l.Attacker, crudeSYN(src, l.Target.V6, uint16(2000+n), port))
	}
	time.Sleep(50 * time.Millisecond)
	told := openTold(t, l, func() {
		for n, port := range []uint16{22, 80, 443} {
			p := crudeSYN(src, l.Target.V6, uint16(4000+n), port)
			long := append(append(p[:40:40], option(6, make([]byte, 96))...), p[40:]...)
			long[6], long[41] = destination, 12 // in units of 8 bytes, but for the first
			for at := 48; at < 144; at += 32 {  // three unknown options that are skipped
				long[at], long[at+1] = 0x1e, 30
			}
			long[4], long[5] = 0, byte(len(long)-40)
			send(t, l.Attacker, long)
		}
	})
	if told != 0 {
		t.Errorf("told %d open ports: %+v", told, inlineOf(t, d).Inline)
	}
}

// TestInlineRepeated: the answers to a scanner with decoys that repeats its SYNs. A source is
// not kept out because others sent the same in its name.
func TestInlineRepeated(t *testing.T) {
	l := newLab(t)
	for _, port := range []uint16{22, 80, 443} {
		listen(t, l.Target, "tcp", port)
	}
	start(t, l.Target, Options{Config: inlineConfig})
	both := func(from, to uint16) {
		for _, src := range []netip.Addr{Source4(1), Source4(2)} {
			send(t, l.Attacker, crudeSYN(src, l.Target.V4, from, to))
		}
	}
	for n, port := range []uint16{23, 2323, 5555, 3389, 1433} {
		both(uint16(2000+n), port)
	}
	time.Sleep(50 * time.Millisecond)
	for _, want := range []int{0, 3} {
		told := openTold(t, l, func() {
			for n, port := range []uint16{22, 80, 443} {
				both(uint16(4000+n), port)
			}
		})
		if told != want {
			t.Errorf("told %d open ports, want %d", told, want)
		}
		time.Sleep(400 * time.Millisecond)
	}
}
