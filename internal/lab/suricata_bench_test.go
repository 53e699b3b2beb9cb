// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// suricata runs Suricata in the target, without rules and without logs, on NFQUEUE 0: what is
// left is what it takes to have packets judged by it. It comes from a Debian below root.
func suricata(b *testing.B, l *Lab, root string) (pid int) {
	b.Helper()
	folder := b.TempDir()
	const config = "%YAML 1.1\n---\noutputs: []\nstats: {enabled: no}\nunix-command: {enabled: no}\n" +
		"nfq: {mode: accept, batchcount: 20, fail-open: yes}\n"
	if err := os.WriteFile(filepath.Join(folder, "suricata.yaml"), []byte(config), 0o644); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	// The mounts are those of "ip netns exec" and end with it.
	const run = `mount -t proc proc "$1/proc"; mount --bind "$2" "$1/mnt"
		exec chroot "$1" suricata -c /mnt/suricata.yaml -l /mnt -S /dev/null -q 0`
	cmd := l.Target.Command(ctx, "sh", "-c", run, "suricata", root, folder)
	out, err := os.Create(filepath.Join(folder, "out"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stop(); _ = cmd.Wait(); out.Close() })
	eventually(b, time.Minute, "Suricata reads its queue", func() bool {
		text, _ := l.Target.Run("cat", "/proc/net/netfilter/nfnetlink_queue")
		return strings.TrimSpace(text) != ""
	})
	time.Sleep(2 * time.Second) // its other threads begin
	return cmd.Process.Pid
}

// queueTo leads packets of port 80 to NFQUEUE 0, both ways as Suricata's manual has it, or a
// client's SYNs alone.
func queueTo(b *testing.B, l *Lab, alone bool) {
	b.Helper()
	for _, program := range []string{"iptables-nft", "ip6tables-nft"} {
		rules := [][]string{{"-F"}, {"-A", "INPUT", "--dport", "80"}, {"-A", "OUTPUT", "--sport", "80"}}
		if alone {
			rules = [][]string{{"-F"}, {"-A", "INPUT", "--syn", "--dport", "80"}}
		}
		for _, r := range rules {
			if len(r) > 1 {
				r = append(append(append([]string{}, r[:2]...), "-p", "tcp"), r[2:]...)
				r = append(r, "-j", "NFQUEUE", "--queue-num", "0", "--queue-bypass")
			}
			if out, err := l.Target.Run(program, r...); err != nil {
				b.Fatal(err, out)
			}
		}
	}
}

// ranFor returns how long the threads of a process ran, to the nanosecond.
func ranFor(b *testing.B, pid int) (t time.Duration) {
	b.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		b.Fatal("no threads of process ", pid, err)
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		var ns int64
		fmt.Sscan(string(text), &ns)
		t += time.Duration(ns)
	}
	return t
}

// BenchmarkInlineBesideSuricata compares what a connection takes of the processor by the inline
// verdict and by Suricata on an NFQUEUE, in turns: of ordinary clients, of odd ones, whose SYN
// waits, and of odd ones where Suricata is shown their SYNs alone. What either takes while
// nobody connects is left out. PICKET_SURICATA names a Debian with Suricata in it, made by
//
//	debootstrap --variant=minbase trixie DIR
//	chroot DIR apt-get install -y --no-install-recommends suricata
func BenchmarkInlineBesideSuricata(b *testing.B) {
	root := os.Getenv("PICKET_SURICATA")
	if root == "" {
		b.Skip("PICKET_SURICATA names no Debian with Suricata")
	}
	const rounds, each = 40, 100
	ours, theirs := newLab(b), newLab(b)
	d := start(b, ours.Target, Options{Config: inlineConfig})
	pids := [2]int{inlineOf(b, d).Pid, suricata(b, theirs, root)}
	labs := [2]*Lab{ours, theirs}
	for _, l := range labs {
		listen(b, l.Target, "tcp", 80)
		crowd(b, l, 0)
	}
	idle := [2]float64{} // of a second
	for i, pid := range pids {
		before := ranFor(b, pid)
		time.Sleep(5 * time.Second)
		idle[i] = (ranFor(b, pid) - before).Seconds() / 5
	}
	b.Logf("idle: %.2f and %.2f %% of a processor", 100*idle[0], 100*idle[1])
	next := 0
	for range b.N {
		for _, x := range []struct {
			name       string
			odd, alone bool
		}{{"ordinary", false, false}, {"odd", true, false}, {"odd, SYNs alone", true, true}} {
			queueTo(b, theirs, x.alone)
			rest := time.Duration(0)
			if x.odd {
				oddStack(b, ours.Attacker)
				oddStack(b, theirs.Attacker)
				rest = 1100 * time.Microsecond // for all to wait: see inlineRate of the rules
			}
			held := inlineOf(b, d).Inline.Held
			var took [2][]float64
			var sum [2]float64
			for round := range rounds {
				var from []netip.Addr
				for range each {
					from = append(from, netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", 0x8000+next)))
					next++
				}
				for k := range labs {
					i := (k + round) % 2
					began, before := time.Now(), ranFor(b, pids[i])
					dialEach(b, labs[i], from, 80, rest)
					time.Sleep(20 * time.Millisecond) // for what comes after
					us := (ranFor(b, pids[i]) - before).Seconds() - idle[i]*time.Since(began).Seconds()
					took[i] = append(took[i], us*1e6/each)
					sum[i] += us * 1e6 / each / rounds
				}
			}
			_, our, _ := middle(took[0])
			_, their, _ := middle(took[1])
			b.Logf("%s: %.1f µs of the processor a connection, Suricata %.1f; on average %.1f and %.1f; "+
				"%d SYNs waited", x.name, our, their, sum[0], sum[1], inlineOf(b, d).Inline.Held-held)
			name := strings.ReplaceAll(strings.ReplaceAll(x.name, ",", ""), " ", "-")
			b.ReportMetric(our, name+"-us")
			b.ReportMetric(their, name+"-suricata-us")
		}
		b.ReportMetric(0, "ns/op")
	}
}
