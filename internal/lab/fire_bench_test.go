// SPDX-License-Identifier: MIT

package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fireConfig watches every port, in every build of picket.
const fireConfig = "[tcp]\nmodes = [\"stealth\", \"advanced\"]\nadvanced = \"1-65535\"\n[block]\n" +
	"max = 131072\n"

// BenchmarkFire measures picket under a flood and at rest, and another build in turns with it
// if there is one: the cost of a probe of a flood of forged sources and the process's memory,
// beside a reader in C that does nothing with its input, and a start after it; the answer to
// scanners in a flood; 200,000 routes, a thousand of which change each second; an idle minute;
// a list of 131,000 blocks.
func BenchmarkFire(b *testing.B) {
	b.Run("flood", func(b *testing.B) {
		reader := readerInC(b)
		turns(b, 3, func(b *testing.B, binary string, got map[string]float64) {
			l := newLab(b)
			defer l.Close()
			packets := forgedSYNs(l.Target.V4, 200_000)
			ready := new(readyAt)
			d, err := Start(l.Target, Options{Binary: binary, Config: fireConfig, Stderr: ready})
			if err != nil {
				b.Fatal(err)
			}
			forgetPeak(b, d)
			before, used := probesOf(b, d), processTime(b, d.cmd.Process.Pid)
			flood(b, l, packets)
			eventually(b, patience, "all is judged", func() bool {
				n := probesOf(b, d)
				time.Sleep(300 * time.Millisecond)
				return probesOf(b, d) == n
			})
			judged := probesOf(b, d) - before
			got["us/probe"] = (processTime(b, d.cmd.Process.Pid) - used).Seconds() * 1e6 / judged
			got["MiB-peak"] = memory(b, d, "VmHWM")
			if err := d.Stop(); err != nil {
				b.Fatal(err)
			}
			got["MiB-state"] = stateSize(b, d)
			began := time.Now()
			again, err := d.Again()
			if err != nil {
				b.Fatal(err)
			}
			got["s-to-ready-again"] = ready.at.Sub(began).Seconds()
			got["MiB-peak-again"] = memory(b, again, "VmHWM")
			if err := again.Stop(); err != nil {
				b.Fatal(err)
			}
			// The same rules, with a reader that does nothing.
			c := l.Target.Command(b.Context(), reader, "7425")
			if err := c.Start(); err != nil {
				b.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond) // it does not report when it is ready
			flood(b, l, packets)
			time.Sleep(time.Second)
			used = processTime(b, c.Process.Pid)
			c.Process.Kill()
			c.Wait()
			got["us/probe-in-C"] = used.Seconds() * 1e6 / judged
		})
	})
	b.Run("a scanner in a flood", func(b *testing.B) {
		turns(b, 3, func(b *testing.B, binary string, got map[string]float64) {
			l := newLab(b)
			defer l.Close()
			d := fired(b, l, binary)
			defer d.Kill()
			packets := forgedSYNs(l.Target.V4, 150_000)
			var poured sync.WaitGroup
			poured.Go(func() { flood(b, l, packets) })
			for i := range byte(100) {
				src := netip.AddrFrom4([4]byte{203, 0, 113, 1 + i})
				var scan []packet
				for port := range uint16(60) {
					scan = append(scan, knock(src, l.Target.V4, 1000+port))
				}
				pour(b, l.Attacker, scan)
				time.Sleep(20 * time.Millisecond)
			}
			poured.Wait()
			var status struct {
				Reaction struct{ P50, P99 float64 } `json:"reaction_us"`
			}
			out, err := d.Cmd("status", "--json")
			if err == nil {
				err = json.Unmarshal([]byte(out), &status)
			}
			if err != nil {
				b.Fatal(err)
			}
			got["ms-to-answer-p50"] = status.Reaction.P50 / 1e3
			got["ms-to-answer-p99"] = status.Reaction.P99 / 1e3
		})
	})
	b.Run("200,000 routes", func(b *testing.B) {
		turns(b, 1, func(b *testing.B, binary string, got map[string]float64) {
			l := newLab(b)
			defer l.Close()
			routes := func(verb string, n int) {
				var batch strings.Builder
				for i := range n {
					to := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
					fmt.Fprintf(&batch, "route %s %s via %s\n", verb, to, l.Attacker.V4)
				}
				file := filepath.Join(b.TempDir(), "batch")
				write(b, file, batch.String(), 0o600)
				if out, err := l.Target.Run("ip", "-batch", file); err != nil {
					b.Fatal(out, err)
				}
			}
			routes("add", 200_000)
			d := fired(b, l, binary)
			defer d.Kill()
			time.Sleep(10 * time.Second) // the start is over
			forgetPeak(b, d)
			used, began := processTime(b, d.cmd.Process.Pid), time.Now()
			for range 30 {
				next := time.Now().Add(time.Second)
				routes("del", 500)
				routes("add", 500)
				time.Sleep(time.Until(next))
			}
			spent := processTime(b, d.cmd.Process.Pid) - used
			got["%-of-a-core"] = 100 * spent.Seconds() / time.Since(began).Seconds()
			got["MiB-peak"] = memory(b, d, "VmHWM")
		})
	})
	b.Run("limits", limits)
	b.Run("idle", func(b *testing.B) {
		turns(b, 1, func(b *testing.B, binary string, got map[string]float64) {
			l := newLab(b)
			defer l.Close()
			d, err := Start(l.Target, Options{Binary: binary})
			if err != nil {
				b.Fatal(err)
			}
			defer d.Kill()
			time.Sleep(10 * time.Second)
			before := switches(b, d.cmd.Process.Pid)
			time.Sleep(time.Minute)
			got["switches/min"] = float64(switches(b, d.cmd.Process.Pid) - before)
			got["MiB-resident"] = memory(b, d, "VmRSS")
		})
	})
	b.Run("131,000 blocks", func(b *testing.B) {
		turns(b, 1, func(b *testing.B, binary string, got map[string]float64) {
			if binary == os.Getenv(comparedEnv) {
				return // this build may not read a list
			}
			l := newLab(b)
			defer l.Close()
			d := fired(b, l, binary)
			defer d.Kill()
			blockMany(b, d, 131_000)
			time.Sleep(5 * time.Second)
			got["MiB-resident"] = memory(b, d, "VmRSS")
			forgetPeak(b, d)
			began := time.Now()
			if _, err := d.Cmd("blocks", "--json"); err != nil {
				b.Fatal(err)
			}
			got["s-to-list"] = time.Since(began).Seconds()
			got["MiB-more"] = memory(b, d, "VmHWM") - got["MiB-resident"]
		})
	})
}

