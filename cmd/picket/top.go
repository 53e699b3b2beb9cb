// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/control"
	"picket/internal/explain"
	"picket/internal/show"
	"picket/internal/top"
)

func topCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show live what happens, and act on it",
		Long: "Show what happens, every two seconds until q or Ctrl-C: what the daemon has counted,\n" +
			"the busiest of the sources seen last, the blocks with what they drop, and what has\n" +
			"changed. Keys sort, filter, explain, block, unblock and allow; ? lists them.\n" +
			"Where standard output or input is no terminal it is shown once.",
		Args: takes(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		v := top.New(func(command string, answer any) error {
			return call(control.Request{Command: command}, answer)
		})
		if err := v.Ask(time.Now()); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), v.Answer())
		}
		_, shown := show.Terminal(cmd.OutOrStdout())
		if _, typed := show.Terminal(os.Stdin); !shown || !typed {
			return v.Print(cmd.OutOrStdout())
		}
		return v.Live(top.Actions{Explain: explained, Do: do})
	})
	return cmd
}

// explained returns the output of "picket explain" on a source.
func explained(source string, width int) (string, error) {
	x := new(control.Explanation)
	if err := call(control.Request{Command: "explain", Source: source}, x); err != nil {
		return "", err
	}
	var b strings.Builder
	err := explain.Print(&b, x, width)
	return b.String(), err
}

// do runs the command of that name on a source, and returns its output. It does not block
// connected peers.
func do(command, source string) (string, error) {
	var b strings.Builder
	scratch := new(cobra.Command)
	scratch.SetOut(&b)
	r := control.Request{Command: command, Sources: []string{source}}
	done, kept := command+"ed", ""
	switch command {
	case "block":
		var connected []string
		if err := call(control.Request{Command: "connected", Sources: r.Sources}, &connected); err != nil {
			return "", err
		}
		if answers.Doubts(r.Sources, connected, os.Getenv("SSH_CONNECTION")) != "" {
			return "", fmt.Errorf("%s is connected to this host: \"picket block %[1]s\" does it all the same",
				source)
		}
		r.For, r.Reason, kept = "1h", "blocked by hand", "blocked"
	case "allow":
		r.For, kept = "2h", "allowed"
	}
	err := order(scratch, r, done, kept)
	return b.String(), err
}
