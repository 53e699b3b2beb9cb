// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// wantPackets is the least number of packets of ordinary life to judge.
const wantPackets = 1_000_000

// local returns the server's addresses for `picket replay --local`, without its neighbours.
func local() string {
	all := []string{"192.0.2.2/31", "2001:db8::2/127", "fe80::2"}
	for n := 1; n <= targets; n++ {
		all = append(all, target4(n).String())
	}
	return strings.Join(all, ",")
}

// A replayed is the result of `picket replay` on a capture.
type replayed struct {
	packets int
	took    time.Duration
	events  []replayEvent
	summary map[string]any
}

// A replayEvent is the part of an event that is compared.
type replayEvent struct {
	Event       string    `json:"event"`
	Source      string    `json:"source"`
	Technique   string    `json:"technique"`
	Pattern     string    `json:"pattern"`
	Tool        string    `json:"tool"`
	Probes      int       `json:"probes"`
	Time        time.Time `json:"time"`
	Port        int       `json:"port"`
	Destination string    `json:"destination"`
	Reason      string    `json:"reason"`
	Action      string    `json:"action"`
}

// words returns what [rightWords] reads.
func (e replayEvent) words() string {
	return strings.TrimSpace(e.Pattern + " " + e.Technique + " " + e.Tool)
}

// replay runs picket over captures.
func replay(ctx context.Context, picket string, files ...string) (*replayed, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	args := append([]string{"replay", "--json", "--local", local()}, files...)
	cmd := exec.CommandContext(ctx, picket, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("picket %s: %w: %s", strings.Join(args, " "), err,
			strings.TrimSpace(stderr.String()))
	}
	r := &replayed{took: time.Since(began)}
	for d := json.NewDecoder(&stdout); ; {
		var raw json.RawMessage
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("picket replay --json: %w", err)
		}
		var e replayEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("picket replay --json: %w: %s", err, raw)
		}
		if e.Event == "summary" {
			if err := json.Unmarshal(raw, &r.summary); err != nil {
				return nil, err
			}
			continue
		}
		r.events = append(r.events, e)
	}
	n, ok := r.summary["packets"].(float64)
	if !ok {
		return nil, errors.New("picket replay --json: no summary with the number of packets")
	}
	r.packets = int(n)
	return r, nil
}

// captureTime replays what takes a day or more: ordinary life a hundred times, slow scans, a
// flood from a million sources.
func captureTime(ctx context.Context, o options, dir string, live *result, p *progress, r *report) error {
	all, err := readCapture(live.capture)
	if err != nil {
		return err
	}
	if err := lifeInReplay(ctx, o, dir, all, live, p, r); err != nil {
		return err
	}
	if err := slowInReplay(ctx, o, dir, all, live, p, r); err != nil {
		return err
	}
	return floodInReplay(ctx, o, dir, all, live, p, r)
}

// lifeInReplay copies the live life and replays it.
func lifeInReplay(ctx context.Context, o options, dir string, all []captured, live *result, p *progress,
	r *report) error {
	var life []captured
	for _, c := range all {
		if c.at.After(live.lifeEnds) {
			break
		}
		src, dst := ends(ipOf(c.frame))
		if _, _, ok := innocentOf(src); !ok {
			if _, _, ok := innocentOf(dst); !ok {
				continue
			}
		}
		life = append(life, c)
	}
	if len(life) == 0 {
		return errors.New("nothing of ordinary life was captured")
	}
	copies := o.copies
	if copies == 0 {
		copies = wantPackets/len(life) + 1
	}
	copies = min(copies, 1000) // there are so many addresses
	p.say("copy ordinary life, %d packets, %d times", len(life), copies)
	name := filepath.Join(dir, "life.pcap")
	if _, err := multiply(life, copies, name); err != nil {
		return err
	}
	got, err := replay(ctx, o.picket, name)
	if err != nil {
		return err
	}
	r.life = &lifeResult{packets: got.packets, captured: len(life), took: got.took,
		sources: countSources(life) * copies, blocked: map[string]int{}, darkened: map[string]int{},
		accused: map[string]int{}}
	names := scenes()
	for _, e := range got.events {
		src, err := sourceOf(e.Source)
		if err != nil || e.Event != "block" && e.Event != "pattern" {
			continue
		}
		scene := e.Source
		if n, ok := original(src.Addr()); ok && (n-1)/perScene < len(names) {
			scene = names[(n-1)/perScene].name
		}
		switch {
		case e.Action == "dark":
			r.life.darkened[scene]++
		case e.Event == "block":
			r.life.blocked[scene]++
			if len(r.life.examples) < 40 {
				r.life.examples = append(r.life.examples,
					fmt.Sprintf("%s: %s %s, %s port %d, after %d probes", scene, e.Source, e.words(),
						e.Reason, e.Port, e.Probes))
			}
		default:
			r.life.accused[scene]++
		}
	}
	p.say("picket replay: %d packets in %.1f s, %d blocked", got.packets, got.took.Seconds(),
		sumOf(r.life.blocked))
	return nil
}

