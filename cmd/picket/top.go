// SPDX-License-Identifier: MIT

package main

import (
	"time"

	"github.com/spf13/cobra"

	"picket/internal/control"
	"picket/internal/show"
	"picket/internal/top"
)

func topCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show live what happens: counters, busiest sources, blocks",
		Long: "Show what happens, every two seconds until q or Ctrl-C: what the daemon has counted,\n" +
			"the busiest of the sources seen last, and the latest blocks with what they drop.\n" +
			"Where standard output is no terminal it is shown once.",
		Args: takes(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		v := top.New(func(command string, answer any) error {
			return control.Call(control.Path(), control.Request{Command: command}, answer)
		})
		if err := v.Ask(time.Now()); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), v.Answer())
		}
		size, ok := show.Terminal(cmd.OutOrStdout())
		if !ok {
			return v.Print(cmd.OutOrStdout())
		}
		return v.Live(size)
	})
	return cmd
}
