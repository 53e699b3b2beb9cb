// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/florianl/go-nflog/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// BenchmarkReaction measures the time from the kernel's timestamp of a triggering packet to the
// committed element, over a thousand sources, one every two milliseconds. It measures twice: by
// picket's own clock, up to the kernel's acknowledgement, and from outside, without picket.
func BenchmarkReaction(b *testing.B) {
	b.Run("acknowledged", func(b *testing.B) {
		for range b.N {
			l := newLab(b)
			d := start(b, l.Target, Options{Config: longConfig() + manyStrangers})
			sources := strangers()
			probeEach(b, l, sources)
			var status struct {
				Reaction struct{ Count, P50, P99 float64 } `json:"reaction_us"`
			}
			eventually(b, 5*time.Second, "every source blocked", func() bool {
				out, err := d.Cmd("status", "--json")
				return err == nil && json.Unmarshal([]byte(out), &status) == nil &&
					status.Reaction.Count >= float64(len(sources))
			})
			b.ReportMetric(status.Reaction.P50, "p50-µs")
			b.ReportMetric(status.Reaction.P99, "p99-µs")
			b.ReportMetric(0, "ns/op")
		}
	})
	b.Run("observed", observedReaction)
}

// observedReaction takes both times without picket: the first from a mirror rule in a table of
// the benchmark, with log messages that wake nobody; the second from the kernel's notification,
// when it is read. A second reader makes the figure too high, never too low.
func observedReaction(b *testing.B) {
	for range b.N {
		l := newLab(b)
		sources := strangers()
		seen, unhook := watchPackets(b, l.Target)
		committed, unwatch := watchCommits(b, l.Target)
		start(b, l.Target, Options{Config: longConfig() + manyStrangers})
		probeEach(b, l, sources)
		eventually(b, 5*time.Second, "every source blocked and every packet seen", func() bool {
			return committed.len() >= len(sources) && seen.len() >= len(sources)
		})
		unhook()
		unwatch()
		var took []time.Duration
		for _, src := range sources {
			began, ok := seen.at(src)
			ended, also := committed.at(src)
			if !ok || !also {
				b.Fatalf("%s: seen %v, blocked %v", src, ok, also)
			}
			took = append(took, ended.Sub(began))
		}
		slices.Sort(took)
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(took[len(took)*p/100].Microseconds()), fmt.Sprintf("p%d-µs", p))
		}
		b.ReportMetric(0, "ns/op")
	}
}

// probeEach sends one probe in the name of each source.
func probeEach(b *testing.B, l *Lab, sources []netip.Addr) {
	err := l.Attacker.Do(func() error {
		for _, src := range sources {
			dst := l.Target.V4
			if src.Is6() {
				dst = l.Target.V6
			}
			if err := sendOne(knock(src, dst, 13)); err != nil {
				return err
			}
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// manyStrangers lets a thousand unproven sources be blocked in a few seconds.
const manyStrangers = "unproven_rate = 100000\n"

// strangers returns a thousand sources from the documentation prefixes (RFC 5737, RFC 3849),
// half of each family.
func strangers() []netip.Addr {
	var all []netip.Addr
	for i := range 250 {
		all = append(all, netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i)}),
			addr(fmt.Sprintf("2001:db8:0:%x::1", 0x1000+i)),
			netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + i)}), addr(fmt.Sprintf("2001:db8:0:%x::1",
				0x2000+i)))
	}
	return all
}

// times holds the first time of each source.
type times struct {
	mu sync.Mutex
	of map[netip.Addr]time.Time
}

func (x *times) add(a netip.Addr, t time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.of[a]; !ok {
		x.of[a] = t
	}
}

func (x *times) at(a netip.Addr) (time.Time, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t, ok := x.of[a]
	return t, ok
}

func (x *times) len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.of)
}

// mirror copies packets to port 13 into a group of the benchmark's own, just before picket's
// mirror chain.
const mirror = `table inet benchmark {
	chain input {
		type filter hook input priority filter - 11
		tcp dport 13 log group 78 snaplen 64 queue-threshold 64
	}
}`

// watchPackets records the kernel's time of the first packet of each source.
func watchPackets(b *testing.B, h *Host) (x *times, stop func()) {
	nf, err := nflog.Open(&nflog.Config{Group: 78, Copymode: nflog.CopyPacket, Bufsize: 64, NetNS: h.FD(),
		Timeout: 100})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	stop = sync.OnceFunc(func() {
		cancel()
		nf.Close()
	})
	b.Cleanup(stop)
	x = &times{of: map[netip.Addr]time.Time{}}
	hook := func(a nflog.Attribute) int {
		if a.Payload == nil || a.Timestamp == nil || len(*a.Payload) < 40 {
			return 0
		}
		p := *a.Payload
		src := netip.AddrFrom4([4]byte(p[12:16]))
		if p[0]>>4 == 6 {
			src = netip.AddrFrom16([16]byte(p[8:24]))
		}
		x.add(src, *a.Timestamp)
		return 0
	}
	if err := nf.RegisterWithErrorFunc(ctx, hook, func(error) int { return 0 }); err != nil {
		b.Fatal(err)
	}
	if err := h.NFT(mirror); err != nil {
		b.Fatal(err)
	}
	return x, stop
}

