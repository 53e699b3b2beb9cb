// SPDX-License-Identifier: MIT

package explain

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"picket/internal/control"
	"picket/internal/evidence"
	"picket/internal/probe"
)

// WritePcap writes the packets of the source as pcapng by program, each with its
// decision. The error is the writer's.
func WritePcap(w io.Writer, program string, x *control.Explanation) error {
	return evidence.Write(w, program, strings.Join(append([]string{x.Summary}, x.Why...), "\n"), packets(x))
}

// SavePcap writes the packets to a file that its owner alone can read. Missing says, for
// people, which probes are left out. The error is the file system's.
func SavePcap(file, program string, x *control.Explanation) (missing string, err error) {
	var b bytes.Buffer
	if err := WritePcap(&b, program, x); err != nil {
		return "", err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return "", err
	}
	switch n := len(packets(x)); {
	case n == 0:
		return fmt.Sprintf("%s: no packet of %s is kept", file, x.Source), nil
	case n < len(x.Probes):
		return fmt.Sprintf("%s: %d of %d probes are connections that the trap completed, and no single "+
			"packet shows one",
			file, len(x.Probes)-n, len(x.Probes)), nil
	}
	return "", nil
}

// packets returns the probes that are packets, each with its decision.
func packets(x *control.Explanation) (out []evidence.Packet) {
	for i := range x.Probes {
		if p := &x.Probes[i]; len(p.Packet) > 0 {
			out = append(out, evidence.Packet{At: p.Time.UnixNano(), Data: p.Packet, Length: p.Length,
				Comment: comment(p)})
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
