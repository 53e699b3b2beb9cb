// SPDX-License-Identifier: MIT

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/control"
	"picket/internal/show"
)

// blocked lists who is blocked, each with what for.
func blocked() (list []cobra.Completion) {
	var blocks []control.Block
	if call(control.Request{Command: "blocks"}, &blocks) != nil {
		return nil // a shell that completes has no place for an error
	}
	for _, b := range blocks {
		list = append(list, cobra.CompletionWithDesc(show.Clean(b.Name), show.Cut(b.Reason, 60)))
	}
	return list
}

// known lists who was seen lately, each with what it is taken for, and who is
// blocked.
func known() (list []cobra.Completion) {
	var sources []control.Source
	if call(control.Request{Command: "sources"}, &sources) != nil {
		return nil
	}
	for _, s := range sources {
		what := strings.TrimSpace(show.Plural(s.Probes, "probe") + " " + s.Pattern)
		list = append(list, cobra.CompletionWithDesc(show.Clean(s.Name), show.Cut(what, 60)))
	}
	return append(list, blocked()...)
}

// completed has a shell complete sources from a list: those that begin as what
// is typed does, once each, and no more than a person looks through.
func completed(list func() []cobra.Completion) cobra.CompletionFunc {
	const most = 200
	return func(_ *cobra.Command, args []string, begin string) (
		out []cobra.Completion, _ cobra.ShellCompDirective,
	) {
		there := map[string]bool{}
		for _, c := range list() {
			name, _, _ := strings.Cut(c, "\t")
			fits := strings.HasPrefix(name, begin) && !there[name] && !slices.Contains(args, name)
			if fits && len(out) < most {
				there[name] = true
				out = append(out, c)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
