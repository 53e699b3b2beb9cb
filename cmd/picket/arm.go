// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/config"
	"picket/internal/control"
)

func armCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "arm",
		SuggestFor: []string{"activate", "enable"},
		Short:      "End a trial: block from now on",
		Long: "End a trial (dry_run = true): say what it would have kept off, and block from now on.\n" +
			"With --rollback the trial goes on after that time, and what was blocked meanwhile is\n" +
			"free again, unless \"picket arm --confirm\" comes before: a way back if you lock yourself out.",
		Example: "  picket arm\n  picket arm --rollback 5m\n  picket arm --confirm",
		Args:    takes(),
	}
	rollback := cmd.Flags().String("rollback", "",
		"`duration` after which the trial goes on unless confirmed: 5m")
	confirm := cmd.Flags().Bool("confirm", false, "keep on blocking, for good")
	cmd.MarkFlagsMutuallyExclusive("rollback", "confirm")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		out := cmd.OutOrStdout()
		if *rollback != "" {
			d, err := config.ParseDuration(*rollback)
			if err != nil {
				return usage("--rollback: %w", err)
			}
			if err := tellTrial(out); err != nil {
				return err
			}
			if err := call(control.Request{Command: "arm", For: d.String()}, nil); err != nil {
				return err
			}
			const text = "armed for %s; then the trial goes on, unless: picket arm --confirm\n"
			_, err = fmt.Fprintf(out, text, d)
			return err
		}
		if !*confirm {
			if err := tellTrial(out); err != nil {
				return err
			}
		}
		return armForGood(out, path(cmd))
	})
	return cmd
}

// tellTrial says what the trial would have done.
func tellTrial(out io.Writer) error {
	var t control.Trial
	if err := call(control.Request{Command: "trial"}, &t); err != nil {
		return err
	}
	return answers.PrintTrial(out, &t)
}

// armForGood makes the daemon read the drop-in that ends the trial.
func armForGood(out io.Writer, path string) error {
	file, undo, err := config.Arm(path)
	if err != nil {
		return err
	}
	if err := call(control.Request{Command: "arm"}, nil); err != nil {
		undo()
		return err
	}
	_, err = fmt.Fprintf(out, "armed: picket blocks from now on (%s)\n", file)
	return err
}
