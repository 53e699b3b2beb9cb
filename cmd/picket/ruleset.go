// SPDX-License-Identifier: MIT

package main

import (
	"io"

	"github.com/spf13/cobra"

	"picket/nft"
)

func rulesetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ruleset",
		Short: "Print the nftables ruleset, for an include in /etc/nftables.conf",
		Args:  takes(),
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			c, err := load(cmd)
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), nft.Ruleset(c.Table()))
			return err
		}),
	}
}
