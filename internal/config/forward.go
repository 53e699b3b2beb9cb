// SPDX-License-Identifier: MIT

package config

import (
	"fmt"
	"net/netip"
	"strings"

	"picket/internal/addresses"
)

// Forward is section [forward]: the networks behind this host.
type Forward struct {
	Networks   []string       `json:"networks"`
	Egress     Egress         `json:"egress"`
	Containers bool           `json:"-"` // the word "containers" is in Networks
	LANs       bool           `json:"-"` // the word "lans" is
	Prefixes   []netip.Prefix `json:"-"` // the rest of Networks
}

// The words of Forward.Networks.
const (
	wordContainers = "containers"
	wordLANs       = "lans"
)

// An Egress is the answer to scanners behind this host. The zero Egress is
// EgressOff.
type Egress uint8

// The values of Egress.
const (
	EgressOff Egress = iota // nothing
	EgressLog               // an event
)

// String returns the word for forward.egress.
func (e Egress) String() string {
	if e == EgressLog {
		return "log"
	}
	return "off"
}

// MarshalText implements [encoding.TextMarshaler].
func (e Egress) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

func (f *Forward) read(s *section) {
	found := Forward{Networks: []string{}, Egress: f.Egress}
	if s.items("networks", func(text string) string {
		switch text {
		case wordContainers:
			found.Containers = true
		case wordLANs:
			found.LANs = true
		default:
			p, why := addresses.Source(text)
			if why != "" || p.Bits() == 0 {
				return fmt.Sprintf("%.80q is no network behind this host: want %q, %q, or one as "+
					"\"203.0.113.0/24\"",
					text, wordContainers, wordLANs)
			}
			found.Prefixes = append(found.Prefixes, p)
		}
		found.Networks = append(found.Networks, text)
		return ""
	}) {
		*f = found
	}
	choice(s, "egress", &f.Egress, EgressOff, EgressLog)
	s.end()
}

// Judges reports whether anything behind this host is judged.
func (f *Forward) Judges() bool { return len(f.Networks) > 0 }

// Says returns the judged networks in words, as they follow "behind this host".
func (f *Forward) Says() string {
	var what []string
	if f.Containers {
		what = append(what, "the networks of containers and virtual machines", "published ports")
	}
	if f.LANs {
		what = append(what, "routed LANs")
	}
	for _, p := range f.Prefixes {
		what = append(what, p.String())
	}
	if len(what) == 0 {
		return "nothing is judged"
	}
	n := len(what) - 1
	text := strings.Join(what[:n], ", ") + " and " + what[n]
	if n == 0 {
		text = what[0]
	}
	if text += " are judged"; n == 0 && len(f.Prefixes) == 1 {
		text = what[0] + " is judged"
	}
	if f.Egress == EgressLog {
		text += "; who scans from there is told of"
	}
	return text
}

// Means reports whether the networks of containers, or the others, are judged.
func (f *Forward) Means(container bool) bool {
	return container && f.Containers || !container && f.LANs
}
