// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/config"
	"picket/internal/control"
)

// armed is the drop-in by which a trial has ended, read after all others of a name
// that begins with a lesser number.
const armed = "90-armed.toml"

func armCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "arm",
		SuggestFor: []string{"activate", "enable"},
		Short:      "End a trial: block from now on",
		Long: "End a trial (dry_run = true): say what it would have kept off, and block from now on.\n" +
			"With --rollback the trial goes on after that time, and what was blocked meanwhile is\n" +
			"free again, unless \"picket arm --confirm\" comes before: for who might lock himself out.",
		Example: "  picket arm\n  picket arm --rollback 5m\n  picket arm --confirm",
		Args:    takes(),
	}
	rollback := cmd.Flags().String("rollback", "", "`duration` after which the trial goes on unless confirmed: 5m")
	confirm := cmd.Flags().Bool("confirm", false, "keep on blocking, for good")
	cmd.MarkFlagsMutuallyExclusive("rollback", "confirm")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		path, err := cmd.Flags().GetString("config")
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *rollback != "" {
			d, err := config.ParseDuration(*rollback)
			if err != nil {
				return usage("--rollback: %w", err)
			}
			if err := tellTrial(out); err != nil {
				return err
			}
			if err := control.Call(control.Path(), control.Request{Command: "arm", For: d.String()}, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "armed for %s; then the trial goes on, unless: picket arm --confirm\n", d)
			return err
		}
		if !*confirm {
			if err := tellTrial(out); err != nil {
				return err
			}
		}
		return armForGood(out, filepath.Join(filepath.Dir(path), "picket.d", armed))
	})
	return cmd
}

// tellTrial says what the trial would have done.
func tellTrial(out io.Writer) error {
	var t control.Trial
	if err := control.Call(control.Path(), control.Request{Command: "trial"}, &t); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, answers.Trial(&t))
	return err
}

// armForGood writes the drop-in and has the daemon read it. If that fails, the
// drop-in is taken back.
func armForGood(out io.Writer, path string) error {
	_, err := os.Lstat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	text := "# By \"picket arm\". For another trial, delete this file, and: systemctl reload picket\ndry_run = false\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	if err := control.Call(control.Path(), control.Request{Command: "arm"}, nil); err != nil {
		if fresh {
			_ = os.Remove(path)
		}
		return err
	}
	_, err = fmt.Fprintf(out, "armed: picket blocks from now on (%s)\n", path)
	return err
}
