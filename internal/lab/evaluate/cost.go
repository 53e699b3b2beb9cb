// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What costs are measured with: a flood of forged sources, and a scan of every port by one that
// exists.
const (
	costPackets = 20_000
	costPorts   = 65_535
)

// cost measures what each tool takes of the processor for the same packets, one after the other,
// and prints picket's figures beside each of the others', as a benchmark does.
func cost(ctx context.Context, o options, dir, root string, p *progress, out io.Writer) error {
	figures := map[string][2]float64{} // of flood and scan, microseconds a packet
	for _, name := range o.tools {
		p.say("%s: a flood of %d packets, and a scan of %d ports", name, costPackets, costPorts)
		t, ok := toolNamed(name, o.picket, root)
		if !ok {
			return fmt.Errorf("no tool is called %q", name)
		}
		s, err := newSite(filepath.Join(dir, name+"-cost.pcap"))
		if err != nil {
			return err
		}
		flood, scan, err := costs(ctx, s, t)
		s.close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		figures[name] = [2]float64{flood.Seconds() * 1e6 / costPackets, scan.Seconds() * 1e6 / costPorts}
	}
	for i, what := range []string{"flood", "scan_of_all_ports"} {
		for _, name := range o.tools {
			if name != "picket" {
				fmt.Fprintf(out, "BenchmarkPeers/%s,_beside_%s 1 %.2f us/packet %.2f compared-us/packet\n",
					what, name, figures["picket"][i], figures[name][i])
			}
		}
	}
	return nil
}

// costs are the processor time of a tool for the flood, and for the scan.
func costs(ctx context.Context, s *site, t tool) (flood, scan time.Duration, err error) {
	others, err := s.processes()
	if err != nil {
		return 0, 0, err
	}
	if err := t.start(s); err != nil {
		return 0, 0, err
	}
	last, err := s.atRest(ctx, others)
	if err != nil {
		return 0, 0, err
	}
	for i, argv := range [][]string{
		{"hping3", "-q", "-n", "-I", "eth0", "-S", "-p", "++1", "--rand-source", "-i", "u500", "-c",
			strconv.Itoa(costPackets), s.Target.V4.String()},
		{"nmap", "-n", "-Pn", "-sS", "-T4", "--max-retries", "0", "--min-rate", "3000", "-p1-65535",
			"-e", "eth0", "-S", scanner4(1).String(), s.Target.V4.String()},
	} {
		if err := s.scan(ctx, argv); err != nil {
			return 0, 0, err
		}
		now, err := s.atRest(ctx, others)
		if err != nil {
			return 0, 0, err
		}
		*[]*time.Duration{&flood, &scan}[i] = now - last
		last = now
	}
	return flood, scan, nil
}

// processes are those on the server.
func (s *site) processes() (map[string]bool, error) {
	out, err := s.Target.Run("ip", "netns", "pids", s.Target.Name)
	found := map[string]bool{}
	for _, pid := range strings.Fields(out) {
		found[pid] = true
	}
	return found, err
}

// atRest waits until a tool has no more to do, two minutes at most, and returns what its
// processes, the ended ones among them, have used of the processor (proc_pid_stat(5), in
// hundredths of a second).
func (s *site) atRest(ctx context.Context, others map[string]bool) (used time.Duration, err error) {
	const (
		window = 4 * time.Second // three of them, in a row: psad looks every five seconds
		idle   = 50 * time.Millisecond
	)
	deadline := time.Now().Add(2 * time.Minute)
	for quiet, last := 0, time.Duration(0); quiet < 3 && time.Now().Before(deadline); {
		last, used = used, 0
		pause(ctx, window)
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		pids, err := s.processes()
		if err != nil {
			return 0, err
		}
		for pid := range pids {
			stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
			_, rest, ok := strings.Cut(string(stat), ") ")
			if others[pid] || err != nil || !ok { // it has just ended, and its parent has its time
				continue
			}
			for _, field := range strings.Fields(rest)[11:15] {
				ticks, err := strconv.Atoi(field)
				if err != nil {
					return 0, fmt.Errorf("process %s: %w", pid, err)
				}
				used += time.Duration(ticks) * 10 * time.Millisecond
			}
		}
		if quiet++; used-last > idle {
			quiet = 0
		}
	}
	return used, nil
}
