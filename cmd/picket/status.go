// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/control"
	"picket/internal/show"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show what the daemon does and has counted", Args: takes()}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		var s control.Status
		if err := call(control.Request{Command: "status"}, &s); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), s)
		}
		return answers.Status(cmd.OutOrStdout(), s, show.Width(cmd.OutOrStdout()))
	})
	return cmd
}
