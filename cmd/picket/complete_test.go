// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

// A completion begins with the typed text, occurs once, and is not on the line yet. A long list
// is cut.
func TestCompleted(t *testing.T) {
	list := func() []cobra.Completion {
		out := []cobra.Completion{"192.0.2.1\ta", "192.0.2.1\tb", "192.0.2.2\ta", "198.51.100.1\ta"}
		for i := range 1000 {
			out = append(out, fmt.Sprintf("2001:db8::%x", i))
		}
		return out
	}
	for _, x := range []struct {
		args  []string
		begin string
		want  []string
	}{
		{nil, "192", []string{"192.0.2.1\ta", "192.0.2.2\ta"}},
		{[]string{"192.0.2.2"}, "192", []string{"192.0.2.1\ta"}},
		{nil, "203", nil},
	} {
		got, directive := completed(list)(nil, x.args, x.begin)
		if !slices.Equal(got, x.want) || directive != cobra.ShellCompDirectiveNoFileComp {
			t.Errorf("%q: %q, %v; want %q", x.begin, got, directive, x.want)
		}
	}
	if got, _ := completed(list)(nil, nil, "2001"); len(got) != 200 {
		t.Errorf("%d are offered", len(got))
	}
}
