// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/report"
	"picket/internal/show"
)

func reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "report",
		SuggestFor: []string{"log", "stats"},
		Short:      "Sum up what happened, from the journal or a file",
		Long: "Sum up what happened over a period: sources, patterns, tools, ports, blocks and\n" +
			"what they kept off, and countries and networks where events tell them.\n\n" +
			"Events are taken from the journal, or with --file from lines of JSON: a history\n" +
			"file, or what \"picket replay --json\" or \"journalctl -o json\" printed.",
		Example: "  picket report --since 1w\n  picket report --since yesterday --until today\n" +
			"  picket report --since \"2026-11-29 03:00\" --html night.html\n" +
			"  picket report --file /var/log/picket/history\n" +
			"  picket replay --json scan.pcap | picket report --file -",
		Args: takes(),
	}
	asJSON := jsonFlag(cmd)
	since := cmd.Flags().String("since", "24h",
		"from a `time` on: 24h (24 hours ago), yesterday, \"2026-11-29 03:00\", ...; of a file, everything "+
			"unless this is given")
	until := cmd.Flags().String("until", "", "up to a `time`, now unless this is given")
	html := cmd.Flags().String("html", "",
		"write one page for a browser, which needs nothing else, to `file`, \"-\" for standard output")
	file := cmd.Flags().String("file", "", "take events from `file`, \"-\" for standard input")
	top := cmd.Flags().Int("top", 10, "`count` of lines in each list")
	cmd.MarkFlagsMutuallyExclusive("json", "html")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		defer debug.SetGCPercent(debug.SetGCPercent(30)) // a third less memory, for a little time
		now := time.Now()
		q := report.Query{File: *file}
		var err error
		if *file == "" || cmd.Flags().Changed("since") {
			if q.From, err = moment("--since", *since, now); err != nil {
				return err
			}
		}
		if *until != "" {
			if q.To, err = moment("--until", *until, now); err != nil {
				return err
			}
			if !q.From.Before(q.To) {
				return usage("--until: %s is not after %s", show.Stamp(q.To), show.Stamp(q.From))
			}
		}
		if *top < 1 || *top > 10000 {
			return usage("--top: %d: want 1 to 10000", *top)
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		counter := report.New()
		faults := q.Read(ctx, cmd.InOrStdin(), counter, show.NewProgress(os.Stderr))
		if faults != nil && !errors.As(faults, new(*report.Fault)) {
			return faults // half a period would look like the whole
		}
		var more *report.Now
		if q.Running(time.Now()) {
			more = inForce()
		}
		r := counter.Report(*top, more)
		heading := q.Heading(&r, time.Now())
		out := bufio.NewWriter(cmd.OutOrStdout())
		switch {
		case *asJSON:
			err = printJSON(out, r)
		case *html == "-":
			err = report.HTML(out, &r, heading)
		case *html != "":
			err = report.WritePage(*html, &r, heading)
		default:
			report.Print(out, &r, heading, show.Width(cmd.OutOrStdout()))
		}
		return errors.Join(err, out.Flush(), faults)
	})
	return cmd
}

// moment reads a time, or a duration back from now.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if length, err := config.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(length)), nil
	}
	at, err := report.When(text, now)
	if err != nil {
		return at, usage("%s: %w", flag, err)
	}
	return at, nil
}

// inForce asks the running daemon for the responses in force. Without a daemon it returns nil.
func inForce() *report.Now {
	var list []control.Block
	if call(control.Request{Command: "blocks"}, &list) != nil {
		return nil
	}
	now := &report.Now{Responses: len(list), Drops: make(map[string]uint64, len(list))}
	for _, b := range list {
		now.Drops[b.Name] += b.Drops
	}
	return now
}
