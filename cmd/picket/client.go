// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/show"
)

// The commands that speak to the running daemon.

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show what the daemon does and has counted", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		var s control.Status
		if err := control.Call(control.Path(), control.Request{Command: "status"}, &s); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), s)
		}
		return printStatus(cmd.OutOrStdout(), s)
	})
	return cmd
}

func printStatus(out io.Writer, s control.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, show.Clean(fmt.Sprintf(format, args...)))
	}
	state := "blocking"
	if s.DryRun {
		state = "dry run: blocks nobody"
	}
	row("picket", "%s, process %d, up %s, %s", s.Version, s.Pid, time.Duration(s.Uptime)*time.Second, state)
	row("configuration", "%s", s.Config)
	for _, section := range slices.Sorted(maps.Keys(s.Modes)) {
		row("modes "+section, "%s", strings.Join(s.Modes[section], ", "))
	}
	row("kernel", "Linux %s, NFLOG group %d, receive buffer %d MiB", s.Kernel, s.Group, s.Buffer>>20)
	row("probes", "%d, lost %d, no probe %d", s.Probes, s.Lost, s.Garbage)
	for _, reason := range slices.Sorted(maps.Keys(s.Reasons)) {
		row("  "+reason, "%d", s.Reasons[reason])
	}
	for _, list := range slices.Sorted(maps.Keys(s.Known)) {
		row("  from list "+list, "%d", s.Known[list])
	}
	row("sources", "%d known, %d forgotten to make room, traces of %d kept for slow scans", s.Sources, s.Evicted, s.Traces)
	if s.Flooding {
		row("flood", "more new sources come than can be real: who is not proven is spared, unless it stands out")
	} else {
		row("flood", "none")
	}
	if s.Evidence.Capacity > 0 {
		row("evidence", "%d of %d probes, of %s", s.Evidence.Probes, s.Evidence.Capacity, show.Plural(s.Evidence.Sources, "source"))
	} else {
		row("evidence", "none is kept (evidence.memory = \"0\")")
	}
	row("blocks", "%d in force", s.Blocks)
	if s.Reaction.Count > 0 {
		row("reaction", "median %d µs, 99 %% within %d µs, of the last %d blocks", s.Reaction.P50, s.Reaction.P99, s.Reaction.Count)
	}
	if s.Untold > 0 {
		row("events", "%d left out to spare the journal", s.Untold)
	}
	return w.Flush()
}

func blocksCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "blocks", Short: "List the blocked sources", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		list := []control.Block{}
		if err := control.Call(control.Path(), control.Request{Command: "blocks"}, &list); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		return printBlocks(cmd.OutOrStdout(), list)
	})
	return cmd
}

func printBlocks(out io.Writer, list []control.Block) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nobody is blocked")
		return err
	}
	t := show.Table{Head: []string{"SOURCE", "REMAINING", "SINCE", "DROPS", "WHAT", "WHY"}}
	for _, b := range list {
		why := cmp.Or(b.Evidence, b.Reason)
		if b.Known != "" {
			why = b.Reason + " (" + b.Known + ")"
		}
		left := config.Duration(time.Duration(b.Remaining) * time.Second)
		t.Add(b.Name, left.String(), show.Stamp(b.Since), fmt.Sprint(b.Drops), strings.TrimSpace(b.Pattern+" "+b.Technique), why)
	}
	w := bufio.NewWriter(out)
	t.Print(w)
	return w.Flush()
}

func blockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "block SOURCE",
		Short:   "Block an address or a prefix by hand",
		Example: "  picket block 203.0.113.9 --for 1d --reason \"abuse report 4711\"\n  picket block 2001:db8:bad::/48",
		Args:    cobra.ExactArgs(1),
	}
	length := cmd.Flags().String("for", "1h", "`duration` of the block: 90s, 10m, 1h, 1d, 1w")
	reason := cmd.Flags().String("reason", "blocked by hand", "`text` for the journal and the list")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		source, ok := config.ParseSource(args[0])
		if !ok {
			return usage("%q is no address or prefix", args[0])
		}
		d, err := config.ParseDuration(*length)
		if err != nil {
			return usage("--for: %w", err)
		}
		req := control.Request{Command: "block", Source: source.String(), For: d.String(), Reason: *reason}
		if err := control.Call(control.Path(), req, nil); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "blocked %s for %s\n", args[0], d)
		return err
	})
	return cmd
}

func unblockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "unblock SOURCE | --all", Short: "End a block, or all of them", Args: cobra.MaximumNArgs(1)}
	all := cmd.Flags().Bool("all", false, "end every block")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		req := control.Request{Command: "unblock", All: *all}
		switch {
		case *all && len(args) > 0, !*all && len(args) == 0:
			return usage("want either a source or --all")
		case !*all:
			source, ok := config.ParseSource(args[0])
			if !ok {
				return usage("%q is no address or prefix", args[0])
			}
			req.Source = source.String()
		}
		var n int
		if err := control.Call(control.Path(), req, &n); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "unblocked %d\n", n)
		return err
	})
	return cmd
}
