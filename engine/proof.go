// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// LeastInvited is the least number of connections to ports outside the traps that prove
// anything, whatever the trigger: one may be a mistake.
const LeastInvited = 2

// proves reports whether a source's completed connections alone show that it scans: to
// more trap ports than their trigger, or to as many ports as the trigger of others, some
// of them led to the trap. It notes how many those are.
//
// Only a scanner asks for a trap port. A client may ask for a service that is not here,
// and a forger can have that port led to the trap: an SMB client asks for two ports, a
// mail program for seven, a monitor for ten. So it takes as many as a stranger is let
// pass. The marks of a tool lower a trigger but not this: they can be forged.
func (e *Engine) proves(p *probe.Probe, pol *Policy, s *source, d *Decision) bool {
	d.Connections, d.Invited = 0, 0
	for i, t := range s.stamp[:s.used] {
		if t&shown == 0 {
			continue
		}
		d.Connections++
		if e.cfg.invites(s.portAt(i)) {
			d.Invited++
		}
	}
	if traps := d.Connections - d.Invited; traps > pol.Trigger[probe.Classic] {
		d.Connections, d.Invited = traps, 0
		return true
	}
	most := pol.Trigger[probe.Advanced]
	if p.Mode == probe.Stealth {
		most = pol.Trigger[probe.Stealth]
	}
	return d.Invited > 0 && d.Connections >= max(most, LeastInvited)
}

// invites reports whether connections to a port are led to the trap.
func (c *Config) invites(port uint16) bool {
	for _, r := range c.Invited {
		if r.From <= port && port <= r.To {
			return true
		}
	}
	return false
}
