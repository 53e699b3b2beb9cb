// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
)

// Name is the table's, in the inet family.
const Name = "picket"

// Config is what the text of the rules depends on.
type Config struct {
	Group   uint16 // NFLOG group
	Snaplen uint32 // bytes of each packet to mirror
	Prefix6 int    // length of the prefix that is one IPv6 source, by default 64
}

func (c Config) prefix6() int {
	if c.Prefix6 == 0 {
		return 64
	}
	return c.Prefix6
}

// markPrefix begins the comment of the rule that marks the table as ours.
const markPrefix = "picket ruleset "

// mark names one version of the ruleset.
func mark(c Config) string {
	h := fnv.New32a()
	h.Write([]byte(body(c)))
	return fmt.Sprintf("%s%08x", markPrefix, h.Sum32())
}

// isMarkRule reports whether a rule bears the mark: the last of the chain refuse does.
func isMarkRule(c chain, i int) bool { return c.name == "refuse" && i == len(c.rules)-1 }

// Ruleset returns the table as nft reads it, to be included by
// /etc/nftables.conf. Loading it again keeps what is in the sets.
func Ruleset(c Config) string {
	return "# picket's table: \"picket ruleset\" printed it, and \"picket run\" fills its sets.\n" +
		"# For /etc/nftables.conf:  include \"/etc/picket/*.nft\"\n\n" +
		"add table inet " + Name + "\n" + flushChains() + "\ntable inet " + Name + " {\n" +
		strings.Replace(body(c), markPlace, fmt.Sprintf(" comment %q", mark(c)), 1) + "}\n"
}

// flushChains empties the chains, so that rules loaded twice stand there once.
// A chain must exist to be flushed, and rules may only go to chains that do.
func flushChains() string {
	var b strings.Builder
	for _, ch := range chains(Config{}) {
		if ch.hook == nil {
			fmt.Fprintf(&b, "add chain inet %s %s\n", Name, ch.name)
		} else {
			fmt.Fprintf(&b, "add chain inet %s %s { %s }\n", Name, ch.name, ch.text)
		}
		fmt.Fprintf(&b, "flush chain inet %s %s\n", Name, ch.name)
	}
	return b.String()
}

// body returns what stands between the table's braces, without the mark.
func body(c Config) string {
	var b strings.Builder
	for _, s := range sets() {
		b.WriteString(s.text())
		b.WriteByte('\n')
	}
	for _, name := range counters(c) {
		fmt.Fprintf(&b, "\tcounter %s {\n\t}\n\n", name)
	}
	for i, ch := range chains(c) {
		if i > 0 {
			b.WriteByte('\n')
		}
		if ch.why != "" {
			comment(&b, ch.why)
		}
		fmt.Fprintf(&b, "\tchain %s {\n", ch.name)
		if ch.hook != nil {
			fmt.Fprintf(&b, "\t\t%s\n", ch.text)
		}
		for j, r := range ch.rules {
			fmt.Fprintf(&b, "\t\t%s", r.text)
			if isMarkRule(ch, j) {
				b.WriteString(markPlace)
			}
			b.WriteByte('\n')
		}
		b.WriteString("\t}\n")
	}
	return b.String()
}

// counters are the names of the counters that the rules count in, each once.
func counters(c Config) (names []string) {
	for _, ch := range chains(c) {
		for _, r := range ch.rules {
			for _, e := range r.exprs {
				if o, ok := e.(*expr.Objref); ok && !slices.Contains(names, o.Name) {
					names = append(names, o.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// comment writes a text in lines of some hundred columns.
func comment(b *strings.Builder, text string) {
	column := 0
	for _, word := range strings.Fields(text) {
		switch {
		case column == 0 || column+len(word) > 100:
			if column > 0 {
				b.WriteByte('\n')
			}
			b.WriteString("\t# ")
			column = 6
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteByte('\n')
}

// markPlace is where Ruleset writes the mark, a hash of the rest.
const markPlace = "\x00"
