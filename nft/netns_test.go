// SPDX-License-Identifier: MIT

package nft

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"picket/internal/netns/netnstest"
)

// inNetns runs the rest of the test in a network namespace of its own, which
// ends with the thread.
func inNetns(t *testing.T) {
	t.Helper()
	netnstest.Enter(t)
	run(t, "", "ip", "link", "set", "lo", "up")
}

func run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// listing returns nft's JSON of the table without what differs from one
// installation to the next: handles and counters. With elements false it
// leaves those out too.
func listing(t *testing.T, elements bool) []any {
	t.Helper()
	var doc struct{ Nftables []any }
	if err := json.Unmarshal([]byte(run(t, "", "nft", "-j", "list", "table", "inet", Name)),
		&doc); err != nil {
		t.Fatal(err)
	}
	var clean func(v any) any
	clean = func(v any) any {
		switch x := v.(type) {
		case map[string]any:
			delete(x, "handle")
			delete(x, "expires")
			if !elements {
				delete(x, "elem")
			}
			for k := range x {
				x[k] = clean(x[k])
			}
		case []any:
			for i := range x {
				x[i] = clean(x[i])
			}
		}
		return v
	}
	var out []any
	for _, e := range doc.Nftables {
		if m, ok := e.(map[string]any); ok && m["metainfo"] == nil {
			out = append(out, clean(e))
		}
	}
	// The order of rules in a chain counts; that of chains does not.
	slices.SortStableFunc(out, func(a, b any) int { return strings.Compare(place(a), place(b)) })
	return out
}

// place names the kind of an object and the chain or set it is of.
func place(object any) string {
	for kind, v := range object.(map[string]any) {
		m, _ := v.(map[string]any)
		if kind == "rule" {
			return fmt.Sprint(kind, m["chain"])
		}
		return fmt.Sprint(kind, m["name"])
	}
	return ""
}

// Blocks returns what Each lists.
func (t *Table) Blocks() (out []Block, err error) {
	err = t.Each(func(b *Block) error {
		out = append(out, *b)
		return nil
	})
	return out, err
}
