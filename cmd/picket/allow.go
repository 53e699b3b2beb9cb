// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/config"
	"picket/internal/control"
)

func allowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "allow SOURCE...",
		SuggestFor: []string{"whitelist", "allowlist", "permit", "ignore", "trust"},
		Short:      "Never block an address or a prefix, for a time or for good",
		Long: "Never block an address or a prefix, for a time or for good, as if [ignore] named it;\n" +
			"who is blocked is freed. It is kept in the state directory, /var/lib/picket, and\n" +
			"outlives the daemon. One that is allowed for longer already stays so.\n\n" + takesSources,
		Example: "  picket allow 203.0.113.9 --for 2h --reason \"audit\"\n  picket allow --file friends.txt",
	}
	files := fileFlag(cmd)
	length := cmd.Flags().String("for", "", "`duration` of it: 90s, 10m, 1h, 1d, 1w; for good unless given")
	reason := cmd.Flags().String("reason", "", "`text` for the list and the journal")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		r := control.Request{Command: "allow", Reason: *reason}
		if *length != "" {
			d, err := config.ParseDuration(*length)
			if err != nil {
				return usage("--for: %w", err)
			}
			r.For = d.String()
		}
		var err error
		if r.Sources, err = sources(cmd, args, *files); err != nil {
			return err
		}
		return order(cmd, r, "allowed", "allowed")
	})
	return cmd
}

func unallowCommand() *cobra.Command {
	return ending(&cobra.Command{
		Use:        "unallow SOURCE... | --all",
		SuggestFor: []string{"disallow"},
		Short:      "End what \"picket allow\" began",
		Long:       "End what \"picket allow\" began.\n\n" + takesSources,
	}, "of every source", "no longer allowed:")
}

func allowedCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "allowed", Short: "List what \"picket allow\" allows", Args: takes()}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		list := []control.Allowed{}
		if err := call(control.Request{Command: "allowed"}, &list); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		return answers.Allowed(cmd.OutOrStdout(), list)
	})
	return cmd
}
