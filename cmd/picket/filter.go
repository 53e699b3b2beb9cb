// SPDX-License-Identifier: MIT

package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/config"
)

// A filter is the flags that choose blocks.
type filter struct {
	answers.Filter
	cmd           *cobra.Command
	within, since string
	proven        bool
}

func (f *filter) flags(cmd *cobra.Command) {
	f.cmd = cmd
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Responses, "response", nil, "only these `responses`: dark, fence, block")
	flags.StringSliceVar(&f.Patterns, "pattern", nil, "only these `patterns`, such as portscan")
	flags.StringSliceVar(&f.Countries, "country", nil, "only these `countries`, two letters each")
	flags.StringVar(&f.within, "within", "", "only addresses of this `prefix`")
	flags.BoolVar(&f.proven, "proven", false, "only proven sources; with =false only the others")
	flags.StringVar(&f.since, "since", "", "only blocks since a `time`: 1h (an hour ago), yesterday, ...")
	// It fails only for an unknown flag.
	_ = cmd.RegisterFlagCompletionFunc("response",
		cobra.FixedCompletions(answers.Responses(), cobra.ShellCompDirectiveNoFileComp))
}

// changed reports whether any filter is set.
func (f *filter) changed() bool {
	return slices.ContainsFunc([]string{"response", "pattern", "country", "within", "proven", "since"},
		f.cmd.Flags().Changed)
}

// parse reads the flags.
func (f *filter) parse(now time.Time) (err error) {
	for _, r := range f.Responses {
		if !slices.Contains(answers.Responses(), r) {
			return usage("--response: %q: want dark, fence or block", r)
		}
	}
	if f.within != "" {
		ok := false
		if f.Within, ok = config.ParseSource(f.within); !ok {
			return usage("--within: %q is no address or prefix", f.within)
		}
	}
	if f.cmd.Flags().Changed("proven") {
		f.Proven = &f.proven
	}
	if f.since != "" {
		f.From, err = moment("--since", f.since, now)
	}
	return err
}
