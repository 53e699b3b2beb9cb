// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/replay"
	"picket/internal/show"
	"picket/internal/trial"
)

func replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Run captures through the same engine, in capture time",
		Long: "Run pcap and pcapng captures through the same engine, in capture time. It needs no\n" +
			"privilege and touches no kernel.\n\n" +
			"Without --local every destination is watched. A packet that answers an earlier one\n" +
			"of its flow is no probe, and a port that answered is open.\n\n" +
			"Several captures are read as one, their packets sorted by time. A capture is read\n" +
			"twice: one from a pipe, or from standard input (-), is kept in a temporary file.\n\n" +
			"With --log the files are a firewall's logs: lines of iptables, nftables or UFW in\n" +
			"syslog or \"journalctl -k\", rotated and gzipped. A log says less than a capture, so\n" +
			"name the ports that serve somebody with --open.\n\n" +
			"In classic mode a completed connection to the trap counts, and a SYN alone does not.\n" +
			"A capture has such connections only if the trap was there to answer: say so with\n" +
			"--trap, and name with --open which classic ports were services all the same; with\n" +
			"trap.invite, every service.\n\n" +
			"With --against the captures go through a second configuration too, and what is\n" +
			"printed is who would be blocked more and who spared by that one, and why.",
		Example: "  picket replay --local 192.0.2.0/24 monday.pcapng tuesday.pcapng.gz\n" +
			"  tcpdump -r trace.pcap -w - host 192.0.2.9 | picket replay -\n" +
			"  picket replay --packets --open tcp/22,tcp/443 scan.pcap\n" +
			"  picket replay --log --open tcp/22,tcp/443 /var/log/ufw.log*\n" +
			"  picket replay --against stricter.toml week.pcap",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("replay: no capture is named: want files, or - for standard input; " +
					"see picket replay --help")
			}
			return nil
		},
	}
	o := trial.Options{Width: show.Width(os.Stdout)}
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object a line: every event, then a summary")
	cmd.Flags().BoolVar(&o.Packets, "packets", false, "print every packet: whether it was a probe, and why")
	against := cmd.Flags().String("against", "", "tell how another configuration `file` would differ")
	local := cmd.Flags().StringSlice("local", nil, "watched `prefixes`, comma-separated")
	open := cmd.Flags().StringSlice("open", nil, "`ports` that serve somebody: tcp/22,udp/53")
	log := cmd.Flags().Bool("log", false, "the files are a firewall's logs")
	trap := cmd.Flags().Bool("trap", false, "picket's trap answered at classic ports at that time")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		c, err := load(cmd)
		if err != nil {
			return err
		}
		rules, err := trial.ParseRules(*local, *open)
		if err != nil {
			return usage("%w", err)
		}
		c.NoRules, rules.TrapAnswers = true, *trap
		if *against != "" && o.Packets {
			return usage("--packets and --against do not go together")
		}
		named := replay.Named
		if *log {
			named = replay.NamedLog
		}
		sources := make([]replay.Source, len(args))
		for i, f := range args {
			if sources[i], err = named(f); err != nil {
				return err
			}
		}
		// From here on an interrupt prints the results so far. While picket reads a pipe, it
		// ends picket.
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
		if *against != "" {
			var other *config.Config
			if other, err = config.Load(*against); err != nil {
				return err
			}
			for _, w := range other.Warnings {
				warn("%s", w)
			}
			other.NoRules = true
			err = trial.Against(ctx, out, c, other, rules, sources, o.JSON)
		} else {
			err = trial.Run(ctx, out, c, rules, sources, o)
		}
		return errors.Join(out.Flush(), err)
	})
	return cmd
}
