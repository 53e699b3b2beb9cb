// SPDX-License-Identifier: MIT

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/control"
	"picket/internal/show"
)

// blocked lists the blocked sources, each with the reason.
func blocked() (list []cobra.Completion) {
	var blocks []control.Block
	if call(control.Request{Command: "blocks"}, &blocks) != nil {
		return nil // completion cannot show an error
	}
	for _, b := range blocks {
		list = append(list, cobra.CompletionWithDesc(show.Clean(b.Name), show.Cut(b.Reason, 60)))
	}
	return list
}

// known lists the sources seen lately, each with its pattern, and the blocked ones.
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

// completed completes sources from a list: those that begin with the typed text, each once, and
// no more than a person reads.
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
