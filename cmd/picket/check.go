// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
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
		path, err := cmd.Flags().GetString("config")
		if err != nil {
			return err
		}
		c, faults, warnings := config.Check(path)
		for _, w := range warnings {
			warn("%s", w)
		}
		var found []survey.Finding
		place := survey.Here()
		if *here && len(faults) == 0 {
			found = place.Look(c)
		} else if f, missing := place.NoLoginRecord(); missing {
			found = append(found, f)
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), checked{c, append(config.Faults{}, faults...), append(config.Faults{}, warnings...), found})
		}
		switch {
		case err != nil:
			return err
		case len(faults) > 0:
			return faults
		case *asJSON:
			return troubled(found)
		}
		names := append([]string{cmp.Or(c.File, "embedded default")}, c.DropIns...)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults\n", strings.Join(names, ", "))
		printFindings(cmd.OutOrStdout(), found)
		return errors.Join(err, troubled(found))
	})
	return cmd
}

// checked is what "picket check --json" prints: the configuration, unless there
// is a fault, and what is wrong.
type checked struct {
	*config.Config
	Faults   config.Faults `json:"faults"`
	Warnings config.Faults `json:"warnings"`

	Host []survey.Finding `json:"host,omitempty"`
}

// printFindings prints what was found of the host, each with its remedy.
func printFindings(out io.Writer, found []survey.Finding) {
	list := show.List{Head: []string{"", ""}}
	for _, f := range found {
		mark, text := "", []string{f.Text}
		if f.Problem {
			mark = "!"
		}
		if f.Remedy != "" {
			text = append(text, "-> "+f.Remedy)
		}
		list.Add(text, mark, f.About)
	}
	list.Print(out, show.Width(out))
}

// troubled returns an error if there is a problem.
func troubled(found []survey.Finding) error {
	n := 0
	for _, f := range found {
		if f.Problem {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("this host has %s, each with its remedy", show.Plural(n, "problem"))
}
