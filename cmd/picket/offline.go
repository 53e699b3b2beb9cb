// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"picket/nft"
)

// The commands that need no running daemon.

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

func rulesetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ruleset",
		Short: "Print the nftables ruleset, for an include in /etc/nftables.conf",
		Args:  cobra.NoArgs,
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

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "picket %s (%s)\n", version, runtime.Version())
			return err
		}),
	}
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
