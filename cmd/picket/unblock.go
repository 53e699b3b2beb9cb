// SPDX-License-Identifier: MIT

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
)

func unblockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "unblock SOURCE | --all", SuggestFor: []string{"unban", "release"}, Short: "End a block, or all of them", Args: cobra.MaximumNArgs(1)}
	all := cmd.Flags().Bool("all", false, "end every block")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		req := control.Request{Command: "unblock", All: *all}
		switch {
		case *all && len(args) > 0, !*all && len(args) == 0:
			return usage("want either a source or --all")
		case !*all:
			source, ok := config.ParseSource(args[0])
			if !ok {
				return usage("%q is no address or prefix", args[0])
			}
			req.Source = source.String()
		}
		var n int
		if err := control.Call(control.Path(), req, &n); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "unblocked %d\n", n)
		return err
	})
	return cmd
}
