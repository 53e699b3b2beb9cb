// SPDX-License-Identifier: MIT

package explain

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/evidence"
	"picket/internal/probe"
	"picket/internal/show"
	"picket/nft"
)

// Print prints an explanation for a person, on a terminal of width columns. With a width
// of 0 nothing is wrapped. The error is the writer's.
func Print(to io.Writer, x *control.Explanation, width int) error {
	out := bufio.NewWriter(to)
	show.Lines(out, "", "", x.Summary, width)
	fmt.Fprintln(out)
	const indent = "        "
	row := func(name string, texts ...string) {
		for _, text := range texts {
			show.Lines(out, fmt.Sprintf("%-*s", len(indent), name), indent, text, width)
			name = ""
		}
	}
	row("why", x.Why...)
	row("change", x.Change...)
	if where := show.Origin(x.Country, x.ASN, x.Network); where != "" {
		row("from", where)
	}
	if k := x.Known; k != nil {
		row("seen", seen(k)...)
	}
	row("journal", "journalctl -t picket PICKET_SOURCE="+x.Source)
	if len(x.Probes) > 0 {
		printProbes(out, x, width)
	}
	return out.Flush()
}

func seen(k *control.Known) []string {
	lines := []string{fmt.Sprintf("%s of %s at %s of this host, %s", show.Plural(k.Probes, "probe"),
		show.Plural(k.PortsAll, "port"),
		show.Plural(k.Targets, "address"), span(k.First, k.Last))}
	if k.Repeated > 0 {
		lines[0] += fmt.Sprintf("; and %s of them", show.Plural(k.Repeated, "repeat"))
	}
	var is []string
	if k.Pattern != "" {
		is = append(is, "a "+PatternName(k.Pattern))
	}
	if k.Tool != "" {
		is = append(is, "sent by "+k.Tool)
	}
	if k.Proven {
		is = append(is, "from an address that was shown to be real")
	} else {
		is = append(is, "from an address that may be forged")
	}
	lines = append(lines, strings.Join(is, ", "))
	if len(k.Ports) > 0 {
		lines = append(lines, "latest ports: "+portRanges(k.Ports))
	}
	return lines
}

// portRanges writes "tcp/3 tcp/1 udp/9 tcp/2" as "tcp/1-3 udp/9".
func portRanges(list []string) string {
	by := map[string][]nft.Range{}
	for _, p := range list {
		protocol, number, _ := strings.Cut(p, "/")
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			by[protocol] = append(by[protocol], nft.Range{From: uint16(n), To: uint16(n)})
		}
	}
	var out []string
	for _, protocol := range slices.Sorted(maps.Keys(by)) {
		out = append(out, protocol+"/"+config.Ports(nft.Merge(by[protocol])).String())
	}
	return strings.Join(out, " ")
}

// span writes a beginning and an end.
func span(from, to time.Time) string {
	switch a, b := show.Stamp(from), show.Stamp(to); {
	case a == b:
		return a
	case a[:len(time.DateOnly)] == b[:len(time.DateOnly)]:
		return a + " to " + b[len(time.DateOnly)+1:]
	default:
		return a + " to " + b
	}
}

// printProbes prints the probes, under a line with everything they have in common.
func printProbes(out io.Writer, x *control.Explanation, width int) {
	first, last := &x.Probes[0], &x.Probes[len(x.Probes)-1]
	clock, day := "15:04:05.000", ""
	if first.Time.Local().Format(time.DateOnly) == last.Time.Local().Format(time.DateOnly) {
		day = ", on " + first.Time.Local().Format(time.DateOnly)
	} else {
		clock = time.DateOnly + " " + clock
	}
	oneFrom, oneTo := true, true
	for i := range x.Probes {
		oneFrom = oneFrom && x.Probes[i].Source == first.Source
		oneTo = oneTo && x.Probes[i].Destination == first.Destination
	}
	fmt.Fprintln(out)
	show.Lines(out, "", "", probesHead(x, day, oneFrom, oneTo), width)
	fmt.Fprintln(out)
	l := show.List{Head: []string{"TIME", "FROM", "TO", "PORT", "PACKET"}, Last: "DECISION (SETTING)"}
	told, before := map[string]bool{}, ""
	for i := range x.Probes {
		p := &x.Probes[i]
		from, to := "", ""
		if !oneFrom {
			from = p.Source.String()
		}
		if !oneTo {
			to = p.Destination.String()
		}
		decision := p.Decision
		if p.Tool != "" && (i == 0 || x.Probes[i-1].Tool != p.Tool) {
			decision += "; looks like " + p.Tool
		}
		// A setting is shown once.
		if p.Config != "" && (!told[p.Config] || p.Action != engine.None.String()) {
			decision += " (" + p.Config + ")"
			told[p.Config] = true
		}
		if decision == before {
			decision = "as above"
		}
		before = p.Decision
		texts := []string{decision}
		if p.Data != "" {
			texts = append(texts, sent(p.Data))
		}
		l.Add(texts, p.Time.Local().Format(clock), from, to, probe.PortName(p.Protocol, p.Port),
			p.Technique+", "+cmp.Or(p.Mode, "held inline"))
	}
	l.Print(out, width)
}

// probesHead returns the line above the probes.
func probesHead(x *control.Explanation, day string, oneFrom, oneTo bool) string {
	head := "Its only probe"
	if n := len(x.Probes); n > 1 {
		head = fmt.Sprintf("Its last %d probes", n)
	}
	left := ""
	if n := int(x.Since) - len(x.Probes); n > 0 {
		head += fmt.Sprintf(" of %d", x.Since)
		if len(x.Probes) < evidence.PerSource {
			left = " (repeats, and packets on their way when it was blocked, are not kept)"
		}
	}
	head += day
	if a := x.Probes[0].Source.String(); oneFrom && a != x.Source {
		head += ", from " + a
	}
	if oneTo {
		head += ", to " + x.Probes[0].Destination.String()
	}
	return head + left + ":"
}

// mostSent is the most characters of a peer's data to show; --json has all.
const mostSent = 160

func sent(data string) string {
	if r := []rune(data); len(r) > mostSent {
		return fmt.Sprintf("it sent \"%s ... and more", string(r[:mostSent]))
	}
	return "it sent \"" + data + "\""
}
