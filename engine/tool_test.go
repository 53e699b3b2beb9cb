// SPDX-License-Identifier: MIT

package engine

import (
	"testing"
	"time"

	"picket/internal/probe"
)

// A tool that one packet does not show is named by the source port that several packets share. A
// source with a port for each connection, like any system, is not named.
func TestToolsOfOnePort(t *testing.T) {
	nmap := func(window uint16, ttl uint8) option {
		return func(p *probe.Probe) {
			look(p, probe.Nmap)
			p.Window, p.TTL = window, ttl
		}
	}
	empty := func(p *probe.Probe) {
		p.Technique = probe.UDP
		shape(p)
		p.Length, p.TTL, p.DontFrag = 28, 247, false
	}
	for _, x := range []struct {
		who  string
		make option
		want probe.Tool
	}{
		{"nmap --ttl 64", nmap(1024, 64), probe.Nmap},
		{"an old nmap", nmap(3072, 47), probe.Nmap},
		{"nmap with another window", nmap(5120, 47), probe.NoTool},
		{"an old nmap -sF", func(p *probe.Probe) {
			look(p, probe.Nmap)
			p.Technique, p.Flags, p.Options, p.MSS, p.Window = probe.FIN, probe.FlagFIN, 0, 0, 4096
		}, probe.Nmap},
		{"masscan over UDP", empty, probe.Masscan},
	} {
		for _, one := range []bool{true, false} {
			w, d, want := newWorld(t, weighed()), Decision{}, x.want
			for i := range 6 {
				from := sport(51000)
				if !one {
					from, want = sport(51000+7*i), probe.NoTool
				}
				d = w.send(x.make, from, port(7000+i))
				w.wait(time.Second)
			}
			if d.Tool != want {
				t.Errorf("%s, from one port %v: %v, want %v", x.who, one, d.Tool, want)
			}
		}
	}
}

// nmap is still named nmap after its user has connected by hand, or with -sT.
func TestNmapAfterConnect(t *testing.T) {
	w := newWorld(t, weighed())
	for i := range 6 {
		w.send(port(8000 + i))
	}
	w.send(port(1), mode(probe.Classic), is(probe.Connect))
	d := Decision{}
	for i := range 4 {
		d = w.send(likeTool(probe.Nmap), sport(40000), port(9000+i))
	}
	if d.Tool != probe.Nmap {
		t.Errorf("%v", d.Tool)
	}
	for i := range 6 { // and after another scan by -sT
		d = w.send(port(8000 + i%2*500))
	}
	if d.Tool != probe.Nmap {
		t.Errorf("after another: %v", d.Tool)
	}
}
