// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/evidence"
	"picket/nft"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain SOURCE",
		Short: "Tell what is known of a source, and why it is blocked or not",
		Long: "Tell what is known of an address or an IPv6 prefix, why it is blocked or not, and what\n" +
			"would change that, with its last 32 probes and what was decided about each.",
		Example: "  picket explain 203.0.113.9\n  picket explain 203.0.113.9 --pcap scan.pcapng && tshark -r scan.pcapng -T fields -e frame.comment",
		Args:    cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(cmd)
	file := cmd.Flags().String("pcap", "", "write its packets to `file` as pcapng, with comments; - is standard output, and then the only one")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		source, ok := config.ParseSource(args[0])
		if !ok {
			return usage("%q is no address or prefix", args[0])
		}
		x := new(control.Explanation)
		if err := control.Call(control.Path(), control.Request{Command: "explain", Source: source.String()}, x); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *file == "-" {
			return evidence.Write(out, "picket "+version, pcapComment(x), pcapPackets(x))
		}
		if *asJSON {
			if err := printJSON(out, x); err != nil {
				return err
			}
		} else if err := printExplanation(out, x); err != nil {
			return err
		}
		if *file == "" {
			return nil
		}
		return writePcap(*file, x)
	})
	return cmd
}

// writePcap writes the packets, and says on standard error what is not there.
func writePcap(file string, x *control.Explanation) error {
	packets := pcapPackets(x)
	var b bytes.Buffer
	if err := evidence.Write(&b, "picket "+version, pcapComment(x), packets); err != nil {
		return err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return err
	}
	if len(packets) == 0 {
		warn("%s: no packet of %s is kept", file, x.Source)
	} else if n := len(x.Probes) - len(packets); n > 0 {
		warn("%s: %d of %d probes are connections that the trap completed, which no single packet shows", file, n, len(x.Probes))
	}
	return nil
}

func pcapComment(x *control.Explanation) string {
	return strings.Join(append([]string{x.Summary}, x.Why...), "\n")
}

// pcapPackets returns the probes that are packets, each with what it was taken
// for.
func pcapPackets(x *control.Explanation) (out []evidence.Packet) {
	for i := range x.Probes {
		p := &x.Probes[i]
		if len(p.Packet) == 0 {
			continue
		}
		out = append(out, evidence.Packet{At: p.Time.UnixNano(), Data: p.Packet, Length: p.Length, Comment: pcapWords(p)})
	}
	return out
}

func pcapWords(p *control.KeptProbe) string {
	s := fmt.Sprintf("%s to %s, %s: %s", p.Technique, engine.PortName(p.Protocol, p.Port), p.Mode, p.Decision)
	if p.Config != "" {
		s += " (" + p.Config + ")"
	}
	if p.Pattern != "" {
		s += "; pattern " + p.Pattern
	}
	if p.Tool != "" {
		s += "; tool " + p.Tool
	}
	if p.Proven {
		return s + "; source proven"
	}
	return s + "; source not proven"
}

// printExplanation prints it for a person.
func printExplanation(out io.Writer, x *control.Explanation) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, printable(x.Summary))
	fmt.Fprintln(w)
	row := func(name string, lines ...string) {
		for _, line := range lines {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(line))
			name = ""
		}
	}
	row("why", x.Why...)
	row("change", x.Change...)
	if where := from(x.Country, x.ASN, x.Network); where != "" {
		row("from", where)
	}
	if k := x.Known; k != nil {
		row("seen", seen(k)...)
	}
	if err := w.Flush(); err != nil || len(x.Probes) == 0 {
		return err
	}
	return printProbes(out, x)
}

func seen(k *control.Known) []string {
	lines := []string{fmt.Sprintf("%s of %s at %s of this host, %s", several(int(k.Probes), "probe"), several(int(k.PortsAll), "port"),
		addresses(k.Targets), span(k.First, k.Last))}
	if k.Repeated > 0 {
		lines[0] += fmt.Sprintf("; and %s of them", several(int(k.Repeated), "repeat"))
	}
	var is []string
	if k.Pattern != "" {
		is = append(is, "a "+patternName(k.Pattern))
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

// span writes from when to when.
func span(from, to time.Time) string {
	switch a, b := stamp(from), stamp(to); {
	case a == b:
		return a
	case a[:len(time.DateOnly)] == b[:len(time.DateOnly)]:
		return a + " to " + b[len(time.DateOnly)+1:]
	default:
		return a + " to " + b
	}
}

// printProbes prints the probes, one a line. What all have in common stands
// above them.
func printProbes(out io.Writer, x *control.Explanation) error {
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
	from, to := "", ""
	if oneFrom && first.Source.String() != x.Source {
		from = ", from " + first.Source.String()
	}
	if oneTo {
		to = ", to " + first.Destination.String()
	}
	count := "Its only probe"
	if n := len(x.Probes); n > 1 {
		count = fmt.Sprintf("Its last %d probes", n)
	}
	if n := int(x.Since) - len(x.Probes); n > 0 {
		count += fmt.Sprintf(" of %d", x.Since)
		if len(x.Probes) < evidence.PerSource {
			count += " (repeats, and what was on its way when it was blocked, are not kept)"
		}
	}
	fmt.Fprintf(out, "\n%s%s%s%s:\n\n", count, day, from, to)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "TIME\t"
	if !oneFrom {
		head += "FROM\t"
	}
	if !oneTo {
		head += "TO\t"
	}
	fmt.Fprintln(w, head+"PORT\tPACKET\tDECISION\tSETTING")
	for i := range x.Probes {
		p := &x.Probes[i]
		fmt.Fprintf(w, "%s\t", p.Time.Local().Format(clock))
		if !oneFrom {
			fmt.Fprintf(w, "%s\t", p.Source)
		}
		if !oneTo {
			fmt.Fprintf(w, "%s\t", p.Destination)
		}
		decision := p.Decision
		if p.Tool != "" && (i == 0 || x.Probes[i-1].Tool != p.Tool) {
			decision += "; looks like " + p.Tool
		}
		if p.Data != "" {
			decision += "; it sent \"" + p.Data + "\""
		}
		fmt.Fprintf(w, "%s\t%s, %s\t%s\t%s\n", engine.PortName(p.Protocol, p.Port), printable(p.Technique), p.Mode, printable(decision), printable(p.Config))
	}
	return w.Flush()
}
