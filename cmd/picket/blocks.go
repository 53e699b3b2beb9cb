// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/show"
)

func blocksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "blocks", SuggestFor: []string{"list", "banned"}, Short: "List the blocked sources", Args: takes(),
		Long: "List the blocked sources, all or those that every one of the filters lets through.",
		Example: "  picket blocks --response block --since yesterday\n  picket blocks --within 198.51.100.0/24 --proven=false\n" +
			"  picket blocks --pattern sweep --addresses | picket unblock --file -",
	}
	asJSON := jsonFlag(cmd)
	addresses := cmd.Flags().Bool("addresses", false, "print nothing but the addresses and prefixes, one a line")
	cmd.MarkFlagsMutuallyExclusive("json", "addresses")
	trial := cmd.Flags().Bool("trial", false, "in a dry run: who would be blocked, and what that would have kept off")
	var f filter
	f.flags(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if err := f.parse(time.Now()); err != nil {
			return err
		}
		if *asJSON && !*trial {
			return streamBlocks(cmd.OutOrStdout(), &f)
		}
		list, sum, err := listed(*trial)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(b control.Block) bool { return !f.passes(&b) })
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		if *addresses {
			return printAddresses(cmd.OutOrStdout(), list)
		}
		if len(list) == 0 && f.changed() {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "nobody who is blocked is of that kind")
			return err
		}
		if err := printBlocks(cmd.OutOrStdout(), list); err != nil || sum == nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "\n"+trialSum(sum))
		return err
	})
	return cmd
}

// streamBlocks prints the blocks as the daemon tells of them, one a line, as one JSON
// value.
func streamBlocks(out io.Writer, f *filter) error {
	w := bufio.NewWriterSize(out, 64<<10)
	before := "[\n"
	err := control.Each(control.Path(), control.Request{Command: "blocks"}, func(item *json.RawMessage) error {
		if f.changed() {
			var b control.Block
			if err := json.Unmarshal(*item, &b); err != nil || !f.passes(&b) {
				return err
			}
		}
		_, _ = w.WriteString(before) // Flush returns its error
		before = ",\n"
		_, err := w.Write(*item)
		return err
	})
	switch {
	case err != nil && before == "[\n":
		return err // nothing was printed, and nothing is
	case before == "[\n":
		_, _ = w.WriteString("[")
	default:
		_, _ = w.WriteString("\n")
	}
	if err == nil {
		_, _ = w.WriteString("]\n")
	}
	return errors.Join(err, w.Flush())
}

// listed asks who is blocked, or who would be in a trial, and how that goes.
func listed(trial bool) (list []control.Block, sum *control.Trial, err error) {
	if !trial {
		list = []control.Block{}
		err = control.Call(control.Path(), control.Request{Command: "blocks"}, &list)
		return list, nil, err
	}
	sum = &control.Trial{Blocks: []control.Block{}}
	err = control.Call(control.Path(), control.Request{Command: "trial"}, sum)
	return sum.Blocks, sum, err
}

func printBlocks(out io.Writer, list []control.Block) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nobody is blocked")
		return err
	}
	t := show.Table{Head: []string{"SOURCE", "REMAINING", "RESPONSE", "SINCE", "DROPS", "WHAT", "WHY"}}
	for _, b := range list {
		t.Add(b.Name, remaining(b.Remaining), b.Response, show.Stamp(b.Since), fmt.Sprint(b.Drops), strings.TrimSpace(b.Pattern+" "+b.Technique), event.Why(b.Reason, b.Evidence, b.Known))
	}
	w := bufio.NewWriter(out)
	t.Print(w)
	return w.Flush()
}

// printAddresses prints each source once: one may have several responses.
func printAddresses(out io.Writer, list []control.Block) error {
	w := bufio.NewWriter(out)
	told := map[string]bool{}
	for _, b := range list {
		if !told[b.Name] {
			told[b.Name] = true
			fmt.Fprintln(w, show.Clean(b.Name))
		}
	}
	return w.Flush()
}
