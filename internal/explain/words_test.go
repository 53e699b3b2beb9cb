// SPDX-License-Identifier: MIT

package explain

import (
	"testing"
	"time"

	"picket/engine"
	"picket/internal/probe"
)

// The decision about one probe, in words.
func TestDecision(t *testing.T) {
	p := probe.Probe{Protocol: probe.ProtocolTCP, Port: 23, Technique: probe.SYN, Mode: probe.Stealth}
	connect := p
	connect.Technique, connect.Mode = probe.Connect, probe.Classic
	for _, test := range []struct {
		p    probe.Probe
		d    engine.Decision
		want string
	}{
		{p, engine.Decision{Reason: engine.BelowTrigger, Within: 3, Trigger: 25},
			"port 3 of the 25 that are let pass"},
		{p, engine.Decision{Reason: engine.BelowTrigger, Trigger: 25, Sources: 3, Pattern: engine.Decoy,
			NewPattern: true}, "others sent the same packet, so its port does not count; now a decoy scan"},
		{p, engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, For: 5 * time.Minute,
			Within: 26, Trigger: 25}, "blocked for 5m: 26 different ports inside the window, 25 let pass"},
		{p, engine.Decision{Reason: engine.AboveTrigger, Action: engine.Log, Within: 1},
			"told, not blocked: a syn probe of tcp/23, and none is let pass"},
		{connect, engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, For: time.Hour,
			Within: 1}, "blocked for 1h: a connection to the trap port tcp/23 was completed, and none is " +
			"let pass"},
		{p, engine.Decision{Reason: engine.IsConnected, Within: 26, Trigger: 25},
			"spared: connected peer, not proven; 26 different ports inside the window, 25 let pass"},
		{p, engine.Decision{Reason: engine.IsDecoy, Sources: 4, Pattern: engine.Decoy},
			"spared: 4 sources sent the same packet; 0 ports of its own"},
		{p, engine.Decision{Reason: engine.KnownIgnored, Known: "censys"},
			"not judged: it is in the list censys"},
		{p, engine.Decision{Reason: engine.KnownFirst, Action: engine.Block, For: time.Minute,
			Known: "censys"}, "blocked for 1m: it is in the list censys, whose first probe is reacted to"},
		{p, engine.Decision{Reason: engine.AboveScore, Action: engine.Dark, For: 24 * time.Hour, Score: 57,
			Observed: 1<<probe.MadeRaw | 1<<probe.AsksBait},
			"dark for 1d: its source scans: score 57 of 30; +42: a packet that no client's system sends; " +
				"+15: a port that bots look for and nobody mistypes"},
		{p, engine.Decision{Reason: engine.BelowTrigger, Within: 2, Trigger: 25, Score: 9,
			Observed: 1 << probe.AsksOther},
			"port 2 of the 25 that are let pass; score 9 of 30; +4: a port of no common service"},
		{p, engine.Decision{Reason: engine.AboveTrigger, Action: engine.Fence, For: 10 * time.Minute,
			Within: 26, Trigger: 25}, "fenced for 10m: 26 different ports inside the window, 25 let pass"},
		{p, engine.Decision{Reason: engine.Traceroute}, "a traceroute on its way here"},
		{p, engine.Decision{Reason: engine.Backscatter}, "an answer to what this host did not send"},
	} {
		if got := Decision(&test.p, &test.d); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}
