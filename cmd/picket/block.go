// SPDX-License-Identifier: MIT

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
)

func blockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "block SOURCE",
		SuggestFor: []string{"ban", "deny"},
		Short:      "Block an address or a prefix by hand",
		Example:    "  picket block 203.0.113.9 --for 1d --reason \"abuse report 4711\"\n  picket block 2001:db8:bad::/48",
		Args:       cobra.ExactArgs(1),
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
