// SPDX-License-Identifier: MIT

package trial

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/config"
	"picket/internal/probe"
	"picket/internal/replay"
)

// ParseRules reads the prefixes of --local and the ports of --open. The error names the
// flag and the bad value.
func ParseRules(local, open []string) (r replay.Rules, err error) {
	for _, s := range local {
		p, ok := config.ParseSource(s)
		if !ok {
			return r, fmt.Errorf("--local: %q is no address or prefix", s)
		}
		r.Local = append(r.Local, p)
	}
	var ported []string
	for n := range 256 {
		if probe.Ported(uint8(n)) {
			ported = append(ported, probe.ProtocolName(uint8(n)))
		}
	}
	served := map[string]bool{}
	for _, s := range open {
		protocol, port, _ := strings.Cut(s, "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || !slices.Contains(ported, protocol) {
			return r, fmt.Errorf("--open: %q is no port: want tcp/22 or udp/53", s)
		}
		served[probe.PortName(protocol, uint16(n))] = true
	}
	if len(served) > 0 {
		r.Open = func(protocol uint8, port uint16) bool {
			return served[probe.PortName(probe.ProtocolName(protocol), port)]
		}
	}
	return r, nil
}
