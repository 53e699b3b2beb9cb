// SPDX-License-Identifier: MIT

package engine

import (
	"maps"
	"net/netip"
)

// A Known is a list of sources that the operator knows by name: those who scan
// everybody and say so, or his own monitoring.
type Known struct {
	Name     string
	Prefixes Prefixes

	// Action is what is done about them, whatever the protocol's own action is:
	// None counts their probes and does not judge them; with Log they are told
	// of and never blocked.
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

// Spared reports whether any address of p is one that must not be blocked: a
// protected one, the operator's, or one of a list whose first probe is not reacted to.
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

// listed counts a probe of a list, and reports whether that is all there is to it.
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

// byList returns what is done about a source of a list (nil: of none) that is
// above a limit or below, as d.Reason says; it is the protocol's own action
// unless the list says otherwise.
func (k *Known) byList(action Action, d *Decision) Action {
	switch {
	case k == nil:
		return action
	case k.First:
		d.Reason = KnownFirst
	}
	return k.Action
}

// Lists returns how many probes there were of each list of Config.Known since
// the engine was made; those without any are not there.
func (e *Engine) Lists() map[string]uint64 { return maps.Clone(e.known) }
