// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/addresses"
	"picket/internal/answers"
	"picket/internal/control"
)

// What the commands share that are given sources by hand, many at once: block,
// unblock, allow and unallow.

// takesSources is what their help says of arguments.
const takesSources = "A SOURCE is an address or a prefix; - is a list of them on standard input, one a\n" +
	"line, and --file names one. A comment in a list begins with \"#\"."

// fileFlag adds --file to a command.
func fileFlag(cmd *cobra.Command) (files *[]string) {
	return cmd.Flags().StringArray("file", nil,
		"take sources from the lines of `file`, \"-\" for standard input; may be repeated")
}

// sources returns what a command was given. All that is wrong is in the error.
func sources(cmd *cobra.Command, args, files []string) ([]string, error) {
	if len(args)+len(files) == 0 {
		return nil, usage("SOURCE is missing: want \"%s SOURCE...\", - for standard input, or --file FILE",
			cmd.CommandPath())
	}
	list, err := addresses.Gather(args, files, cmd.InOrStdin())
	if err != nil {
		return nil, usage("%w", err)
	}
	return list, nil
}

// order sends a request about sources and says what became of each.
func order(cmd *cobra.Command, r control.Request, done, kept string) error {
	var list []control.Outcome
	if err := call(r, &list); err != nil {
		return err
	}
	return answers.Outcomes(cmd.OutOrStdout(), r, list, done, kept)
}
