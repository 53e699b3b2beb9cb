// SPDX-License-Identifier: MIT

package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Validate the configuration and tell every fault of it", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		c, err := load(cmd)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), c)
		}
		name := c.File
		if name == "" {
			name = "embedded default"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults\n", name)
		return err
	})
	return cmd
}
