// SPDX-License-Identifier: MIT

package main

import (
	"os"

	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/show"
)

func blockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "block SOURCE...",
		SuggestFor: []string{"ban", "deny"},
		Short:      "Block addresses or prefixes by hand",
		Long: "Block addresses or prefixes by hand. A block that is there and lasts longer stays as it\n" +
			"is. On a terminal, who is connected to this host is blocked only when you say so.\n\n" +
			takesSources,
		Example: "  picket block 203.0.113.9 --for 1d --reason \"abuse report 4711\"\n" +
			"  picket block 2001:db8:bad::/48 --for forever\n" +
			"  picket block - --for 1w <list",
	}
	files := fileFlag(cmd)
	length := cmd.Flags().String("for", "1h", "`duration` of the block: 90s, 10m, 1h, 1d, 1w, forever")
	reason := cmd.Flags().String("reason", "blocked by hand", "`text` for the journal and the list")
	yes := cmd.Flags().Bool("yes", false, "do not ask, whoever it is")
	cmd.ValidArgsFunction = completed(known)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		d, err := config.ParseDuration(*length)
		if err != nil {
			return usage("--for: %w", err)
		}
		list, err := sources(cmd, args, *files)
		if err != nil {
			return err
		}
		if !*yes {
			if err := sure(list); err != nil {
				return err
			}
		}
		r := control.Request{Command: "block", Sources: list, For: d.String(), Reason: *reason}
		return order(cmd, r, "blocked", "blocked")
	})
	return cmd
}

// sure asks on a terminal before it blocks connected peers or the caller's own session. Without
// a terminal it does not ask.
func sure(list []string) error {
	var connected []string
	if err := call(control.Request{Command: "connected", Sources: list}, &connected); err != nil {
		return err
	}
	question := answers.Doubts(list, connected, os.Getenv("SSH_CONNECTION"))
	if question == "" {
		return nil
	}
	if show.Width(os.Stderr) == 0 {
		warn("%s", question)
		return nil
	}
	terminal, err := os.Open("/dev/tty") // standard input may be the list
	if err != nil {
		warn("%s", question)
		return nil
	}
	defer terminal.Close()
	return answers.Confirm(terminal, os.Stderr, question)
}
