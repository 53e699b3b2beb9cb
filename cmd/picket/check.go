// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/show"
	"picket/internal/survey"
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
	here := cmd.Flags().Bool("host", false, "look at this host too: kernel, other firewalls, ports, friends")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		c, faults, warnings := config.Check(path(cmd))
		for _, w := range warnings {
			warn("%s", w)
		}
		var found []survey.Finding
		place := survey.Here()
		var err error
		if *here && len(faults) == 0 {
			found = place.Look(c)
		} else if f, missing := place.NoLoginRecord(); missing {
			found = append(found, f)
		}
		if *asJSON {
			none := config.Faults{} // [] and not null
			all := checked{c, append(none, faults...), append(none, warnings...), found}
			err = printJSON(cmd.OutOrStdout(), all)
		}
		switch {
		case err != nil:
			return err
		case len(faults) > 0:
			return faults
		case *asJSON:
			return survey.Problems(found)
		}
		names := append([]string{cmp.Or(c.File, "embedded default")}, c.DropIns...)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults\n", strings.Join(names, ", "))
		if !*here {
			show.Say(cmd.OutOrStdout(), "behind this host: "+c.Forward.Says())
		}
		survey.Print(cmd.OutOrStdout(), found)
		return errors.Join(err, survey.Problems(found))
	})
	return cmd
}

// checked is the output of "picket check --json": the faults, and the configuration if there
// are none.
type checked struct {
	*config.Config
	Faults   config.Faults `json:"faults"`
	Warnings config.Faults `json:"warnings"`

	Host []survey.Finding `json:"host,omitempty"`
}
