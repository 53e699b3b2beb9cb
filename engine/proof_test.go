// SPDX-License-Identifier: MIT

package engine

import (
	"strings"
	"testing"
	"time"

	"picket/internal/probe"
)

// led is a connection to another port than the trap's, which the trap completed.
func led(n int, s probe.Sent) []option {
	return []option{is(probe.Connect), port(n), func(p *probe.Probe) { p.Sent, p.Seq = s, 0 }}
}

// trapped is a connection to a trap port.
func trapped(n int, s probe.Sent) []option { return append(led(n, s), mode(probe.Classic)) }

// inviting has the default triggers, and invitation to most ports from 100 on.
func inviting() Config {
	c := graded()
	c.Score = Dark
	c.TCP.Trigger = [probe.Modes]int{probe.Classic: 1, probe.Stealth: 25, probe.Advanced: 25}
	c.Invited = []Ports{{100, 200}, {300, 65535}}
	return c
}

// TestInvitedConnectionsProve: connections to as many different ports as the trigger are proof. A
// port counts once, a trap port like any other.
func TestInvitedConnectionsProve(t *testing.T) {
	for _, traps := range []int{0, 1} {
		w := newWorld(t, inviting())
		for i := range 24 {
			n := 300 + i
			if i < traps {
				n = 7 + i
				w.send(trapped(n, probe.SentOther)...)
				continue
			}
			w.send(port(n))
			for range 3 {
				if d := w.send(led(n, probe.SentNothing)...); d.Action == Block {
					t.Fatalf("blocked by %d ports", i+1)
				}
			}
		}
		d := w.send(led(900, probe.SentNothing)...)
		w.blocks(d)
		if !d.Proven || d.Reason != AboveTrigger || d.Connections != 25 || d.Invited != 25-traps {
			t.Errorf("%+v", d)
		}
		if d.Observed.Has(probe.AsksTrap) {
			t.Error("an ordinary port is weighed as a trap port")
		}
		want := "proven: completed 25 connections to different ports that nobody serves"
		got := d.Evidence()
		if !strings.HasPrefix(got, want) || strings.Contains(got, "traps among them") != (traps > 0) {
			t.Errorf("evidence %q", got)
		}
	}
}

// TestInvitedConnectionsAreFewer: too few connections, or those of a browser, are no proof. Forged
// packets in the name of the source change nothing.
func TestInvitedConnectionsAreFewer(t *testing.T) {
	scored := func(t *testing.T, change func(*Config)) *world {
		c := inviting()
		change(&c)
		w := newWorld(t, c)
		for i := range 40 { // forged, with the marks of a tool
			w.send(port(1000+i), likeTool(probe.Nmap))
		}
		return w
	}
	same := func(*Config) {}
	never := func(c *Config) { c.TCP.Trigger = [probe.Modes]int{} }
	tool := func(c *Config) { c.ToolTrigger = 2 }
	for _, test := range []struct {
		name   string
		change func(*Config)
		ports  int
		sent   probe.Sent
		mode   probe.Mode
	}{
		{"fewer ports than the trigger", same, 24, probe.SentOther, probe.Advanced},
		{"a browser's, however many", same, 32, probe.SentHTTP, probe.Advanced},
		{"or by TLS", same, 32, probe.SentTLS, probe.Stealth},
		{"with a beginning still unknown", same, 32, probe.SentNotYet, probe.Advanced},
		{"one, with trigger 0", never, 1, probe.SentOther, probe.Advanced},
		{"with a tool's trigger of 2", tool, 24, probe.SentOther, probe.Stealth},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := scored(t, test.change)
			for i := range test.ports {
				d := w.send(append(led(300+i, test.sent), mode(test.mode))...)
				if d.Action == Block || d.Proven && d.Reason.above() {
					t.Fatalf("connection %d: %v, proven %v, %v", i+1, d.Action, d.Proven, d.Reason)
				}
			}
		})
	}
	t.Run("one, and one to a trap", func(t *testing.T) {
		w := scored(t, same)
		for _, o := range [][]option{
			trapped(7, probe.SentOther), led(300, probe.SentOther), led(301, probe.SentOther),
		} {
			if d := w.send(o...); d.Action == Block {
				t.Fatalf("%+v", d)
			}
		}
		d := w.send(trapped(9, probe.SentOther)...)
		w.blocks(d)
		if got := d.Evidence(); !strings.HasPrefix(got, "proven: completed two connections to different "+
			"traps;") {
			t.Errorf("evidence %q", got)
		}
	})
	t.Run("two, with trigger 0", func(t *testing.T) {
		w := scored(t, func(c *Config) { c.TCP.Trigger[probe.Advanced] = 0 })
		w.send(led(300, probe.SentOther)...)
		w.blocks(w.send(led(301, probe.SentOther)...))
	})
}

// TestNobodyTakesAProof: neither the own SYN of a connection, which may be read later than the
// connection, nor a forged packet to its port takes a proof away or prolongs it.
func TestNobodyTakesAProof(t *testing.T) {
	w := newWorld(t, inviting())
	for i := range 24 {
		w.send(led(300+i, probe.SentNothing)...)
		w.send(port(300 + i))
		w.send(led(300+i, probe.SentNotYet)...)
	}
	w.wait(9 * time.Minute)
	for i := range 24 {
		w.send(port(300 + i))
	}
	w.blocks(w.send(led(900, probe.SentNothing)...))

	w = newWorld(t, inviting())
	for i := range 24 {
		w.send(led(300+i, probe.SentNothing)...)
	}
	for range 2 {
		w.wait(6 * time.Minute)
		for i := range 24 {
			w.send(port(300 + i))
		}
	}
	if d := w.send(led(900, probe.SentNothing)...); d.Action == Block {
		t.Errorf("a proof of %d connections, all but one of them past", d.Connections)
	}
}
