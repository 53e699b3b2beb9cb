// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/removal"
)

func removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "remove",
		SuggestFor: []string{"uninstall", "flush", "purge"},
		Short:      "Take picket's table out of the kernel, blocks included",
		Long: "Take picket's table out of the kernel, blocks included, and undo what was done\n" +
			"beside them: routes, lines of hosts.deny, and commands by run.end. A running daemon\n" +
			"is ended first, for it would put the table back.",
		Args: takes(),
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			// Faults of the file are reported, and do not stop the removal.
			c, faults := load(cmd)
			if faults != nil {
				c = config.Default()
			}
			return removal.All(cmd.OutOrStdout(), warn, c, faults)
		}),
	}
}
