// SPDX-License-Identifier: MIT

package engine

import (
	"maps"
	"net/netip"
)

// A Known is one of the operator's named lists of sources: those who scan everybody and
// say so, or his own monitoring.
type Known struct {
	Name     string
	Prefixes Prefixes

	// Action replaces the protocol's own action for them. None counts their probes and
	// does not judge them; Log reports them and never blocks.
	Action Action

	// First reacts to their first probe, whatever the trigger.
	First bool
}

// known returns the first list that a is in, or nil.
func (c *Config) known(a netip.Addr) *Known {
	for i := range c.Known {
		if k := &c.Known[i]; k.Prefixes.Contains(a) {
			return k
		}
	}
	return nil
}

// Spared reports whether any address of p must not be blocked: a protected one, the
// operator's, or one of a list without First.
func (c *Config) Spared(p netip.Prefix) bool {
	if c.Protected.Overlaps(p) || c.Operators.Overlaps(p) {
		return true
	}
	for i := range c.Known {
		if k := &c.Known[i]; !k.First && k.Prefixes.Overlaps(p) {
			return true
		}
	}
	return false
}

// listed counts a probe of a list, and reports whether the list leaves it unjudged.
func (e *Engine) listed(k *Known, d *Decision) bool {
	if e.known == nil {
		e.known = map[string]uint64{}
	}
	e.known[k.Name]++
	d.Known = k.Name
	if k.Action == None {
		d.Reason = KnownIgnored
	}
	return k.Action == None
}

// byList returns the action for a source of list k: the list's, or the protocol's if k is
// nil. With First it changes the reason too.
func (k *Known) byList(action Action, d *Decision) Action {
	switch {
	case k == nil:
		return action
	case k.First:
		d.Reason = KnownFirst
	}
	return k.Action
}

// Lists returns the number of probes of each list of Config.Known since the engine was
// made. A list without any is left out.
func (e *Engine) Lists() map[string]uint64 { return maps.Clone(e.known) }
