// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/config"
)

// Errors of a command line: what is missing, or what was probably meant.

// takes lets a command take exactly the arguments named.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing: want \"%s %s\"", names[len(args)], cmd.CommandPath(),
				strings.Join(names, " "))
		case len(args) > len(names):
			return fmt.Errorf("%q is too much: want \"%s\"", args[len(names)],
				strings.TrimSpace(cmd.CommandPath()+" "+strings.Join(names, " ")))
		}
		return nil
	}
}

// knownCommand refuses an unknown command, the argument of the root.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	meant := ""
	if name := command(root, args[0]); name != "" {
		meant = fmt.Sprintf(": did you mean \"picket %s\"?", name)
	}
	return fmt.Errorf("unknown command %q for \"picket\"%s", args[0], meant)
}

// command returns the command that a word probably means: one with the word in its SuggestFor,
// or one with a similar name.
func command(root *cobra.Command, word string) string {
	var names []string
	for _, c := range root.Commands() {
		if slices.Contains(c.SuggestFor, strings.ToLower(word)) {
			return c.Name()
		}
		names = append(names, c.Name())
	}
	return config.Nearest(word, names)
}
