// SPDX-License-Identifier: MIT

package trial

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/describe"
	"picket/internal/event"
	"picket/internal/probe"
	"picket/internal/replay"
	"picket/internal/show"
)

// A comparison runs two configurations over the same packets at once. So it knows, for
// each block, the decision of the other one about the same packet.
type comparison struct {
	sides     [2]*side
	lists     [2]*lists
	answers   bool // the captures have a trap
	sources   map[netip.Prefix]*compared
	unwatched [2][replay.Verdicts]uint64 // probes for the other one alone, by the verdict of this one
	more      uint64                     // blocks of sources beyond maxReacted
}

// compared is a source that either configuration blocked, all or a part of it.
type compared struct {
	source netip.Prefix
	block  [2]*event.Event // the first; nil without one
	widest [2]*event.Event // the first of those with the widest extent
	bits   [2]int          // of that extent
	why    [2]string       // the reason of the first, or of the decision instead
	times  [2]int
	whole  [2]time.Duration
}

// Against prints how another configuration would have judged the captures. Both run as
// if dry_run were false: a replay blocks nobody. Errors of captures do not end the run;
// the error joins them.
func Against(ctx context.Context, out io.Writer, c, other *config.Config, rules replay.Rules,
	sources []replay.Source, asJSON bool) error {
	x := comparison{sources: map[netip.Prefix]*compared{}, answers: rules.TrapAnswers}
	configs := [2]*config.Config{c, other}
	for i, c := range configs {
		c.DryRun = false
		var err error
		if x.sides[i], err = newSide(c, rules); err != nil {
			return err
		}
		x.lists[i] = newLists(c)
	}
	rules.Mode = func(protocol uint8, port uint16) probe.Mode {
		return cmp.Or(x.lists[0].mode(protocol, port), x.lists[1].mode(protocol, port))
	}
	rules.Trap = func(port uint16) bool { return x.lists[0].trapped(port) || x.lists[1].trapped(port) }
	rules.Invited = func(port uint16) bool { return x.lists[0].invited(port) || x.lists[1].invited(port) }
	rules.Behind = c.Forward.Prefixes
	began := time.Now()
	sum, faults := replay.Run(ctx, sources, rules, x.packet)
	took := time.Since(began)
	list := x.differences()
	var err error
	if asJSON {
		err = x.encode(json.NewEncoder(out), list, &sum, took)
	} else {
		x.print(out, list, &sum, took)
	}
	return errors.Join(faults, err)
}

// as returns the verdict of side i on a probe: another one than Probe if it is a probe
// for the other configuration alone.
func (x *comparison) as(i int, rec *replay.Record) (probe.Mode, replay.Verdict) {
	p, l := &rec.Probe, x.lists[i]
	if rec.Mirrored {
		return p.Mode, replay.Probe
	}
	trapped := p.Protocol == probe.ProtocolTCP && l.trapped(p.Port)
	mode := l.mode(p.Protocol, p.Port)
	switch {
	case p.Technique == probe.Connect && trapped:
		return probe.Classic, replay.Probe
	case p.Technique == probe.Connect && l.invited(p.Port):
		return mode, replay.Probe
	case p.Technique == probe.Connect:
		return 0, replay.Established
	case rec.Answered && !trapped && !(x.answers && l.invited(p.Port)):
		return 0, replay.Open
	case trapped && mode != probe.Stealth &&
		p.Flags&(probe.FlagFIN|probe.FlagSYN|probe.FlagRST|probe.FlagACK) == probe.FlagSYN:
		return probe.Classic, replay.Probe
	case mode == 0:
		return 0, replay.Unmonitored
	}
	return mode, replay.Probe
}

// packet gives one packet to both.
func (x *comparison) packet(rec *replay.Record) {
	if rec.Verdict != replay.Probe {
		return
	}
	var decisions [2]engine.Decision
	var dropped, watched, blocked [2]bool
	for i, s := range x.sides {
		p := rec.Probe
		mode, verdict := x.as(i, rec)
		if watched[i] = verdict == replay.Probe; !watched[i] {
			x.unwatched[i][verdict]++
			continue
		}
		p.Mode = mode
		decisions[i], dropped[i] = s.observe(&p)
		blocked[i] = decisions[i].Action == engine.Block
	}
	source := x.sourceOf(rec.Probe.Source)
	y := x.sources[source]
	if y == nil {
		if !blocked[0] && !blocked[1] {
			return
		}
		if len(x.sources) >= maxReacted {
			x.more++
			return
		}
		y = &compared{source: source}
		x.sources[source] = y
	}
	for i := range x.sides {
		switch d := &decisions[i]; {
		case !watched[i]:
			if y.why[i] == "" {
				y.why[i] = "its ports are not watched"
			}
		case dropped[i] && d.Reason == 0:
		case blocked[i]:
			y.add(i, describe.Event(x.sides[i].config, x.sides[i].engine, &rec.Probe, d), d)
		case y.block[i] == nil && d.Reason != engine.Retransmission:
			y.why[i] = because(d)
		}
	}
}

