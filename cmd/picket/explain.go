// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/explain"
	"picket/internal/show"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "explain SOURCE",
		SuggestFor: []string{"why"},
		Short:      "Tell what is known of a source, and why it is blocked or not",
		Long: "Tell what is known of an address or an IPv6 prefix, why it is blocked or not, and what\n" +
			"would change that, with its last 32 probes and what was decided about each.",
		Example: "  picket explain 203.0.113.9\n" +
			"  picket explain 203.0.113.9 --pcap scan.pcapng &&\n" +
			"    tshark -r scan.pcapng -T fields -e frame.comment",
		Args: takes("SOURCE"),
	}
	asJSON := jsonFlag(cmd)
	file := cmd.Flags().String("pcap", "",
		"write its packets to `file` as pcapng, with comments; to - nothing but these")
	cmd.ValidArgsFunction = completed(known)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		source, ok := config.ParseSource(args[0])
		if !ok {
			return usage("%q is no address or prefix", args[0])
		}
		out := cmd.OutOrStdout()
		switch {
		case *file == "" && cmd.Flags().Changed("pcap"):
			return usage("--pcap is empty: want a file, or - for standard output")
		case *file == "-" && show.Width(out) > 0:
			return usage("--pcap -: standard output is a terminal: want a file, or a pipe behind it")
		}
		x := new(control.Explanation)
		if err := call(control.Request{Command: "explain", Source: source.String()}, x); err != nil {
			return err
		}
		if *file == "-" {
			return explain.WritePcap(out, "picket "+version, x)
		}
		if *asJSON {
			if err := printJSON(out, x); err != nil {
				return err
			}
		} else if err := explain.Print(out, x, show.Width(out)); err != nil {
			return err
		}
		if *file == "" {
			return nil
		}
		missing, err := explain.SavePcap(*file, "picket "+version, x)
		if missing != "" {
			warn("%s", missing)
		}
		return err
	})
	return cmd
}
