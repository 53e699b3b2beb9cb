// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"picket/internal/portsentry"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import PORTSENTRY.CONF",
		Short: "Print the picket.toml that does what a portsentry.conf did",
		Long: "Print the picket.toml that does what a portsentry.conf did, of PortSentry 1.2 or 2.\n\n" +
			"A line that cannot be taken over stands at the head, with the reason, and is told\n" +
			"as a warning with its number.",
		Example: "  picket import /etc/portsentry/portsentry.conf > /etc/picket/picket.toml\n" +
			"  picket import --mode atcp,sudp /etc/portsentry/portsentry.conf",
		Args: takes("PORTSENTRY.CONF"),
	}
	names := cmd.Flags().StringSlice("mode", nil,
		"what PortSentry was started with, any of `tcp,udp,stcp,sudp,atcp,audp` or stealth, connect")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		var modes []portsentry.Mode
		for _, n := range *names {
			m, err := portsentry.ParseMode(n)
			if err != nil {
				return usage("--%w", err)
			}
			modes = append(modes, m)
		}
		f, faults, err := portsentry.Load(args[0])
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		for _, x := range faults {
			warn("%s: %s", args[0], x)
		}
		_, err = io.WriteString(cmd.OutOrStdout(), f.TOML(modes...))
		return err
	})
	return cmd
}
