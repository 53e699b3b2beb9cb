// SPDX-License-Identifier: MIT

package main

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
)

// A filter says which blocks are listed. The zero value lets all through.
type filter struct {
	cmd       *cobra.Command
	responses []string
	patterns  []string
	countries []string
	within    string
	proven    bool
	since     string

	prefix netip.Prefix
	from   time.Time
}

// responseNames are what --response takes.
var responseNames = []string{"dark", "fence", "block"}

func (f *filter) flags(cmd *cobra.Command) {
	f.cmd = cmd
	flags := cmd.Flags()
	flags.StringSliceVar(&f.responses, "response", nil, "only these `responses`: dark, fence, block")
	flags.StringSliceVar(&f.patterns, "pattern", nil, "only these `patterns`, such as portscan")
	flags.StringSliceVar(&f.countries, "country", nil, "only these `countries`, two letters each")
	flags.StringVar(&f.within, "within", "", "only addresses of this `prefix`")
	flags.BoolVar(&f.proven, "proven", false, "only proven sources; with =false only the others")
	flags.StringVar(&f.since, "since", "", "only blocks made since a `time`, such as 1h ago or yesterday")
	// It fails for a flag that there is not.
	_ = cmd.RegisterFlagCompletionFunc("response", cobra.FixedCompletions(responseNames, cobra.ShellCompDirectiveNoFileComp))
}

// changed reports whether any filter is set.
func (f *filter) changed() bool {
	return slices.ContainsFunc([]string{"response", "pattern", "country", "within", "proven", "since"}, f.cmd.Flags().Changed)
}

// parse reads what was given.
func (f *filter) parse(now time.Time) (err error) {
	for _, r := range f.responses {
		if !slices.Contains(responseNames, r) {
			return usage("--response: %q: want dark, fence or block", r)
		}
	}
	if f.within != "" {
		ok := false
		if f.prefix, ok = config.ParseSource(f.within); !ok {
			return usage("--within: %q is no address or prefix", f.within)
		}
	}
	if f.since != "" {
		f.from, err = moment("--since", f.since, now)
	}
	return err
}

// passes reports whether a block is to be listed.
func (f *filter) passes(b *control.Block) bool {
	one := func(list []string, is string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, is) })
	}
	if !one(f.responses, b.Response) || !one(f.patterns, b.Pattern) || !one(f.countries, b.Country) || b.Since.Before(f.from) {
		return false
	}
	if f.cmd.Flags().Changed("proven") && b.Proven != f.proven {
		return false
	}
	source, ok := config.ParseSource(b.Name)
	return !f.prefix.IsValid() || ok && f.prefix.Bits() <= source.Bits() && f.prefix.Contains(source.Addr())
}