// limits measures what the sender's side of a packet costs, the rules included, with picket and
// without parts of it, in turns: no rules, rules that do not log, a log that nobody reads, one
// that a program in C reads.
func limits(b *testing.B) {
	binary, reader := plainBinary(b), readerInC(b)
	took := map[string][]float64{}
	cases := []string{"picket", "no rules", "rules without a log", "a log without a reader", "a reader in C"}
	for range 3 {
		for _, name := range cases {
			took[name] = append(took[name], limit(b, name, binary, reader))
		}
	}
	for _, list := range took {
		slices.Sort(list)
	}
	for _, name := range cases[1:] {
		b.Run("beside "+name, func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took["picket"][1], "us/packet")
			b.ReportMetric(took[name][1], "compared-us/packet")
		})
	}
}

// logging is the log statement of a rule.
var logging = regexp.MustCompile(`log prefix "[^"]*" group \d+ snaplen \d+ queue-threshold \d+ `)

func limit(b *testing.B, name, binary, reader string) float64 {
	l := newLab(b)
	defer l.Close()
	packets := forgedSYNs(l.Target.V4, 100_000)
	d := fired(b, l, binary)
	defer d.Kill()
	if name != "picket" {
		rules, err := d.Cmd("ruleset")
		d.Kill()
		if err == nil {
			_, err = l.Target.Run("nft", "delete", "table", "inet", "picket")
		}
		if name == "rules without a log" {
			if rules = logging.ReplaceAllString(rules, ""); strings.Contains(rules, " group ") {
				b.Fatal("the rules log in another form")
			}
		}
		if err == nil && name != "no rules" {
			err = l.Target.NFT(rules)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if name == "a reader in C" {
		c := l.Target.Command(b.Context(), reader, "7425")
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() { c.Process.Kill(); c.Wait() }()
		time.Sleep(200 * time.Millisecond) // it does not say that it reads
	}
	return flood(b, l, packets).Seconds() * 1e6 / float64(len(packets))
}

// turns measures rounds of each build in turns, and reports the medians.
func turns(b *testing.B, rounds int, measure func(*testing.B, string, map[string]float64)) {
	binaries := map[string]string{"": plainBinary(b)}
	if other := os.Getenv(comparedEnv); other != "" {
		binaries["compared-"] = other
	}
	all := map[string][]float64{}
	for range rounds {
		for _, build := range []string{"", "compared-"} {
			if binaries[build] == "" {
				continue
			}
			got := map[string]float64{}
			measure(b, binaries[build], got)
			for unit, v := range got {
				all[build+unit] = append(all[build+unit], v)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for unit, list := range all {
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], unit)
	}
}

// A readyAt notes when a daemon says that it is ready.
type readyAt struct{ at time.Time }

func (r *readyAt) Write(said []byte) (int, error) {
	if bytes.Contains(said, []byte("ready: ")) {
		r.at = time.Now()
	}
	return len(said), nil
}

// stateSize returns the size of what a daemon has saved.
func stateSize(b *testing.B, d *Daemon) (mib float64) {
	files, _ := filepath.Glob(filepath.Join(d.dir, "state", "*"))
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			b.Fatal(err)
		}
		mib += float64(info.Size()) / (1 << 20)
	}
	return mib
}

func fired(b *testing.B, l *Lab, binary string) *Daemon {
	b.Helper()
	d, err := Start(l.Target, Options{Binary: binary, Config: fireConfig})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// forgedSYNs are SYNs of n sources that do not exist, one from each.
func forgedSYNs(dst netip.Addr, n int) []packet {
	out := make([]packet, n)
	for i := range out {
		r := rand.Uint32()
		src := netip.AddrFrom4([4]byte{198, 18 + byte(r>>16&1), byte(r >> 8), byte(r)})
		out[i] = knock(src, dst, uint16(1+rand.IntN(60_000)))
	}
	return out
}

// flood sends packets at a rate at which none is lost: some 30,000 a second. It returns how
// long the sending took without its pauses.
func flood(b *testing.B, l *Lab, packets []packet) (took time.Duration) {
	for part := range slices.Chunk(packets, 300) {
		next := time.Now().Add(10 * time.Millisecond)
		began := time.Now()
		pour(b, l.Attacker, part)
		took += time.Since(began)
		time.Sleep(time.Until(next))
	}
	return took
}

func probesOf(b *testing.B, d *Daemon) float64 {
	out, err := d.Cmd("status", "--json")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(out, `"probes": `)
	n, err := strconv.ParseFloat(rest[:strings.IndexAny(rest, ",\n")], 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// processTime returns the processor time of a process (proc_pid_stat(5), in ticks of a
// hundredth of a second).
func processTime(b *testing.B, pid int) time.Duration {
	_, stat, _ := strings.Cut(read(b, "/proc", strconv.Itoa(pid), "stat"), ") ")
	f := strings.Fields(stat)
	user, err := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err != nil || err2 != nil {
		b.Fatal(stat)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// switches counts how often the threads of a process went to sleep.
func switches(b *testing.B, pid int) (n int) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		b.Fatal(err, len(tasks))
	}
	for _, path := range tasks {
		_, rest, _ := strings.Cut(read(b, path), "\nvoluntary_ctxt_switches:")
		one, _ := strconv.Atoi(strings.Fields(rest)[0])
		n += one
	}
	return n
}

// readerInC builds a program that binds an NFLOG group as picket does, and reads from it.
func readerInC(b *testing.B) string {
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	source, binary := filepath.Join(dir, "reader.c"), filepath.Join(dir, "reader")
	write(b, source, inC, 0o644)
	if out, err := exec.Command("gcc", "-O2", "-o", binary, source).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return binary
}

const inC = `
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
static char in[262144];
static void set(int s, int group, int type, const void *v, int n) {
	char b[64] = {0};
	struct nlmsghdr *h = (void *)b;
	struct nfgenmsg *g = (void *)(b + 16);
	struct nlattr *a = (void *)(b + 20);
	h->nlmsg_len = 20 + NLA_ALIGN(4 + n);
	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	h->nlmsg_flags = NLM_F_REQUEST;
	g->res_id = htons(group);
	a->nla_type = type;
	a->nla_len = 4 + n;
	memcpy(b + 24, v, n);
	send(s, b, h->nlmsg_len, 0);
}
int main(int argc, char **argv) {
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), group = atoi(argv[1]), size = 32 << 20;
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};
	bind(s, (void *)&a, sizeof a);
	setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	struct nfulnl_msg_config_cmd bind_ = {NFULNL_CFG_CMD_BIND};
	struct nfulnl_msg_config_mode mode = {htonl(128), NFULNL_COPY_PACKET};
	set(s, group, NFULA_CFG_CMD, &bind_, sizeof bind_);
	set(s, group, NFULA_CFG_MODE, &mode, sizeof mode);
	unsigned q = htonl(64);
	set(s, group, NFULA_CFG_QTHRESH, &q, sizeof q);
	for (;;)
		recv(s, in, sizeof in, 0);
}
`
