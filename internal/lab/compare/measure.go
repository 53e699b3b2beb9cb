// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/lab"
)

// sentries returns PortSentry in each of its TCP modes, and picket beside each.
func (b *bench) sentries(s settings) []struct {
	name string
	sentry
} {
	return []struct {
		name string
		sentry
	}{
		{"1.2 tcp", &portsentry{bench: *b, settings: s, modes: []string{"-tcp"}}},
		{"picket, imported tcp", &picket{bench: *b, settings: s, modes: "tcp"}},
		{"1.2 stcp", &portsentry{bench: *b, settings: s, modes: []string{"-stcp"}}},
		{"picket, imported stcp", &picket{bench: *b, settings: s, modes: "stcp"}},
		{"1.2 atcp", &portsentry{bench: *b, settings: s, modes: []string{"-atcp"}}},
		{"picket, imported atcp", &picket{bench: *b, settings: s, modes: "atcp"}},
	}
}

// runs is how often each scan is made. The table has the median and the extremes.
const runs = 5

// reaction prints how many of a thousand ports answered before the block (facts: D2, RTT 0).
func (b *bench) reaction() error {
	kinds := []struct {
		name    string
		options []string
	}{
		{"-sS -T4", []string{"-sS", "-T4"}}, {"-sS -T4 -r", []string{"-sS", "-T4", "-r"}},
		{"-sS, 1000/s", []string{"-sS", "--min-rate", "1000", "--max-rate", "1000"}},
		{"-sT -T4", []string{"-sT", "-T4"}},
	}
	names := []string{"ports of 1000 that answered, median (least-most) of " + strconv.Itoa(runs)}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	head(names...)
	for _, s := range b.sentries(settings{tcp: tcpPorts, udp: udpPorts, block: true}) {
		cells := []string{s.name}
		for _, k := range kinds {
			var got []int
			for range runs {
				err := within(s.sentry, func(l *lab.Lab) error {
					n, err := answered(l, k.options)
					got = append(got, n)
					return err
				})
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, k.name, err)
				}
			}
			slices.Sort(got)
			cells = append(cells, fmt.Sprintf("%d (%d-%d)", got[len(got)/2], got[0], got[len(got)-1]))
		}
		row(cells...)
	}
	return nil
}

// answers counts, at the scanner's end, the ports that answer.
const answers = `table inet compare {
	set answered { type inet_service; size 65536; }
	chain in {
		type filter hook prerouting priority raw
		ip saddr 192.0.2.2 tcp sport 1-1000 add @answered { tcp sport }
	}
}`

// answered scans the first thousand ports of a host with three services, and returns how many
// answered.
func answered(l *lab.Lab, options []string) (int, error) {
	for _, port := range []uint16{22, 80, 443} {
		s, err := l.Target.Listen("tcp", port)
		if err != nil {
			return 0, err
		}
		defer s.Close()
	}
	if err := l.Attacker.NFT(answers); err != nil {
		return 0, err
	}
	argv := append([]string{"-n", "-Pn", "--max-retries", "0", "--host-timeout", "10s", "-p1-1000"},
		options...)
	if _, err := l.Attacker.Run("nmap", append(argv, l.Target.V4.String())...); err != nil {
		return 0, err
	}
	out, err := l.Attacker.Run("nft", "-j", "list", "set", "inet", "compare", "answered")
	if err != nil {
		return 0, err
	}
	var listed struct {
		Nftables []struct {
			Set struct{ Elem []uint16 }
		}
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil {
		return 0, fmt.Errorf("nft: %w: %s", err, out)
	}
	n := 0
	for _, x := range listed.Nftables {
		n += len(x.Set.Elem)
	}
	return n, nil
}

// packets is the size of each load.
const packets = 200_000

// load prints the cost of probes (facts: D3).
func (b *bench) load() error {
	head(fmt.Sprintf("CPU for %d packets at 15,000 to 20,000/s; lines written", packets),
		"one source, listed port, log", "the same, block",
		"random sources, log", "one source, unlisted port")
	log, block := settings{tcp: tcpPorts, udp: udpPorts}, settings{tcp: tcpPorts, udp: udpPorts, block: true}
	for i, s := range b.sentries(log) {
		cells := []string{s.name}
		for _, k := range []struct {
			sentry sentry
			args   string
		}{{s.sentry, "-p 11"}, {b.sentries(block)[i].sentry, "-p 11"}, {s.sentry, "-p 11 --rand-source"},
			{s.sentry, "-p 3000"}} {
			err := within(k.sentry, func(l *lab.Lab) error {
				cell, err := cost(l, k.sentry, k.args)
				cells = append(cells, cell)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, k.args, err)
			}
		}
		row(cells...)
	}
	return nil
}

func cost(l *lab.Lab, s sentry, args string) (string, error) {
	before, err := s.cpu()
	if err != nil {
		return "", err
	}
	lines := s.lines()
	argv := append([]string{"-q", "-n", "-S", "-i", "u1", "-c", strconv.Itoa(packets)},
		strings.Fields(args)...)
	// hping3 exits with 1 if nothing answered.
	out, err := l.Attacker.Run("sh", "-c",
		"hping3 "+strings.Join(append(argv, l.Target.V4.String()), " ")+" 2>&1 || [ $? = 1 ]")
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	var after time.Duration
	for { // until all work is done
		time.Sleep(500 * time.Millisecond)
		now, err := s.cpu()
		if err != nil {
			return "", err
		}
		if now-after < 20*time.Millisecond {
			break
		}
		after = now
	}
	took := after - before
	return fmt.Sprintf("%.2f s, %.1f µs each; %d", took.Seconds(), float64(took.Microseconds())/packets,
		s.lines()-lines), nil
}
