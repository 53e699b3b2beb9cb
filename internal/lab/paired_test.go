// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// comparedEnv names another build of picket, which is then measured in turns with this one.
const comparedEnv = "PICKET_COMPARED"

// BenchmarkScannedPacket measures the kernel's work for a packet of a scan, in nanoseconds of
// the processor: SYNs to a thousand ports from each of 100 sources, most of them above the
// trigger, and to 20 ports from each of 5,000, all below it. Packets cross a veth inside the
// system call that sends them, so the sender's processor time contains all of it. The cost of
// sending is measured with a wire that drops everything, and subtracted.
func BenchmarkScannedPacket(b *testing.B) {
	for _, x := range []struct {
		name           string
		sources, ports int
	}{{"above the trigger", 100, 1000}, {"below the trigger", 5000, 20}} {
		b.Run(x.name, func(b *testing.B) {
			paired(b, "ns/packet", func(b *testing.B, l *Lab) float64 {
				cost := func(network byte) float64 {
					var packets []packet
					for i := range x.sources {
						src := netip.AddrFrom4([4]byte{198, network, byte(i >> 8), byte(i)})
						packets = append(packets, fullScan(attackers{own: src,
							dst: l.Target.V4})[:x.ports]...)
					}
					before := processorTime(b)
					pour(b, l.Attacker, packets)
					return float64(processorTime(b)-before) / float64(len(packets))
				}
				through := cost(18)
				if err := l.Target.NFT(nothing); err != nil {
					b.Fatal(err)
				}
				return through - cost(19)
			})
		})
	}
}

// nothing drops everything that a wire brings.
const nothing = `table netdev nothing {
	chain ingress {
		type filter hook ingress device "eth0" priority -500; policy drop;
	}
}`

// processorTime returns the processor time of this process, with all its threads, in user space
// and kernel.
func processorTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkService measures the throughput of a served port: small datagrams, and segments.
func BenchmarkService(b *testing.B) {
	for _, x := range []struct {
		name string
		args []string
	}{
		{"UDP", []string{"-u", "-b", "0", "-l", "64"}}, {"TCP", []string{"-M", "500"}},
	} {
		b.Run(x.name, func(b *testing.B) {
			paired(b, "packets/s", func(b *testing.B, l *Lab) float64 {
				go l.Target.Run("iperf3", "-s", "-1")
				time.Sleep(200 * time.Millisecond) // iperf3 does not report when it listens
				args := append([]string{"-c", l.Target.V4.String(), "-t", "1", "-J"}, x.args...)
				out, err := l.Attacker.Run("iperf3", args...)
				if err != nil {
					b.Fatal(err)
				}
				var result struct {
					End struct {
						Sum struct {
							Packets float64
							Lost    float64 `json:"lost_packets"`
						}
						SumReceived struct{ Bytes float64 } `json:"sum_received"`
					}
				}
				if err := json.Unmarshal([]byte(out), &result); err != nil {
					b.Fatal(err)
				}
				if x.name == "TCP" {
					return result.End.SumReceived.Bytes / 500
				}
				return result.End.Sum.Packets - result.End.Sum.Lost
			})
		})
	}
}

// paired measures rounds of this build, and of another in turns with it if there is one: the
// median of each, and the median of their ratio with an interval of 95 % (order statistics of
// the sign test: the 6th and the 15th of 20).
func paired(b *testing.B, unit string, measure func(*testing.B, *Lab) float64) {
	const rounds = 20
	binaries := []string{os.Getenv(binaryEnv)}
	if other := os.Getenv(comparedEnv); other != "" {
		binaries = append(binaries, other)
	}
	for range b.N {
		got := make([][]float64, len(binaries))
		for round := range rounds {
			for k := range binaries {
				i := (k + round) % len(binaries)
				l := newLab(b)
				d, err := Start(l.Target, Options{Binary: binaries[i]})
				if err != nil {
					b.Fatal(err)
				}
				got[i] = append(got[i], measure(b, l))
				d.Kill()
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
		median := func(list []float64) float64 {
			list = slices.Sorted(slices.Values(list))
			return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median(got[0]), unit)
		if len(got) == 1 {
			continue
		}
		var ratios []float64
		for i := range rounds {
			ratios = append(ratios, got[0][i]/got[1][i])
		}
		slices.Sort(ratios)
		b.ReportMetric(median(got[1]), "compared-"+unit)
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(ratios[5], "ratio-low")
		b.ReportMetric(ratios[14], "ratio-high")
	}
}
