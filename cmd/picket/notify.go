// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/notify"
	"picket/internal/report"
)

func notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Tell people what happens, by mail, ntfy or webhook",
		Long: "Tell people what happens, by mail, ntfy or webhook, as [notify] in the configuration\n" +
			"says. It follows the journal, gathers what happens into digests, and ends when it is\n" +
			"asked to; picket-notify.service runs it. With nobody to tell it ends at once.",
		Example: "  picket notify --test\n  picket notify --report 1w",
		Args:    takes(),
	}
	test := cmd.Flags().Bool("test", false, "send one message to everybody now, and say how that went")
	span := cmd.Flags().String("report", "", "send the report of this `duration` up to now, and end")
	cmd.MarkFlagsMutuallyExclusive("test", "report")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		c, err := load(cmd)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		senders := c.Notify.Config().Senders()
		switch out := cmd.OutOrStdout(); {
		case len(senders) == 0 && *test:
			return errors.New("nobody is to be told: set mail, ntfy or webhook under [notify]")
		case len(senders) == 0:
			fmt.Fprintln(out, "nobody is to be told: [notify] names neither mail nor ntfy nor webhook")
			return nil
		case *test:
			return notify.Test(ctx, out, senders)
		case *span != "":
			length, err := config.ParseDuration(*span)
			if err != nil {
				return usage("--report: %w", err)
			}
			now := time.Now()
			text, err := report.Text(ctx, now.Add(-time.Duration(length)), now, 10)
			if err != nil {
				return err
			}
			title := fmt.Sprintf("picket on %s: report of %s", notify.Host(), length)
			return notify.Send(ctx, senders, notify.Message{Title: title, Text: text, At: now})
		}
		f := notify.Follower{
			Senders: senders, Events: c.Notify.Events, Every: time.Duration(c.Notify.Every),
			Host:   notify.Host(),
			Failed: func(err error) { complain("", err.Error()) },
		}
		return f.Follow(ctx, report.Follow)
	})
	return cmd
}
