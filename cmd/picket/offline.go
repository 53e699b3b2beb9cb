// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
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

func removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove",
		Short: "Take picket's table out of the kernel, blocks included, and end the daemon",
		Args:  cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			c, err := load(cmd)
			if err != nil {
				return err
			}
			removed, err := remove(c)
			if err != nil {
				return err
			}
			if err := forgetState(); err != nil {
				return err
			}
			text := "removed table inet " + nft.Name
			if !removed {
				text = "there is no table inet " + nft.Name
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		}),
	}
}

// remove has a running daemon remove the table, since it would put it back, and
// else does it itself.
func remove(c *config.Config) (bool, error) {
	err := control.Call(control.Path(), control.Request{Command: "remove"}, nil)
	if !errors.Is(err, control.ErrNotRunning) {
		return err == nil, err
	}
	t, err := nft.Open(c.Table())
	if err != nil {
		return false, err
	}
	defer t.Close()
	return t.Remove()
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