// sourceOf returns the source of an address. If the configurations have IPv6 prefixes of
// different lengths, it is the wider one: no block exceeds it.
func (x *comparison) sourceOf(a netip.Addr) netip.Prefix {
	p, q := x.sides[0].engine.SourceOf(a), x.sides[1].engine.SourceOf(a)
	if p.Bits() < q.Bits() {
		return p
	}
	return q
}

func (y *compared) add(i int, ev event.Event, d *engine.Decision) {
	if y.block[i] == nil {
		y.block[i], y.why[i] = &ev, because(d)
	}
	if bits := d.Source.Bits(); y.widest[i] == nil || bits < y.bits[i] {
		y.widest[i], y.bits[i] = &ev, bits
	}
	y.times[i]++
	y.whole[i] += d.For
}

// A difference is one source that the two configurations treat differently,
// with the keys of its JSON form.
type difference struct {
	Event string `json:"event"` // "difference"
	// blocked, spared, or, blocked by both: earlier, later, wider, narrower, longer, shorter
	Change string `json:"change"`
	// address, or IPv6 prefix; the blocks may be of parts of it
	Source string       `json:"source"`
	This   *event.Event `json:"this,omitempty"`  // the first block of this configuration
	Other  *event.Event `json:"other,omitempty"` // that of the other one
	// its first block of the widest extent, if wider than its first block
	ThisWide  *event.Event `json:"this_widest,omitempty"`
	OtherWide *event.Event `json:"other_widest,omitempty"`
	ThisWhy   string       `json:"this_why"`
	OtherWhy  string       `json:"other_why"`
	ThisFor   int64        `json:"this_for_s"` // all its blocks together
	OtherFor  int64        `json:"other_for_s"`

	times [2]int
}

// changes are the kinds of differences, in the order of their report.
var changes = [...]struct{ name, title string }{
	{"blocked", "blocked by the other configuration alone"},
	{"spared", "spared by the other configuration"},
	{"earlier", "blocked earlier by the other configuration"},
	{"later", "blocked later by the other configuration"},
	{"wider", "blocked wider by the other configuration"},
	{"narrower", "blocked narrower by the other configuration"},
	{"longer", "blocked longer by the other configuration"},
	{"shorter", "blocked shorter by the other configuration"},
}

// change says how the other configuration treats a source, "" if alike.
func (y *compared) change() string {
	if y.block[0] == nil {
		return "blocked"
	}
	if y.block[1] == nil {
		return "spared"
	}
	names := [...][3]string{{"earlier", "", "later"}, {"wider", "", "narrower"}, {"earlier", "", "later"},
		{"shorter", "", "longer"}}
	for i, other := range [...]int{
		y.block[1].Time.Compare(y.block[0].Time), cmp.Compare(y.bits[1], y.bits[0]),
		y.widest[1].Time.Compare(y.widest[0].Time), cmp.Compare(y.whole[1], y.whole[0]),
	} {
		if other != 0 {
			return names[i][other+1]
		}
	}
	return ""
}

// wide returns the first of side i's widest blocks, nil if it is the first of all.
func (y *compared) wide(i int) *event.Event {
	if y.widest[i] == y.block[i] {
		return nil
	}
	return y.widest[i]
}

// differences lists the differences by kind and time.
func (x *comparison) differences() (list []difference) {
	for _, y := range x.sources {
		if change := y.change(); change != "" {
			list = append(list, difference{
				Event: "difference", Change: change, Source: event.SourceName(y.source), This: y.block[0],
				Other:    y.block[1],
				ThisWide: y.wide(0), OtherWide: y.wide(1), times: y.times, ThisWhy: y.why[0],
				OtherWhy: y.why[1],
				ThisFor:  int64(y.whole[0] / time.Second), OtherFor: int64(y.whole[1] / time.Second),
			})
		}
	}
	slices.SortFunc(list, func(a, b difference) int {
		return cmp.Or(rank(a.Change)-rank(b.Change), a.at().Compare(b.at()),
			strings.Compare(a.Source, b.Source))
	})
	return list
}

