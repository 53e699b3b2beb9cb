// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/replay"
)

func replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Run captures through the same engine, in capture time",
		Long: "Run pcap and pcapng captures through the same engine, in capture time. It needs no\n" +
			"privilege and touches no kernel.\n\n" +
			"Without --local every destination is watched. A packet that answers an earlier one\n" +
			"of its flow is no probe, and a port that answered is open.",
		Args: cobra.MinimumNArgs(1),
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line: every event, then a summary")
	local := cmd.Flags().StringSlice("local", nil, "watched `prefixes`, comma-separated")
	open := cmd.Flags().StringSlice("open", nil, "`ports` that serve somebody: tcp/22,udp/53")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		c, err := load(cmd)
		if err != nil {
			return err
		}
		rules, err := replayRules(c, *local, *open)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		return replayFiles(ctx, cmd.OutOrStdout(), c, rules, args, *asJSON)
	})
	return cmd
}

// replayRules reads --local and --open.
func replayRules(c *config.Config, local, open []string) (r replay.Rules, err error) {
	r.Mode = c.Mode
	for _, s := range local {
		p, ok := config.ParseSource(s)
		if !ok {
			return r, usage("--local: %q is no address or prefix", s)
		}
		r.Local = append(r.Local, p)
	}
	served := map[string]bool{}
	for _, s := range open {
		protocol, port, _ := strings.Cut(s, "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
			return r, usage("--open: %q is no port: want tcp/22 or udp/53", s)
		}
		served[engine.PortName(protocol, uint16(n))] = true
	}
	if len(served) > 0 {
		r.Open = func(protocol uint8, port uint16) bool {
			return served[engine.PortName(engine.ProtocolName(protocol), port)]
		}
	}
	return r, nil
}

// A replayer is what a replay has found so far.
type replayer struct {
	judge   *judge // for its events; its channels are not used
	tell    func(engine.Event)
	blocked map[netip.Addr]*replayed
	order   []*replayed
	dropped uint64 // packets of blocked sources
}

// replayed is a source that was reacted to.
type replayed struct {
	last  engine.Event
	times int
}

func replayFiles(ctx context.Context, out io.Writer, c *config.Config, rules replay.Rules, files []string, asJSON bool) error {
	e, err := engine.New(c.Engine(slices.Concat(c.Ignore.Addresses, rules.Local), 0, false), 0)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	r := &replayer{judge: newJudge(c, e, nil), blocked: map[netip.Addr]*replayed{}, tell: func(engine.Event) {}}
	if asJSON {
		// An error of writing shows when the summary is written.
		r.tell = func(ev engine.Event) { _ = enc.Encode(ev) }
	}
	sources := make([]replay.Source, len(files))
	for i, f := range files {
		sources[i] = replay.File(f)
	}
	began := time.Now()
	sum, faults := replay.Run(ctx, sources, rules, r.packet)
	result := r.result(&sum, e.Stats(), time.Since(began))
	if asJSON {
		err = enc.Encode(result)
	} else {
		err = r.print(out, result)
	}
	if faults != nil {
		return faults
	}
	return err
}

// packet judges one packet. What the kernel would have dropped is not seen.
func (r *replayer) packet(rec *replay.Record) {
	if rec.Verdict != replay.Probe {
		return
	}
	p := &rec.Probe
	if r.judge.engine.Blocked(p.Source, p.At) {
		r.dropped++
		return
	}
	d := r.judge.engine.Observe(*p)
	if d.Action == engine.None && !d.Tell {
		return
	}
	ev := r.judge.event(p, &d)
	if d.NewPattern {
		r.tell(patternOf(ev, &d))
	}
	if d.Action != engine.None {
		x := r.blocked[p.Source]
		if x == nil {
			x = &replayed{}
			r.blocked[p.Source] = x
			r.order = append(r.order, x)
		}
		x.last = ev
		x.times++
	}
	if d.Action != engine.None || !d.NewPattern {
		r.tell(ev)
	}
}

// replayResult is the summary, with the keys of its JSON form.
type replayResult struct {
	Event    string            `json:"event"` // "summary"
	Files    int               `json:"files"`
	Packets  uint64            `json:"packets"`
	Probes   uint64            `json:"probes"`
	Dropped  uint64            `json:"dropped"` // of blocked sources: the kernel would not have shown them
	Sources  int               `json:"sources"`
	Reacted  int               `json:"blocked"` // sources
	Open     int               `json:"open_ports"`
	First    time.Time         `json:"first"`
	Last     time.Time         `json:"last"`
	Took     float64           `json:"took_s"`
	Verdicts map[string]uint64 `json:"packets_by_verdict"`
	Reasons  map[string]uint64 `json:"probes_by_reason"`
}

func (r *replayer) result(s *replay.Summary, e engine.Stats, took time.Duration) replayResult {
	out := replayResult{
		Event: "summary", Files: s.Files, Packets: s.Packets, Probes: s.Probes(), Dropped: r.dropped, Sources: e.Sources, Reacted: len(r.order),
		Open: s.Open, First: time.Unix(0, s.First).UTC(), Last: time.Unix(0, s.Last).UTC(), Took: took.Seconds(),
		Verdicts: map[string]uint64{}, Reasons: map[string]uint64{},
	}
	for v, n := range s.Verdicts {
		if n > 0 {
			out.Verdicts[replay.Verdict(v).String()] = n
		}
	}
	for i, n := range e.Reasons {
		if n > 0 {
			out.Reasons[engine.Reason(i).String()] = n
		}
	}
	return out
}

// print shows the summary and who was reacted to, as tables.
func (r *replayer) print(out io.Writer, s replayResult) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	span := s.Last.Sub(s.First).Round(time.Millisecond)
	fmt.Fprintf(w, "%d packets in %d files, over %s, read in %.2f s\n", s.Packets, s.Files, span, s.Took)
	printCounts(w, "packet", s.Verdicts)
	printCounts(w, "probe", s.Reasons)
	if s.Dropped > 0 {
		fmt.Fprintf(w, "probe\tof a blocked source\t%d\n", s.Dropped)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(r.order) == 0 {
		_, err := fmt.Fprintln(out, "\nnobody would have been blocked")
		return err
	}
	fmt.Fprintln(out)
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tACTION\tFOR\tTIMES\tPROBES\tPORTS\tWHAT\tTOOL\tAT")
	for _, x := range r.order {
		ev := x.last
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", ev.Source, ev.Action, config.Duration(ev.For), x.times, ev.Probes, ev.PortsSeen,
			strings.TrimSpace(ev.Pattern+" "+ev.Technique), ev.Tool, ev.Time.UTC().Format("2006-01-02 15:04:05.000"))
	}
	return w.Flush()
}

func printCounts(w io.Writer, what string, counts map[string]uint64) {
	names := make([]string, 0, len(counts))
	for n := range counts {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			return int(counts[b]) - int(counts[a])
		}
		return strings.Compare(a, b)
	})
	for _, n := range names {
		fmt.Fprintf(w, "%s\t%s\t%d\n", what, n, counts[n])
	}
}
