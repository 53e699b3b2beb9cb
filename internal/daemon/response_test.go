// SPDX-License-Identifier: MIT

package daemon

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/control"
	"picket/internal/host"
	"picket/internal/ledger"
	"picket/internal/probe"
	"picket/nft"
)

var graded = strings.Replace(plain, `"block"`, `"graded"`, 1)

// The source of a scan that may be forged is fenced and goes dark. Each response is reported
// and listed by itself, nothing is done beside it, and its counts end with the fence.
func TestFence(t *testing.T) {
	running(t, graded, nil, func(r *run) {
		r.probes("203.0.113.9", 1, 26)
		r.wants() // nobody is blocked
		r.told(1, "action=fence for_s=540")
		source := prefix("203.0.113.9/32")
		r.kernel.with(func() {
			b, ok := r.others[ledger.Of(&nft.Block{Response: nft.Fenced, Source: source})]
			if !ok || b.For != 10*time.Minute-2*nft.HoldsTime || !b.Held {
				t.Errorf("fence in the kernel: %+v, %v", b, ok)
			}
		})
		rows := r.asks(control.Request{Command: "blocks"}, "").([]control.Block)
		var got []string
		for _, b := range rows {
			got = append(got, b.Response)
		}
		if slices.Sort(got); !slices.Contains(got, "fence") || slices.Contains(got, "block") {
			t.Errorf("responses listed: %q", got)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		r.told(1, "the fence has ended")
		r.kernel.with(func() {
			if !slices.Contains(r.forgotten, source) {
				t.Errorf("the counts stay: %v", r.forgotten)
			}
		})
	})
}

// A forged source reaches every service for fifty of any sixty minutes, even without a flow. Its
// fences and the holds of the rules take ten minutes at most, and nothing else keeps it off.
func TestFiftyOfSixtyMinutes(t *testing.T) {
	const hours = 3
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	every := func(d time.Duration) func(*rand.Rand) time.Duration {
		return func(*rand.Rand) time.Duration { return d }
	}
	for _, x := range []struct {
		name  string
		burst int // packets at once
		pause func(*rand.Rand) time.Duration
	}{
		{"without end", 16, every(20 * time.Second)},
		{"when a fence has ended", 200, every(541 * time.Second)},
		{"when the hour has ended", 200, every(time.Hour - time.Second)},
		{"at random", 100, func(r *rand.Rand) time.Duration {
			if r.IntN(10) == 0 {
				return time.Duration(r.IntN(70)) * time.Minute
			}
			return time.Duration(r.IntN(60)) * time.Second
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			running(t, graded, nil, func(r *run) {
				random, addr := rand.New(rand.NewPCG(seed, 0)), netip.MustParseAddr
				kinds := []probe.Probe{
					{Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN, Technique: probe.SYN},
					{Protocol: probe.ProtocolTCP, Flags: probe.FlagFIN, Technique: probe.FIN},
					{Protocol: probe.ProtocolUDP, Technique: probe.UDP},
					{Protocol: probe.ProtocolSCTP, Technique: probe.SCTPInit},
					{Protocol: probe.ProtocolTCP, Technique: probe.Fragment, Unread: true},
					{Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN, Technique: probe.SYN, Over: true},
				}
				for end := time.Now().Add(hours * time.Hour); time.Now().Before(end); {
					for range x.burst {
						p := kinds[random.IntN(len(kinds))]
						p.At, p.Mode = time.Now().UnixNano(), probe.Advanced
						p.Source, p.Destination = addr("203.0.113.9"), addr("192.0.2.2")
						if random.IntN(2) == 0 {
							p.Source, p.Destination = addr("2001:db8:9::9"), addr("2001:db8::2")
						}
						if p.SourcePort = uint16(random.IntN(65536)); !p.Unread {
							p.Port = uint16(1 + random.IntN(65535))
						}
						r.emit(p, make([]byte, 60))
					}
					time.Sleep(x.pause(random))
				}
				r.wants() // nobody is blocked
				r.kernel.with(func() {
					most := outOfAnHour(r.fences)
					if most += 2 * nft.HoldsTime; most > 10*time.Minute || len(r.fences) < hours {
						t.Errorf("kept off for %v of an hour, by %d fences and holds", most, len(r.fences))
					}
				})
			})
		})
	}
}

// outOfAnHour is the longest time in any hour that one source was fenced.
func outOfAnHour(fences []fence) (most time.Duration) {
	for _, first := range fences {
		end, sum := first.at.Add(time.Hour), time.Duration(0)
		for _, f := range fences {
			if f.source == first.source && !f.at.Before(first.at) && f.at.Before(end) {
				sum += min(f.length, end.Sub(f.at))
			}
		}
		most = max(most, sum)
	}
	return most
}

// Unblock ends every response to a source, and the judge forgets its probes.
func TestUnblockEndsAll(t *testing.T) {
	running(t, graded, nil, func(r *run) {
		r.probes("203.0.113.9", 1, 26)
		r.asks(control.Request{Command: "unblock", Source: "203.0.113.9"}, "")
		r.kernel.with(func() {
			if len(r.others) != 0 {
				t.Errorf("left: %v", r.others)
			}
		})
		r.asks(control.Request{Command: "unblock", Source: "203.0.113.9"}, "is not blocked")
	})
}

// A network that is blocked by hand stays blocked when one of its addresses becomes a friend:
// the rules let that address in.
func TestFriendInBlockedNetwork(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.asks(control.Request{Command: "block", Source: "198.51.100.0/24", For: "1h"}, "")
		r.asks(control.Request{Command: "block", Source: "198.51.100.7", For: "1h"}, "")
		write(t, r.options.Path, strings.ReplaceAll(plain, "DIR",
			t.TempDir())+"[ignore]\naddresses = [\"198.51.100.7\"]\n")
		r.hangup <- syscall.SIGHUP
		r.wants("198.51.100.0/24")
		r.asks(control.Request{Command: "block", Source: "198.51.100.7", For: "1h"}, "must not be blocked")
	})
}

