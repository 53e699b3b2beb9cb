// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// certainAfter is how many new ports in a row must bear a tool's mark before
// it is certain. One packet may look so by chance.
const certainAfter = 3

// agreedMost is the highest count in source.agreed, and its mask.
const agreedMost = markTrap - 1

// certain reports whether a source is known to use a tool. Unicornscan never
// is: it pretends to be a router, and a router may be what it seems.
func (s *source) certain() bool {
	return s.agreed&agreedMost >= certainAfter && s.tool != probe.NoTool && s.tool != probe.Unicornscan &&
		!s.tool.Ordinary()
}

// recognise notes what a probe of a new port looks like.
func (s *source) recognise(p *probe.Probe) {
	t := probe.ToolOf(p)
	if t == probe.NoTool && s.ports > 1 && s.fromPort(p.SourcePort) {
		t = probe.ToolOfOnePort(p)
	}
	switch {
	case t.Ordinary() && s.certain(): // its user connects by hand, or has the tool do it: nmap -sV
	case t == s.tool:
		if s.agreed&agreedMost < agreedMost {
			s.agreed++
		}
	case t != probe.NoTool || s.agreed&agreedMost < certainAfter:
		s.tool, s.agreed = t, s.agreed&markTrap|1
	}
}
