// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"
)

func unblockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "unblock SOURCE... | --all",
		SuggestFor: []string{"unban", "release"},
		Short:      "End blocks",
		Long:       "End blocks, of sources or all of them.\n\n" + takesSources,
	}
	files := fileFlag(cmd)
	all := cmd.Flags().Bool("all", false, "end every block")
	cmd.ValidArgsFunction = completed(blocked)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		r, err := sourcesOrAll(cmd, "unblock", args, *files, *all)
		if err != nil {
			return err
		}
		return order(cmd, r, "unblocked", "")
	})
	return cmd
}
