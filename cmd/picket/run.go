// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/daemon"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: "Run the daemon in the foreground", Args: cobra.NoArgs}
	dryRun := cmd.Flags().Bool("dry-run", false, "judge and tell, block nobody")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		path, err := cmd.Flags().GetString("config")
		if err != nil {
			return err
		}
		return daemon.Run(daemon.Options{Path: path, DryRun: *dryRun, Version: version})
	})
	return cmd
}

func removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove",
		Short: "Take picket's table out of the kernel, blocks included",
		Long: "Take picket's table out of the kernel, blocks included, and undo what was done\n" +
			"beside them: routes, lines of hosts.deny, and commands by run.end. A running daemon\n" +
			"is ended first, for it would put the table back.",
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			// What is wrong with the file is told, and keeps nothing from being removed.
			c, faults := load(cmd)
			if faults != nil {
				c = config.Default()
			}
			return daemon.Remove(cmd.OutOrStdout(), warn, c, faults)
		}),
	}
}