func sumOf(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func countSources(life []captured) int {
	seen := map[netip.Addr]bool{}
	for _, c := range life {
		src, _ := ends(ipOf(c.frame))
		if _, _, ok := innocentOf(src); ok {
			seen[src] = true
		}
	}
	return len(seen)
}

// slowInReplay spreads the live scan nmap -sS to the pace of -T1 and -T0
// (nmap's documentation: 15 s and 5 minutes between probes).
func slowInReplay(ctx context.Context, o options, dir string, all []captured, live *result, p *progress,
	r *report) error {
	for _, pace := range []struct {
		name  string
		every time.Duration
	}{{"nmap -sS at the pace of -T1, 15 s", 15 * time.Second}, {"nmap -sS at the pace of -T0, 5 min",
		5 * time.Minute}} {
		for _, run := range live.runs {
			if run.name != "nmap -sS" {
				continue
			}
			name := filepath.Join(dir, fmt.Sprintf("slow-%s-%s.pcap", run.family, pace.every))
			if err := spread(all, run.sources[0], pace.every, name); err != nil {
				return err
			}
			got, err := replay(ctx, o.picket, name)
			if err != nil {
				return err
			}
			sc := run.scan
			sc.name, sc.pattern = pace.name, "slowscan"
			f := &finding{run: &scanRun{scan: sc, family: run.family}}
			for _, e := range got.events {
				if e.Event != "pattern" && e.Event != "block" {
					continue
				}
				f.words = append(f.words, e.words())
				if !f.told {
					f.told, f.after = true, e.Probes
				}
				if e.Event == "block" && !f.blocked {
					f.blocked, f.blocks = true, e.Probes
				}
			}
			// At one probe in 15 s, ten minutes show an ordinary port scan: either name is
			// right.
			f.right = slices.ContainsFunc(f.words, func(w string) bool {
				return rightWords(&sc, w) || pace.every < time.Minute && rightWords(&run.scan, w)
			})
			r.slow = append(r.slow, f)
			p.say("picket replay: %s, IPv%s: %s", pace.name, run.family, strings.Join(f.words, ", "))
		}
	}
	return nil
}

// spread writes the packets between the server and one scanner at a fixed interval, with each
// answer right after its probe.
func spread(all []captured, scanner netip.Addr, every time.Duration, name string) error {
	w, err := createCapture(name)
	if err != nil {
		return err
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range all {
		src, dst := ends(ipOf(c.frame))
		if src != scanner && dst != scanner || neighbour(ipOf(c.frame)) {
			continue
		}
		if src == scanner {
			at = at.Add(every)
		} else {
			at = at.Add(time.Millisecond)
		}
		if err := w.write(at, c.length, c.frame); err != nil {
			w.close()
			return err
		}
	}
	return w.close()
}

// forgedSources is how many forged addresses the flood of the replay has.
const forgedSources = 1_000_000

// floodInReplay sends a SYN of hping3's flood from a million addresses, with the live scan nmap
// -sS in the middle.
func floodInReplay(ctx context.Context, o options, dir string, all []captured, live *result, p *progress,
	r *report) error {
	var scanner netip.Addr
	for _, run := range live.runs {
		if run.name == "nmap -sS" && run.family == "4" {
			scanner = run.sources[0]
		}
	}
	var forged []byte
	var scanned []captured
	for _, c := range all {
		ip := ipOf(c.frame)
		src, _ := ends(ip)
		switch {
		case src == scanner:
			scanned = append(scanned, c)
		case ip[0] == 0x45 && ip[9] == 6 && len(ip) >= 40 && ip[33] == 2 &&
			binary.BigEndian.Uint16(ip[34:]) == 512 && src.As4()[0] != 198:
			forged = c.frame // window 512: hping3's
		}
	}
	if forged == nil || len(scanned) == 0 {
		return errors.New("no packet of the flood in the live capture")
	}
	name := filepath.Join(dir, "flood.pcap")
	if err := writeFlood(forged, scanned, name); err != nil {
		return err
	}
	got, err := replay(ctx, o.picket, name)
	if err != nil {
		return err
	}
	f := &flood{packets: forgedSources}
	for _, e := range got.events {
		src, err := sourceOf(e.Source)
		hidden := err == nil && src.Contains(scanner)
		f.named = f.named || e.Pattern == "flood"
		if e.Event == "block" {
			f.count(hidden, e.Action)
		}
	}
	r.flood = f
	p.say("picket replay: flood of %d forged sources in %.1f s: %d fenced or blocked, %d dark, scanner "+
		"found: %v, named: %v",
		forgedSources, got.took.Seconds(), f.blocks, f.dark, f.found, f.named)
	return nil
}

// writeFlood spreads the flood over 100 s, to random ports, and puts the scan into its middle
// at the scan's own pace.
func writeFlood(forged []byte, scanned []captured, name string) error {
	w, err := createCapture(name)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(7425, 1))
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	frame := slices.Clone(forged)
	next := 0
	for i := range forgedSources {
		at := begin.Add(time.Duration(i) * 100 * time.Microsecond)
		for next < len(scanned) && !begin.Add(50*time.Second+scanned[next].at.Sub(scanned[0].at)).After(at) {
			if err := w.write(at, scanned[next].length, scanned[next].frame); err != nil {
				w.close()
				return err
			}
			next++
		}
		ip := frame[ethernet:]
		var ipSum checksum
		ipSum.replace(ip[12:16], binary.BigEndian.AppendUint32(nil, 10<<24|uint32(i)*7919%(1<<24)))
		tcpSum := ipSum
		ipSum.store(ip[10:12])
		tcpSum.replace(ip[20:24], binary.BigEndian.AppendUint32(nil,
			uint32(1024+r.IntN(60000))<<16|uint32(1+r.IntN(1023))))
		tcpSum.replace(ip[24:28], binary.BigEndian.AppendUint32(nil, r.Uint32()))
		tcpSum.store(ip[36:38])
		if err := w.write(at, len(frame), frame); err != nil {
			w.close()
			return err
		}
	}
	return w.close()
}
