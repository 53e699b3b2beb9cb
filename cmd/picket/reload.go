// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"

	"picket/internal/control"
)

func reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: "Have the daemon read its configuration again, and wait until it is in force, as\n" +
			"\"systemctl reload picket\" does. State and blocks stay; an invalid file changes nothing.",
		Args: takes(),
		RunE: action(func(*cobra.Command, []string) error {
			return call(control.Request{Command: "reload"}, nil)
		}),
	}
}
