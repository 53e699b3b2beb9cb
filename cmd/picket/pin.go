// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"picket/internal/config"
)

func pinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pin DEFAULTS.toml",
		Short: "Print the drop-in that keeps earlier defaults",
		Long: "Print the drop-in that keeps what a file of earlier defaults says, wherever the\n" +
			"configuration says nothing. The packages call it when they are upgraded, and write\n" +
			"/etc/picket/picket.d/00-upgrade.toml. Nothing is printed when there is nothing to keep.",
		Example: "  picket pin /usr/share/picket/defaults-0.0.toml",
		Args:    takes("DEFAULTS.toml"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			defaults, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			text, err := config.Pin(path(cmd), args[0], defaults)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		}),
	}
}
