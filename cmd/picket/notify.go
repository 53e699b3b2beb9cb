// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/event"
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
			return notifyTest(ctx, cmd, senders)
		case *span != "":
			length, err := config.ParseDuration(*span)
			if err != nil {
				return usage("--report: %w", err)
			}
			return notifyReport(ctx, senders, time.Duration(length))
		}
		return notifyFollow(ctx, &c.Notify, senders)
	})
	return cmd
}

// hostname names this host in messages.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return name
}

// notifyTest sends a message to each and says how that went.
func notifyTest(ctx context.Context, cmd *cobra.Command, senders []notify.Sender) error {
	m := notify.Message{Title: "picket on " + hostname() + ": a test", Text: "This is what a message of picket's looks like.\n", At: time.Now()}
	failed := 0
	for _, s := range senders {
		if err := notify.Send(ctx, []notify.Sender{s}, m); err != nil {
			complain("", err.Error())
			failed++
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: sent\n", s.Name())
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d messages could not be sent", failed, len(senders))
	}
	return nil
}

// notifyReport sends what "picket report" prints.
func notifyReport(ctx context.Context, senders []notify.Sender, span time.Duration) error {
	const lines = 10
	from, counter := time.Now().Add(-span), report.New()
	if err := report.Journal(ctx, from, time.Time{}, counter.Add); err != nil && !errors.As(err, new(*report.Fault)) {
		return err
	}
	r := counter.Report(lines, nil)
	var text bytes.Buffer
	report.Print(&text, &r, fmt.Sprintf("%s to %s", from.Format("2006-01-02 15:04"), time.Now().Format("2006-01-02 15:04")))
	m := notify.Message{Title: fmt.Sprintf("picket on %s: report of %s", hostname(), config.Duration(span)), Text: text.String(), At: time.Now()}
	return notify.Send(ctx, senders, m)
}

// notifyFollow tells of what happens from now on.
func notifyFollow(ctx context.Context, c *config.Notify, senders []notify.Sender) error {
	f := notify.Follower{
		Senders: senders, Events: c.Events, Every: time.Duration(c.Every), Host: hostname(),
		Failed: func(err error) { complain("", err.Error()) },
	}
	events := make(chan event.Event, 256)
	var fault error
	go func() {
		defer close(events)
		fault = report.Follow(ctx, func(e event.Event) { events <- e })
	}()
	f.Run(ctx, events)
	for range events { // until the journal's reader has ended
	}
	if ctx.Err() != nil {
		return nil
	}
	return fault
}
