// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// LeastInvited is how many ports a source must have been led from at least, whatever
// the trigger, before its connections prove anything: one may be a mistake.
const LeastInvited = 2

// proves reports whether the connections alone that a source completed show that it
// scans: to more trap ports than their trigger, or to as many ports as the trigger
// of others, where it was led to the trap. It notes those that do.
//
// Nobody asks for a trap port but who looks what is there. A port that nobody serves
// may be asked for by who should find a service, and a forger can have that one led
// to the trap: a client of SMB asks for two ports, a mail program for seven, a
// monitor for ten. So these must be as many as are let pass of a stranger.
// The marks of a tool, which lower a trigger, can be forged and do not lower this.
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

// invites reports whether a completed connection to a port is one that was led
// to the trap from there.
func (c *Config) invites(port uint16) bool {
	for _, r := range c.Invited {
		if r.From <= port && port <= r.To {
			return true
		}
	}
	return false
}
