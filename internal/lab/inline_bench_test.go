// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// dialEach connects from each address in turn, from one thread in the namespace, and returns
// the sorted times. It rests between two.
func dialEach(b *testing.B, l *Lab, from []netip.Addr, port int, rest time.Duration) (took []time.Duration) {
	b.Helper()
	err := l.Attacker.Do(func() error {
		for _, a := range from {
			family := unix.AF_INET
			var own, to unix.Sockaddr
			if a.Is6() {
				family, own = unix.AF_INET6, &unix.SockaddrInet6{Addr: a.As16()}
				to = &unix.SockaddrInet6{Port: port, Addr: l.Target.V6.As16()}
			} else {
				own = &unix.SockaddrInet4{Addr: a.As4()}
				to = &unix.SockaddrInet4{Port: port, Addr: l.Target.V4.As4()}
			}
			fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if err := unix.Bind(fd, own); err != nil {
				return err
			}
			began := time.Now()
			if err := unix.Connect(fd, to); err != nil {
				return fmt.Errorf("from %v: %w", a, err)
			}
			took = append(took, time.Since(began))
			_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			_ = unix.Close(fd)
			time.Sleep(rest)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	return took
}

// middle returns the median of ratios, with an interval that holds the true median in 95 of 100
// cases (binomial distribution of the number below it).
func middle(x []float64) (low, median, high float64) {
	slices.Sort(x)
	n := len(x)
	k := n/2 - int(0.98*math.Sqrt(float64(n)))
	return x[max(0, k-1)], x[n/2], x[min(n-1, n-k)]
}

// cpuOf returns the processor time of a process.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 everywhere
}

// BenchmarkInlineCost compares hosts with and without the inline verdict, in turns: the time to
// connect for ordinary clients, and for odd ones, whose SYN waits; and the processor time of
// one verdict.
func BenchmarkInlineCost(b *testing.B) {
	const rounds = 60
	type side struct {
		*Lab
		daemon *Daemon
	}
	var sides [3]side // the third is like the first: it shows the noise of the machine
	for i, config := range []string{"", inlineConfig, ""} {
		l := newLab(b)
		listen(b, l.Target, "tcp", 80)
		sides[i] = side{Lab: l, daemon: start(b, l.Target, Options{Config: config})}
		crowd(b, l, 0)
	}
	next := 0
	for range b.N {
		for _, what := range []string{"ordinary", "odd"} {
			rest := time.Duration(0)
			if what == "odd" {
				for i := range sides {
					oddStack(b, sides[i].Attacker)
				}
				rest = 1100 * time.Microsecond // long enough for all to wait: see inlineRate of the rules
			}
			before := inlineOf(b, sides[1].daemon)
			cpu := cpuOf(b, before.Pid)
			var half, late, same, took []float64
			var pooled [3][]time.Duration
			for round := range rounds {
				// A SYN does not wait if its source was connected in the last ten seconds.
				var from []netip.Addr
				for range 100 {
					from = append(from, netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", 0x8000+next)))
					next++
				}
				var p50, p99 [3]float64
				for k := range 3 {
					i := (k + round) % 3
					all := dialEach(b, sides[i].Lab, from, 80, rest)
					pooled[i] = append(pooled[i], all...)
					p50[i], p99[i] = float64(all[len(all)/2]), float64(all[len(all)*98/100])
				}
				half, late = append(half, p50[1]/p50[0]), append(late, p99[1]/p99[0])
				same = append(same, p50[2]/p50[0])
				took = append(took, (p50[1]-p50[0])/1e3)
			}
			after := inlineOf(b, sides[1].daemon)
			low, median, high := middle(half)
			b.Logf("%s clients, with/without, 95 %%: half of all within %.3f (%.3f to %.3f)", what,
				median, low, high)
			b.ReportMetric(median, what+"-p50-ratio")
			low, median, high = middle(same)
			b.Logf("%s clients, without/without: half of all within %.3f (%.3f to %.3f)", what,
				median, low, high)
			low, median, high = middle(late)
			b.Logf("%s clients: 98 %% within %.3f (%.3f to %.3f)", what, median, low, high)
			b.ReportMetric(median, what+"-p98-ratio")
			var most [3]float64
			for i := range pooled {
				slices.Sort(pooled[i])
				most[i] = float64(pooled[i][len(pooled[i])*99/100])
			}
			b.Logf("%s clients, all rounds: 99 %% within %.3f; without/without %.3f", what,
				most[1]/most[0], most[2]/most[0])
			b.ReportMetric(most[1]/most[0], what+"-p99-ratio")
			if held := after.Inline.Held - before.Inline.Held; what == "odd" {
				_, median, _ = middle(took)
				each := float64((cpuOf(b, before.Pid) - cpu).Microseconds()) / float64(held)
				b.Logf("%d SYNs waited, %.0f µs each at the median; %.0f µs of the processor each, "+
					"%d unjudged", held, median, each, after.Inline.Aged)
				b.ReportMetric(median, "held-us")
				b.ReportMetric(each, "cpu-us/held")
			} else if held > 0 {
				b.Errorf("%d SYNs of ordinary clients waited", held)
			}
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkInlineThroughput compares a stream to a host with the inline verdict to one without,
// in turns. Two hosts are never quite alike, so there are many pairs, and the host with the
// verdict is the first one of a pair and the second one alternately.
func BenchmarkInlineThroughput(b *testing.B) {
	const pairs, rounds = 60, 12
	for range b.N {
		var ratios []float64
		for pair := range pairs {
			var labs [2]*Lab
			var daemons [2]*Daemon
			for k := range 2 {
				i := (k + pair) % 2
				labs[i] = newLab(b)
				if _, err := labs[i].Target.Run("iperf3", "-s", "-D", "--forceflush"); err != nil {
					b.Fatal(err)
				}
				daemons[i] = begin(b, labs[i].Target, Options{Config: []string{"", inlineConfig}[i]})
			}
			for round := range rounds {
				var rate [2]float64
				for k := range 2 {
					i := (k + round) % 2
					rate[i] = streamed(b, labs[i], labs[i].Target.V4, "-n", "300M")
				}
				ratios = append(ratios, rate[1]/rate[0])
			}
			for i := range 2 {
				daemons[i].Kill()
				if err := labs[i].Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
		low, median, high := middle(ratios)
		b.Logf("with/without, 95 %%: %.3f (%.3f to %.3f)", median, low, high)
		b.ReportMetric(median, "ratio")
		b.ReportMetric(0, "ns/op")
	}
}

// streamed returns the rate at which one stream arrives, in bits a second.
func streamed(b *testing.B, l *Lab, to netip.Addr, how ...string) float64 {
	out, err := l.Attacker.Run("iperf3", append([]string{"-c", to.String(), "-J"}, how...)...)
	if err != nil {
		b.Fatal(err)
	}
	var got struct {
		End struct {
			Received struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.End.Received.Rate == 0 {
		b.Fatalf("%v: %s", err, out)
	}
	return got.End.Received.Rate
}