func rank(change string) int {
	for i, c := range changes {
		if c.name == change {
			return i
		}
	}
	return len(changes)
}

func (d *difference) at() time.Time {
	return cmp.Or(d.This, d.Other).Time
}

// againstResult ends the JSON form.
type againstResult struct {
	replayResult
	Other   replayResult   `json:"other"`
	Changes map[string]int `json:"changes"`
	More    uint64         `json:"blocks_not_compared,omitempty"`
}

// result returns the summary of one side, without the probes of the other side alone. The
// connections to the trap are those of both.
func (x *comparison) result(i int, sum *replay.Summary, took time.Duration) replayResult {
	mine := *sum
	for v, n := range x.unwatched[i] {
		mine.Verdicts[replay.Probe] -= n
		mine.Verdicts[v] += n
	}
	return x.sides[i].result(&mine, took)
}

func (x *comparison) encode(enc *json.Encoder, list []difference, sum *replay.Summary,
	took time.Duration) error {
	r := againstResult{Changes: map[string]int{}, More: x.more, replayResult: x.result(0, sum, took),
		Other: x.result(1, sum, took)}
	for _, d := range list {
		r.Changes[d.Change]++
		if err := enc.Encode(d); err != nil {
			return err
		}
	}
	return enc.Encode(r)
}

func (x *comparison) print(out io.Writer, list []difference, sum *replay.Summary, took time.Duration) {
	fmt.Fprintln(out, heading(x.result(0, sum, took)))
	t := show.Table{Head: []string{"PROBES", "DROPPED", "BLOCKED", "CONFIGURATION"}}
	for i, s := range x.sides {
		name := [...]string{"this", "other"}[i]
		t.Add(strconv.FormatUint(s.engine.Stats().Probes, 10), strconv.FormatUint(s.kept.all(), 10),
			strconv.Itoa(x.blocked(i)),
			name+": "+cmp.Or(s.config.File, "embedded default"))
	}
	fmt.Fprintln(out)
	t.Print(out)
	printLearned(out, x.result(0, sum, took))
	printTrapped(out, x.result(0, sum, took))
	switch {
	case sum.Packets == 0:
		fmt.Fprintln(out, "\nnothing was read, so there is nothing to compare")
	case len(x.sources) == 0:
		fmt.Fprintln(out, "\nneither would have blocked anybody")
	case len(list) == 0:
		fmt.Fprintln(out, "\nboth block the same sources, at the same time and for as long")
	}
	change := ""
	for _, d := range list {
		if d.Change != change {
			change = d.Change
			fmt.Fprintf(out, "\n%s:\n", changes[rank(change)].title)
		}
		d.print(out)
	}
	if x.more > 0 {
		fmt.Fprintf(out, "\n%d blocks of sources beyond the first %d were not compared\n", x.more, maxReacted)
	}
}

// blocked counts the sources that side i blocked.
func (x *comparison) blocked(i int) (n int) {
	for _, y := range x.sources {
		if y.block[i] != nil {
			n++
		}
	}
	return n
}

// print shows one difference: the source, then a line for each configuration.
func (d *difference) print(out io.Writer) {
	ev := cmp.Or(d.Other, d.This)
	fmt.Fprintf(out, "  %s", d.Source)
	for _, s := range []string{ev.Pattern, ev.Technique, ev.Tool} {
		if s != "" {
			fmt.Fprintf(out, " %s", s)
		}
	}
	fmt.Fprintln(out)
	d.printSide(out, "this", d.This, d.ThisWide, d.ThisWhy, d.ThisFor, d.times[0])
	d.printSide(out, "other", d.Other, d.OtherWide, d.OtherWhy, d.OtherFor, d.times[1])
}

func (d *difference) printSide(out io.Writer, name string, first, widest *event.Event, why string,
	whole int64, times int) {
	if first == nil {
		fmt.Fprintf(out, "    %-5s let be: %s\n", name, cmp.Or(why, "nothing of it was judged"))
		return
	}
	part, often := "", ""
	if first.Source != d.Source {
		part = " " + first.Source
	}
	if times > 1 {
		often = fmt.Sprintf(", %d times", times)
	}
	fmt.Fprintf(out, "    %-5s blocked%s at %s%s, for %s in all (%s): %s\n", name, part,
		microseconds(first.Time), often,
		config.Duration(time.Duration(whole)*time.Second), first.Config, why)
	if widest != nil {
		fmt.Fprintf(out, "          and %s at %s\n", widest.Source, microseconds(widest.Time))
	}
}

// microseconds writes a time as precisely as a capture has it.
func microseconds(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000") }
