// SPDX-License-Identifier: MIT

package lab

import (
	"os"
	"testing"
)

// BenchmarkForwardedThroughput compares what goes through a host to another behind it, which
// this build judges, with the build that PICKET_COMPARED names, which does not, in turns: a
// stream of TCP, small datagrams, and those of a flow that lasts. Two hosts are never quite
// alike, so many pairs take part, and each lends this build to the host that was made first and
// to the other alternately.
func BenchmarkForwardedThroughput(b *testing.B) {
	other := os.Getenv(comparedEnv)
	if other == "" {
		b.Skip(comparedEnv + " names no build to compare with")
	}
	for _, x := range []struct {
		name string
		how  []string
	}{
		{"TCP", []string{"-n", "300M"}}, {"UDP", []string{"-u", "-b", "0", "-l", "200", "-n", "20M"}},
		{"UDP, lasting", []string{"-u", "-b", "0", "-l", "200", "-O", "3", "-t", "1"}}, // ct status assured
	} {
		b.Run(x.name, func(b *testing.B) {
			for range b.N {
				ratios := through(b, [2]Options{
					{Binary: other, Config: "[ignore]\n"},
					{Binary: os.Getenv(binaryEnv), Config: routed},
				}, x.how)
				low, median, high := middle(ratios)
				b.Logf("this build/compared, 95 %%: %.3f (%.3f to %.3f)", median, low, high)
				b.ReportMetric(median, "ratio")
				b.ReportMetric(low, "ratio-low")
				b.ReportMetric(high, "ratio-high")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// through returns the ratios of the second daemon's rates to the first's.
func through(b *testing.B, options [2]Options, how []string) (ratios []float64) {
	const pairs, rounds = 15, 8
	for pair := range pairs {
		var labs [2]*Lab
		var inside [2]*Host
		var daemons [2]*Daemon
		for k := range 2 {
			i := (k + pair) % 2
			labs[i] = newLab(b)
			var err error
			if inside[i], err = labs[i].AddContainer(); err != nil {
				b.Fatal(err)
			}
			if _, err := inside[i].Run("iperf3", "-s", "-D", "--forceflush"); err != nil {
				b.Fatal(err)
			}
			if daemons[i], err = Start(labs[i].Target, options[i]); err != nil {
				b.Fatal(err)
			}
		}
		for round := range rounds {
			var rate [2]float64
			for k := range 2 {
				i := (k + round) % 2
				rate[i] = streamed(b, labs[i], inside[i].V4, how...)
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
	return ratios
}
