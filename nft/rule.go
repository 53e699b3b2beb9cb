// SPDX-License-Identifier: MIT

package nft

import (
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A rule in both of its forms. TestRulesetEqualsInstall holds them equal in a kernel.
type rule struct {
	text  string
	exprs []expr.Any
	// set is an anonymous set that the rule needs; its lookup names it by lookup.
	set *anonymousSet
}

// An anonymousSet is what stands between braces in a rule.
type anonymousSet struct {
	key      nftables.SetDatatype
	elements [][]byte
	lookup   *expr.Lookup
}

// A chain and its rules. A base chain has a hook; the others are reached by
// jump or goto.
type chain struct {
	name     string
	kind     nftables.ChainType
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	text     string // the base chain's first line
	why      string // a comment for the text form
	rules    []rule
}

// A part of a rule in both forms: a match, a statement or a verdict. Nft adds the matches that
// it needs first (family, protocol), each only once.
type part struct {
	text  string
	needs []need
	says  []need // needs that the part fulfils itself
	exprs []expr.Any
	set   *anonymousSet
}

// A need is a family (of NFPROTO) or a protocol that a part takes for granted.
type need struct {
	meta  expr.MetaKey
	value byte
}

func family(n byte) need   { return need{expr.MetaKeyNFPROTO, n} }
func protocol(n byte) need { return need{expr.MetaKeyL4PROTO, n} }

func (n need) exprs() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: n.meta, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{n.value}},
	}
}

// on makes a rule of its parts.
func on(parts ...part) rule {
	var r rule
	var texts []string
	known := map[need]bool{}
	for _, p := range parts {
		if p.text != "" {
			texts = append(texts, p.text)
		}
		for _, n := range p.needs {
			if !known[n] {
				r.exprs = append(r.exprs, n.exprs()...)
				known[n] = true
			}
		}
		for _, n := range p.says {
			known[n] = true
		}
		r.exprs = append(r.exprs, p.exprs...)
		if p.set != nil {
			r.set = p.set
		}
	}
	r.text = strings.Join(texts, " ")
	return r
}

// The verdicts.
var (
	accept   = part{text: "accept", exprs: verdict(expr.VerdictAccept, "")}
	drop     = part{text: "drop", exprs: verdict(expr.VerdictDrop, "")}
	backward = part{text: "return", exprs: verdict(expr.VerdictReturn, "")}
)

func jump(chain string) part {
	return part{text: "jump " + chain, exprs: verdict(expr.VerdictJump, chain)}
}

func goTo(chain string) part {
	return part{text: "goto " + chain, exprs: verdict(expr.VerdictGoto, chain)}
}

func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}

// count counts the packet in a counter of that name, which [counters] must list.
func count(name string) part {
	object := &expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: name}
	return part{text: "counter name " + name, exprs: []expr.Any{object}}
}
