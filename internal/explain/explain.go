// SPDX-License-Identifier: MIT

// Package explain says in sentences why a source is blocked or not, what would change
// that, and how each of its last probes was judged.
//
// It is pure: facts in, words out. The caller asks engine, kernel and host for the facts.
package explain

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/describe"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/internal/probe"
	"picket/internal/show"
)

// Facts are everything known of a source. Config must be set; the zero value of another
// field means that nothing is known.
type Facts struct {
	Asked  netip.Prefix   // the address or prefix in question
	Source netip.Prefix   // the source that Asked belongs to, or Asked if it is many sources
	Many   bool           // Asked is a prefix of many sources
	Config *config.Config // in force
	Now    time.Time

	Protected []Protected       // what overlaps Asked
	Connected bool              // Asked has a TCP connection with this host now
	Blocks    []control.InForce // see Take

	Seen       *engine.Source    // nil: the engine knows nothing of it
	Kept       []evidence.Probe  // the last probes, the oldest first
	Since      uint32            // the number of probes since the first of them, copies included
	Interfaces map[uint32]string // names of those in Kept, by index

	Forgotten uint64          // sources, to make room
	Recent    int             // the sources searched for Inside
	Inside    []engine.Source // with Many: those seen lately
}

// Protected is a prefix that is never blocked, and why.
type Protected struct {
	Prefix netip.Prefix
	Why    string
}

// mostBlocks is the most blocks inside a prefix to show.
const mostBlocks = 32

// Take takes the blocks that overlap the source: first those that cover all of Asked,
// then the oldest, 32 at most.
func (f *Facts) Take(list []control.InForce) {
	slices.SortFunc(list, func(a, b control.InForce) int {
		if one, other := f.within(a.Source), f.within(b.Source); one != other {
			if one {
				return -1
			}
			return 1
		}
		return cmp.Or(strength(&b)-strength(&a), a.Since.Compare(b.Since))
	})
	f.Blocks = list[:min(len(list), mostBlocks)]
}

// strength orders responses: a block, the default, is above a fence, and a fence above the dark.
func strength(b *control.InForce) int {
	switch b.Response {
	case engine.Dark.String():
		return 0
	case engine.Fence.String():
		return 1
	}
	return 2
}

// within reports whether a prefix has all of Asked in it.
func (f *Facts) within(p netip.Prefix) bool {
	return p.Bits() <= f.Asked.Bits() && p.Contains(f.Asked.Addr())
}

// protected reports whether all of Asked is, and puts the reasons first in the list.
func (f *Facts) protected() bool {
	slices.SortStableFunc(f.Protected, func(a, b Protected) int {
		switch one, other := f.within(a.Prefix), f.within(b.Prefix); {
		case one == other:
			return 0
		case one:
			return -1
		}
		return 1
	})
	return len(f.Protected) > 0 && f.within(f.Protected[0].Prefix)
}

// An explainer finds the words.
type explainer struct {
	*control.Explanation
	facts *Facts
}

// Explain puts f into sentences.
func Explain(f *Facts) *control.Explanation {
	x := &explainer{&control.Explanation{
		Source: event.SourceName(f.Source), Why: []string{}, Change: []string{},
		Protected: []control.Protection{}, Connected: f.Connected, Blocks: f.Blocks,
		Probes: []control.KeptProbe{}, Since: f.Since,
	}, f}
	if x.Blocks == nil {
		x.Blocks = []control.InForce{}
	}
	protected := f.protected()
	for _, p := range f.Protected {
		x.Protected = append(x.Protected, control.Protection{Prefix: event.SourceName(p.Prefix), Why: p.Why,
			Config: protectedBy(p.Why)})
	}
	if k, ok := f.Config.ListOf(f.Asked.Addr()); ok && f.Asked.IsSingleIP() {
		x.List = &control.List{Name: k.Name, Policy: k.Policy.String()}
	}
	var ev event.Event
	f.Config.Locate(&ev, f.Asked.Addr())
	x.Country, x.ASN, x.Network = ev.Country, ev.ASN, ev.Network
	if s := f.Seen; s != nil {
		x.Known = &control.Known{
			First: s.First, Last: s.Last, Probes: s.Probes, Repeated: s.Repeated, PortsAll: s.Ports,
			Targets: s.Targets,
			Ports:   s.List, Tool: s.Tool.String(), Pattern: s.Pattern.String(), Proven: s.Proven,
			Offences: s.Offences,
		}
	}
	for i := range f.Kept {
		x.Probes = append(x.Probes, f.told(&f.Kept[i]))
	}
	x.say(protected)
	return x.Explanation
}

