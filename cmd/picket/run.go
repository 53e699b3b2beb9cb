// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/daemon"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", SuggestFor: []string{"start", "daemon"}, Args: takes(),
		Short: "Run the daemon in the foreground",
	}
	dryRun := cmd.Flags().Bool("dry-run", false, "judge and tell, block nobody")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return daemon.Run(daemon.Options{Path: path(cmd), DryRun: *dryRun, Version: version})
	})
	return cmd
}
