// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/evidence"
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
		out := cmd.OutOrStdout()
		switch {
		case *file == "" && cmd.Flags().Changed("pcap"):
			return usage("--pcap is empty: want a file, or - for standard output")
		case *file == "-" && terminalWidth(out) > 0:
			return usage("--pcap -: standard output is a terminal: want a file, or a pipe behind it")
		}
		x := new(control.Explanation)
		if err := control.Call(control.Path(), control.Request{Command: "explain", Source: source.String()}, x); err != nil {
			return err
		}
		if *file == "-" {
			return evidence.Write(out, "picket "+version, pcapComment(x), pcapPackets(x))
		}
		if *asJSON {
			if err := printJSON(out, x); err != nil {
				return err
			}
		} else if err := printExplanation(out, x, terminalWidth(out)); err != nil {
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
