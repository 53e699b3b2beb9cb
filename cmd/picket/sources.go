// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/addresses"
	"picket/internal/answers"
	"picket/internal/control"
)

// The common part of the commands that take many sources: block, unblock, allow and unallow.

// takesSources is the help text on their arguments.
const takesSources = "A SOURCE is an address or a prefix; - is a list of them on standard input, one a\n" +
	"line, and --file names one. A comment in a list begins with \"#\"."

// fileFlag adds --file to a command.
func fileFlag(cmd *cobra.Command) (files *[]string) {
	return cmd.Flags().StringArray("file", nil,
		"take sources from the lines of `file`, \"-\" for standard input; may be repeated")
}

// sources returns the sources of a command line. The error lists everything that is wrong.
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

// ending makes a command end what another command has begun, for some sources or, by --all, for
// all. Done is the word for the result.
func ending(cmd *cobra.Command, ofAll, done string) *cobra.Command {
	files := fileFlag(cmd)
	all := cmd.Flags().Bool("all", false, ofAll)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) (err error) {
		r := control.Request{Command: cmd.Name(), All: *all}
		if given := len(args)+len(*files) > 0; given == *all {
			return usage("want either a source or --all")
		}
		if !*all {
			if r.Sources, err = sources(cmd, args, *files); err != nil {
				return err
			}
		}
		return order(cmd, r, done, "")
	})
	return cmd
}

// order sends a request about sources and prints the outcome for each.
func order(cmd *cobra.Command, r control.Request, done, kept string) error {
	var list []control.Outcome
	if err := call(r, &list); err != nil {
		return err
	}
	return answers.Outcomes(cmd.OutOrStdout(), r, list, done, kept)
}
