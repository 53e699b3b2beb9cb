// SPDX-License-Identifier: MIT

package trial

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/replay"
	"picket/internal/show"
)

// replayResult is the summary of a replay, with the keys of its JSON form.
type replayResult struct {
	Event   string `json:"event"` // "summary"
	Files   int    `json:"files"`
	Packets uint64 `json:"packets"`
	Probes  uint64 `json:"probes"`
	Dropped uint64 `json:"dropped"` // packets kept off
	kept
	Sources int `json:"sources"`
	Blocked int `json:"blocked"` // sources
	Open    int `json:"open_ports"`
	// false: more ports answered than are remembered, or more connections began before
	Learned  bool              `json:"learned_all"`
	Asked    uint64            `json:"trap_syns"`        // connections begun to classic ports
	Trapped  uint64            `json:"trap_connections"` // of these, completed
	First    time.Time         `json:"first,omitzero"`
	Last     time.Time         `json:"last,omitzero"`
	Took     float64           `json:"took_s"`
	Verdicts map[string]uint64 `json:"packets_by_verdict"`
	Reasons  map[string]uint64 `json:"probes_by_reason"`
	Patterns map[string]int    `json:"patterns"` // how often each was named
}

func (s *side) result(sum *replay.Summary, took time.Duration) replayResult {
	e := s.engine.Stats()
	out := replayResult{
		Event: "summary", Files: sum.Files, Packets: sum.Packets, Probes: sum.Probes(), Dropped: s.kept.all(),
		kept: s.kept, Sources: e.Sources, Blocked: s.blocked,
		Open: sum.Open, Learned: sum.Learned, Asked: sum.Asked, Trapped: sum.Connected, Took: took.Seconds(),
		Verdicts: map[string]uint64{}, Reasons: map[string]uint64{}, Patterns: s.seen,
	}
	if sum.Packets > 0 {
		out.First, out.Last = time.Unix(0, sum.First).UTC(), time.Unix(0, sum.Last).UTC()
	}
	for v, n := range sum.Verdicts {
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

// print shows the summary and the sources with a reaction, as tables. An error of writing
// shows when out is flushed.
func (s *side) print(out io.Writer, r replayResult) {
	fmt.Fprintln(out, heading(r))
	if r.Packets == 0 {
		return // nobody could have been blocked
	}
	printLearned(out, r)
	verdicts := map[string]uint64{}
	for v := range replay.Verdicts {
		if n := r.Verdicts[v.String()]; n > 0 {
			verdicts[v.String()+"\t"+v.Why()] = n
		}
	}
	printCounts(out, "PACKETS", "ARE", verdicts)
	if r.Probes > 0 {
		probes := maps.Clone(r.Reasons)
		if r.Block > 0 {
			probes["of a blocked source"] = r.Block
		}
		printCounts(out, "PROBES", "ARE", probes)
	}
	printTrapped(out, r)
	patterns := map[string]uint64{}
	for name, n := range r.Patterns {
		patterns[name] = uint64(n)
	}
	printCounts(out, "TIMES", "PATTERN", patterns)
	s.printWorth(out)
	s.printReacted(out)
}

// heading returns a line about the captures.
func heading(r replayResult) string {
	text := fmt.Sprintf("%s in %s", show.Plural(r.Packets, "packet"), show.Plural(r.Files, "file"))
	if r.Packets > 0 {
		text += fmt.Sprintf(", over %s from %s", show.Stretch(r.Last.Sub(r.First)),
			r.First.Format(time.DateTime))
	}
	return fmt.Sprintf("%s, read in %.2f s", text, r.Took)
}

// printLearned warns of a capture that was too large for the first pass.
func printLearned(out io.Writer, r replayResult) {
	if !r.Learned {
		fmt.Fprintf(out, "\nmore than %d ports answered, or that many connections began before the "+
			"capture:\n"+
			"packets to the others count as probes here, though they would not on the host\n",
			replay.MaxLearned)
	}
}

// printTrapped prints the number of connections to the trap in the capture. Without the
// host's answers there are none.
func printTrapped(out io.Writer, r replayResult) {
	if r.Asked == 0 {
		return
	}
	were := "were"
	if r.Trapped == 1 {
		were = "was"
	}
	fmt.Fprintf(out, "\nof %s to ports of classic mode %d %s completed in the capture; only those count, "+
		"as on the host\n",
		show.Plural(r.Asked, "connection"), r.Trapped, were)
}

// mostListed is the most sources listed; JSON has the event of each.
const mostListed = 50

// printReacted lists the sources with a reaction, only the busiest if there are many.
func (s *side) printReacted(out io.Writer) {
	if len(s.order) == 0 {
		fmt.Fprintln(out, "\nnobody would have been blocked")
		return
	}
	t := show.Table{Head: []string{"SOURCE", "ACTION", "FOR", "TIMES", "PROBES", "PORTS", "PATTERN",
		"TECHNIQUE", "TOOL", "PROVEN", "REACTED", "KNOWN", "FROM"}}
	list := s.order
	if len(list) > mostListed {
		list = slices.SortedStableFunc(slices.Values(list), func(a, b *reacted) int {
			return cmp.Compare(b.last.Probes, a.last.Probes)
		})[:mostListed]
	}
	for _, x := range list {
		ev := x.last
		t.Add(ev.Source, ev.Action, config.Duration(ev.For).String(), strconv.Itoa(x.times),
			strconv.FormatUint(uint64(ev.Probes), 10), strconv.FormatUint(uint64(ev.PortsSeen), 10),
			ev.Pattern, ev.Technique, ev.Tool, map[bool]string{true: "yes", false: "no"}[ev.Proven],
			x.first.Time.UTC().Format("2006-01-02 15:04:05.000"),
			ev.Known, show.Origin(ev.Country, ev.ASN, ev.Network))
	}
	fmt.Fprintln(out)
	t.Print(out)
	if n := len(s.order) - len(list); n > 0 {
		fmt.Fprintf(out, "not listed: %s with fewer probes; --json has them all\n", show.Plural(n, "source"))
	}
	if s.more > 0 {
		fmt.Fprintf(out, "not listed: %s to sources beyond the first %d\n", show.Plural(s.more, "reaction"),
			maxReacted)
	}
}

// printCounts prints a table of counts, the highest first, the numbers to the right. It
// prints no empty table.
func printCounts(out io.Writer, number, what string, counts map[string]uint64) {
	if len(counts) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	width := max(len(number), 9)
	fmt.Fprintf(out, "\n%*s  %s\n", width, number, what)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, n := range names {
		fmt.Fprintf(w, "%*d  %s\n", width, counts[n], n)
	}
	_ = w.Flush() // see print
}
