// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"
)

func unblockCommand() *cobra.Command {
	cmd := ending(&cobra.Command{
		Use:        "unblock SOURCE... | --all",
		SuggestFor: []string{"unban", "release", "undo", "free"},
		Short:      "End blocks",
		Long:       "End blocks, of sources or all of them.\n\n" + takesSources,
	}, "end every block", "unblocked")
	cmd.ValidArgsFunction = completed(blocked)
	return cmd
}