// Numbers of linux/netfilter/nfnetlink.h and nf_tables.h.
const (
	groupNFTables  = 7                // NFNLGRP_NFTABLES
	newSetElements = 10<<8 | 12       // NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWSETELEM
	attrElements   = 3                // NFTA_SET_ELEM_LIST_ELEMENTS
	attrName       = 2                // NFTA_SET_ELEM_LIST_SET
	attrKey        = 1                // NFTA_SET_ELEM_KEY
	attrValue      = 1                // NFTA_DATA_VALUE
	nfgenmsg       = 4                // bytes of struct nfgenmsg before the attributes
	typeMask       = ^uint16(3 << 14) // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

// watchCommits records the kernel's notice of each source in blocked4 and blocked6.
func watchCommits(b *testing.B, h *Host) (x *times, stop func()) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: h.FD()})
	if err != nil {
		b.Fatal(err)
	}
	stop = sync.OnceFunc(func() { conn.Close() })
	b.Cleanup(stop)
	if err := conn.JoinGroup(groupNFTables); err != nil {
		b.Fatal(err)
	}
	x = &times{of: map[netip.Addr]time.Time{}}
	go func() {
		for {
			msgs, err := conn.Receive()
			now := time.Now()
			if err != nil {
				return // closed
			}
			for _, m := range msgs {
				if m.Header.Type == newSetElements && len(m.Data) > nfgenmsg {
					for _, a := range elements(m.Data[nfgenmsg:]) {
						x.add(a, now)
					}
				}
			}
		}
	}()
	return x, stop
}

// elements returns the addresses added to blocked4 or blocked6 by a message.
func elements(b []byte) (found []netip.Addr) {
	set := string(attr(b, attrName))
	if set != "blocked4\x00" && set != "blocked6\x00" {
		return nil
	}
	for list := attr(b, attrElements); len(list) >= 4; {
		n := int(binary.NativeEndian.Uint16(list))
		if n < 4 || n > len(list) {
			return found
		}
		if a, ok := netip.AddrFromSlice(attr(attr(list[4:n], attrKey), attrValue)); ok {
			found = append(found, a)
		}
		list = list[min((n+3)&^3, len(list)):]
	}
	return found
}

// attr returns the value of a netlink attribute, or nil.
func attr(b []byte, kind uint16) []byte {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&typeMask == kind {
			return b[4:n]
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// BenchmarkHold measures how many of a thousand ports answer fast scans, over twenty scans of a
// tool, with both processors busy: with the kernel's hold, and with the embedded default. The
// hold is for watched ports, and an excluded port answers (the default excludes ident), so
// nothing is excluded with the hold.
func BenchmarkHold(b *testing.B) {
	busy(b)
	for _, setup := range []struct{ name, config string }{{"trigger 0", longConfig()}, {"default", ""}} {
		for _, tool := range fastTools() {
			for _, family := range []string{"IPv4", "IPv6"} {
				if family == "IPv6" && tool.only4 {
					continue
				}
				b.Run(setup.name+" "+tool.name+" "+family, func(b *testing.B) {
					for range b.N {
						answered := fastScans(b, setup.config, family, tool)
						slices.Sort(answered)
						b.ReportMetric(float64(answered[len(answered)-1]), "max-answered")
						b.ReportMetric(float64(answered[len(answered)/2]), "median-answered")
						b.ReportMetric(0, "ns/op")
					}
				})
			}
		}
	}
}

// busy keeps each processor busy until the benchmark ends.
func busy(b *testing.B) {
	for range runtime.NumCPU() {
		c := exec.Command("sh", "-c", "while :; do :; done")
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Process.Kill(); c.Wait() })
	}
}

// A fastTool is a scanner at full speed.
type fastTool struct {
	name  string
	only4 bool
	args  func(a aim) []string
}

func fastTools() []fastTool {
	return []fastTool{
		{"nmap", false, func(a aim) []string {
			args := []string{"nmap", "-n", "-Pn", "-sS", "-S", a.src.String(), "-e", a.dev,
				"-T5", "--min-rate", "5000", "--max-retries", "0", "-p" + a.ports}
			if a.dst.Is6() {
				return append(args, "-6", a.dst.String())
			}
			return append(args, "--send-ip", a.dst.String())
		}},
		{"masscan", false, func(a aim) []string {
			args := masscan(a)
			args[slices.Index(args, "--rate")+1] = "1000000"
			return args
		}},
		{"hping3", true, func(a aim) []string {
			return []string{"sh", "-c", `timeout 2 "$@"; true`, "hping3", "hping3", "-S", "--flood", "-p",
				"++1",
				"-a", a.src.String(), "-I", a.dev, a.dst.String()}
		}},
	}
}

// fastScans scans twenty times, each from a source of its own.
func fastScans(b *testing.B, config, family string, tool fastTool) (answered []int) {
	l := newLab(b)
	d := start(b, l.Target, Options{Config: config})
	mac, err := l.Target.Run("cat", "/sys/class/net/"+l.Target.Dev+"/address")
	if err != nil {
		b.Fatal(err)
	}
	for i := 1; i <= 20; i++ {
		a := aim{Source4(i), l.Target.V4, l.Attacker.Dev, strings.TrimSpace(mac), "1-1000"}
		if family == "IPv6" {
			a.src, a.dst = Source6(i), l.Target.V6
		}
		answered = append(answered, answersTo(b, l, func() {
			args := tool.args(a)
			if _, err := l.Attacker.Run(args[0], args[1:]...); err != nil {
				b.Fatal(err)
			}
		}))
		if _, err := d.WaitBlock(a.src, 5*time.Second); err != nil {
			b.Fatal(err)
		}
	}
	return answered
}
