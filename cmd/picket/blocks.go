// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/control"
)

func blocksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "blocks",
		SuggestFor: []string{"list", "banned"},
		Short:      "List the blocked sources",
		Args:       takes(),
		Long:       "List the blocked sources, all or those that every one of the filters lets through.",
		Example: "  picket blocks --response block --since yesterday\n" +
			"  picket blocks --within 198.51.100.0/24 --proven=false\n" +
			"  picket blocks --pattern sweep --addresses | picket unblock --file -",
	}
	asJSON := jsonFlag(cmd)
	addresses := cmd.Flags().Bool("addresses", false,
		"print nothing but the addresses and prefixes, one a line")
	cmd.MarkFlagsMutuallyExclusive("json", "addresses")
	trial := cmd.Flags().Bool("trial", false,
		"in a dry run: who would be blocked, and what that would have kept off")
	var f filter
	f.flags(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if err := f.parse(time.Now()); err != nil {
			return err
		}
		if *asJSON && !*trial {
			passes := f.Passes
			if !f.changed() {
				passes = nil
			}
			return answers.StreamBlocks(cmd.OutOrStdout(), passes,
				func(item func(json.RawMessage) error) error {
					return control.Each(control.Path(), control.Request{Command: "blocks"}, item)
				})
		}
		list, sum, err := listed(*trial)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(b control.Block) bool { return !f.Passes(&b) })
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		if *addresses {
			return answers.Addresses(cmd.OutOrStdout(), list)
		}
		if len(list) == 0 && f.changed() {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "nobody who is blocked is of that kind")
			return err
		}
		if err := answers.Blocks(cmd.OutOrStdout(), list); err != nil || sum == nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout())
		return answers.PrintTrial(cmd.OutOrStdout(), sum)
	})
	return cmd
}

// listed asks the daemon for the blocks or, in a trial, for the blocks that there would be and
// their sum.
func listed(trial bool) (list []control.Block, sum *control.Trial, err error) {
	if !trial {
		list = []control.Block{}
		err = call(control.Request{Command: "blocks"}, &list)
		return list, nil, err
	}
	sum = &control.Trial{Blocks: []control.Block{}}
	err = call(control.Request{Command: "trial"}, sum)
	return sum.Blocks, sum, err
}