// told describes a kept probe.
func (f *Facts) told(k *evidence.Probe) control.KeptProbe {
	if list, ok := f.Config.ListOf(k.Probe.Source); ok {
		k.Decision.Known = list.Name
	}
	p, d := &k.Probe, &k.Decision
	out := control.KeptProbe{
		Time: time.Unix(0, p.At), Source: p.Source, Destination: p.Destination,
		Protocol: probe.ProtocolName(p.Protocol),
		Port:     p.Port, SourcePort: p.SourcePort, Mode: p.Mode.String(), Technique: p.Technique.String(),
		Interface: f.Interfaces[p.Interface], Pattern: d.Pattern.String(), NewPattern: d.NewPattern,
		Tool:   d.Tool.String(),
		Proven: d.Proven, Action: d.Action.String(), For: int64(d.For / time.Second),
		Reason:   d.Reason.String(),
		Decision: Decision(p, d), Config: describe.Setting(f.Config, p, d), Length: int(p.Length),
	}
	if d.Action == engine.Block && !d.Proven && f.Connected && len(f.Blocks) == 0 {
		out.Decision = "not " + out.Decision + "; but it has a connection"
	}
	if p.Protocol == probe.ProtocolTCP {
		out.Flags = probe.FlagNames(p.Flags)
	}
	if p.Technique == probe.Connect {
		out.Data = show.Quote(k.Raw)
	} else {
		out.Packet = k.Raw
	}
	return out
}

// say finds state, summary, reasons and what would change them.
func (x *explainer) say(protected bool) {
	switch {
	case protected: // in the kernel this is before any block
		x.sayProtected()
	case len(x.Blocks) > 0 && x.facts.within(x.Blocks[0].Source):
		x.sayBlocked(&x.Blocks[0])
	case len(x.Protected) > 0:
		x.sayProtected()
	case x.facts.Many:
		x.sayMany()
	case len(x.facts.Kept) > 0:
		x.sayWatched()
	case x.Known != nil:
		x.State = "watched"
		x.Summary = fmt.Sprintf("%s is not blocked.", x.name())
		x.why("Its last probe was %s ago; the probes themselves are no longer kept (evidence.memory = %q).",
			show.Seconds(x.facts.Now.Sub(x.Known.Last)), x.facts.Config.Evidence.Memory)
		x.changeLimits()
	default:
		x.sayUnknown()
	}
	if x.List != nil {
		x.sayList()
	}
	switch {
	case x.State == "blocked" || len(x.Blocks) == 0:
	case x.facts.within(x.Blocks[0].Source):
		x.why("%s is %s, but nothing is dropped of what is protected in it.", x.Blocks[0].Name,
			responseName(x.Blocks[0].Response))
	default:
		x.why("Blocked inside it: %s.", names(x.Blocks))
	}
	if x.Connected && x.State != "spared" && x.State != "protected" {
		x.why("It has a TCP connection with this host now, so nothing unproven gets it blocked " +
			"(ignore.connected = true).")
	}
	if x.facts.Asked.IsSingleIP() && x.Source != x.name() && x.Known != nil {
		x.why("picket counts all of %s as one source (detect.ipv6_prefix = %d).", x.Source,
			x.facts.Config.Detect.IPv6Prefix)
	}
	if x.facts.Config.DryRun {
		x.why("dry_run = true: nobody is blocked from now on.")
	}
}
