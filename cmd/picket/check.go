// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/config"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "check",
		SuggestFor: []string{"test", "validate", "verify"},
		Short:      "Validate the configuration and tell every fault of it",
		Long: "Validate the configuration, with the files picket.d/*.toml beside it, and tell every\n" +
			"fault of it. It exits 0 if there is none and 2 if there is one, so that Ansible's\n" +
			"validate: \"picket check --config %s\" keeps a wrong file from being put in place.",
		Example: "  picket check\n  picket check --json | jq .faults",
		Args:    takes(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		path, err := cmd.Flags().GetString("config")
		if err != nil {
			return err
		}
		c, faults, warnings := config.Check(path)
		for _, w := range warnings {
			warn("%s", w)
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), checked{c, append(config.Faults{}, faults...), append(config.Faults{}, warnings...)})
		}
		switch {
		case err != nil:
			return err
		case len(faults) > 0:
			return faults
		case *asJSON:
			return nil
		}
		names := append([]string{cmp.Or(c.File, "embedded default")}, c.DropIns...)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults\n", strings.Join(names, ", "))
		return err
	})
	return cmd
}

// checked is what "picket check --json" prints: the configuration, unless there
// is a fault, and what is wrong.
type checked struct {
	*config.Config
	Faults   config.Faults `json:"faults"`
	Warnings config.Faults `json:"warnings"`
}
