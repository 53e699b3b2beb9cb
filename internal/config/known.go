// SPDX-License-Identifier: MIT

package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"picket/engine"
	"picket/nft"
)

// Known is a table [[known]]: sources that the operator knows.
type Known struct {
	Name      string         `json:"name"`
	Files     []string       `json:"files"`
	Addresses []netip.Prefix `json:"addresses"` // with those of Files
	Policy    Policy         `json:"policy"`
}

const (
	maxKnown     = 64 // lists; each is searched for a probe
	maxKnownName = 32
)

func (c *Config) readKnown(top *section) {
	list := top.sections("known")
	if len(list) == 0 {
		return
	}
	if len(list) > maxKnown {
		top.fault("known", fmt.Sprintf("there are %d lists: want at most %d", len(list), maxKnown))
		return
	}
	c.Known, c.listed = nil, nil
	seen := map[string]bool{}
	for _, s := range list {
		var k Known
		k.read(s)
		if k.Name != "" && seen[k.Name] {
			s.fault("name", fmt.Sprintf("is %q, and so is another one's: want a name of its own", k.Name))
		}
		seen[k.Name] = true
		c.Known = append(c.Known, k)
		if k.Policy == PolicyDrop {
			c.listed = slices.Concat(c.listed, k.Addresses)
			if len(c.listed) == len(k.Addresses) {
				c.listed = k.Addresses // no second copy of a long list
			}
		}
	}
}

func (k *Known) read(s *section) {
	const word = `a word in small letters, "censys" for instance`
	if name, ok := get[string](s, "name", word); ok && !isWord(name) {
		s.fault("name", fmt.Sprintf("is %q: want %s", name, word))
	} else if k.Name = name; !ok && s.values["name"] == nil {
		s.fault("name", "is missing: want "+word)
	}
	policies := []Policy{PolicyIgnore, PolicyLog, PolicyBlock, PolicyDrop}
	if choice(s, "policy", &k.Policy, policies...); s.values["policy"] == nil {
		s.fault("policy", "is missing: want "+quoted(names(policies)))
	}
	s.prefixes("addresses", &k.Addresses)
	s.strings("files", &k.Files)
	for n, f := range k.Files {
		// A missing list of sources to block harms nobody. Any other may hold a
		// friend.
		k.Addresses = append(k.Addresses, s.list(k.Name, n, f, k.Policy < PolicyBlock)...)
	}
	if k.Policy == PolicyDrop {
		for _, p := range k.Addresses {
			if why := nft.Listable(p); why != "" {
				s.fault("policy", fmt.Sprintf("is \"drop\", and %s %s", p, why))
			}
		}
	}
	// As written: a wrong entry has a fault of its own.
	if list, _ := s.values["addresses"].([]any); len(list)+len(k.Files) == 0 {
		s.fault("files", "and addresses are both empty: want one of them")
	}
	s.end()
}

// isWord reports whether s is a name fit for journal, tables and keys.
func isWord(s string) bool {
	return s != "" && len(s) <= maxKnownName && strings.Trim(s,
		"abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// ListOf returns the list of an address, the first of several.
func (c *Config) ListOf(a netip.Addr) (Known, bool) {
	for _, k := range c.Known {
		if slices.ContainsFunc(k.Addresses, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return k, true
		}
	}
	return Known{}, false
}

// letBe returns the sources of lists that are only logged or counted.
func (c *Config) letBe() (out []netip.Prefix) {
	for _, k := range c.Known {
		if k.Policy < PolicyBlock {
			out = append(out, k.Addresses...)
		}
	}
	return out
}

// known returns the lists for the engine.
func (c *Config) known() (out []engine.Known) {
	for _, k := range c.Known {
		if k.Policy == PolicyDrop && !c.DryRun && !c.NoRules {
			continue // the kernel drops it
		}
		action := engine.Action(min(k.Policy, PolicyBlock))
		first := action == engine.Block
		out = append(out, engine.Known{
			Name: k.Name, Prefixes: engine.NewPrefixes(k.Addresses...), Action: action, First: first,
		})
	}
	return out
}
