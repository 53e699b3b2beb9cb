// SPDX-License-Identifier: MIT

package explain

import (
	"fmt"
	"strings"

	"picket/internal/control"
	"picket/internal/evidence"
	"picket/internal/probe"
)

// Comment is what a capture of the packets says of the source.
func Comment(x *control.Explanation) string {
	return strings.Join(append([]string{x.Summary}, x.Why...), "\n")
}

// Packets returns the probes that are packets, each with what it was taken for.
func Packets(x *control.Explanation) (out []evidence.Packet) {
	for i := range x.Probes {
		if p := &x.Probes[i]; len(p.Packet) > 0 {
			out = append(out, evidence.Packet{At: p.Time.UnixNano(), Data: p.Packet, Length: p.Length, Comment: comment(p)})
		}
	}
	return out
}

func comment(p *control.KeptProbe) string {
	s := fmt.Sprintf("%s to %s, %s: %s", p.Technique, probe.PortName(p.Protocol, p.Port), p.Mode, p.Decision)
	if p.Config != "" {
		s += " (" + p.Config + ")"
	}
	if p.Pattern != "" {
		s += "; pattern " + p.Pattern
	}
	if p.Tool != "" {
		s += "; tool " + p.Tool
	}
	if p.Proven {
		return s + "; source proven"
	}
	return s + "; source not proven"
}
