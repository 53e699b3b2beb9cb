// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/control"
	"picket/internal/show"
)

func blocksCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "blocks", SuggestFor: []string{"list", "banned"}, Short: "List the blocked sources", Args: takes()}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		list := []control.Block{}
		if err := control.Call(control.Path(), control.Request{Command: "blocks"}, &list); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		return printBlocks(cmd.OutOrStdout(), list)
	})
	return cmd
}

func printBlocks(out io.Writer, list []control.Block) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nobody is blocked")
		return err
	}
	t := show.Table{Head: []string{"SOURCE", "REMAINING", "RESPONSE", "SINCE", "DROPS", "WHAT", "WHY"}}
	for _, b := range list {
		why := cmp.Or(b.Evidence, b.Reason)
		if b.Known != "" {
			why = b.Reason + " (" + b.Known + ")"
		}
		t.Add(b.Name, remaining(b.Remaining), b.Response, show.Stamp(b.Since), fmt.Sprint(b.Drops), strings.TrimSpace(b.Pattern+" "+b.Technique), why)
	}
	w := bufio.NewWriter(out)
	t.Print(w)
	return w.Flush()
}