// A served port is reported to the kernel at once and then again and again. A UDP port of the
// ephemeral range is reported after a while.
func TestServicesAreTold(t *testing.T) {
	running(t, plain, func(k *kernel) {
		k.serving = []host.Service{{Protocol: 6, Port: 443}, {Protocol: 17, Port: 51820}}
	}, func(r *run) {
		count := func(port uint16) (n int) {
			r.kernel.with(func() {
				for _, s := range r.served {
					if s.Port == port {
						n++
					}
				}
			})
			return n
		}
		time.Sleep(10 * time.Second)
		if web, guard := count(443), count(51820); web != 1 || guard != 0 {
			t.Errorf("after ten seconds 443 was told %d times, 51820 %d times", web, guard)
		}
		time.Sleep(20 * time.Minute)
		if web, guard := count(443), count(51820); web < 4 || guard < 4 {
			t.Errorf("after twenty minutes 443 was told %d times, 51820 %d times", web, guard)
		}
	})
}

// Addresses of logged-in people are given to judge and kernel, and are not fenced.
func TestOperatorIsNotFenced(t *testing.T) {
	operator := netip.MustParseAddr("203.0.113.9")
	running(t, graded, func(k *kernel) { k.operators = []netip.Addr{operator} }, func(r *run) {
		time.Sleep(time.Second)
		r.kernel.with(func() {
			if !slices.Contains(r.kernel.elements.Operators, operator) ||
				!slices.Contains(r.kernel.elements.LoginPorts, 22) {
				t.Errorf("in the sets: %v, %v", r.kernel.elements.Operators, r.kernel.elements.LoginPorts)
			}
		})
		r.probes("203.0.113.9", 1, 40)
		r.kernel.with(func() {
			if len(r.others)+len(r.kernel.blocks) != 0 {
				t.Errorf("responses to the operator: %v", r.others)
			}
		})
	})
}

// connect returns a completed connection to a trap port.
func connect(source netip.Addr, port uint16) probe.Probe {
	return probe.Probe{
		At: time.Now().UnixNano(), Source: source, Destination: netip.MustParseAddr("192.0.2.2"),
		SourcePort: 40000, Port: port,
		Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN, Technique: probe.Connect, Mode: probe.Classic,
	}
}

// A proven source is blocked at once. A flow of its address from before the block goes on until
// it ends.
func TestFlowOutlivesBlock(t *testing.T) {
	laptop, operator := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.10")
	running(t, graded, func(k *kernel) { k.flows = map[netip.Addr]bool{operator: true} }, func(r *run) {
		for _, a := range []netip.Addr{laptop, operator} {
			for port := range uint16(40) {
				r.emit(connect(a, port+1), nil)
			}
		}
		spared := func(a netip.Addr) (spare, ok bool) {
			synctest.Wait()
			r.kernel.with(func() {
				var b nft.Block
				b, ok = r.kernel.blocks[netip.PrefixFrom(a, 32)]
				spare = b.Spare
			})
			return spare, ok
		}
		for _, a := range []netip.Addr{laptop, operator} {
			if spare, ok := spared(a); !ok || !spare {
				t.Errorf("%v at once: spared %v, blocked %v", a, spare, ok)
			}
		}
		time.Sleep(2 * lookEvery)
		for a, then := range map[netip.Addr]bool{laptop: false, operator: true} {
			if spare, ok := spared(a); !ok || spare != then {
				t.Errorf("%v after a look: spared %v, blocked %v", a, spare, ok)
			}
		}
		r.kernel.with(func() { r.kernel.flows = nil })
		time.Sleep(2 * lookEvery)
		if spare, _ := spared(operator); spare {
			t.Error("the flow has ended, and the block lets more pass")
		}
	})
}
