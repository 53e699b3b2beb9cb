// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
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
	"picket/internal/host"
	"picket/internal/show"
)

// An explainer gathers what is known of a source, and finds the words for it.
type explainer struct {
	*control.Explanation
	asked   netip.Prefix
	many    bool // it is a prefix of many sources
	config  *config.Config
	protect []host.Friend
	stats   engine.Stats
	inside  []engine.Source  // where many were asked for: those of them that were seen lately
	kept    []evidence.Probe // behind Explanation.Probes
	now     time.Time
}

// explain tells what is known of a source, and why it is blocked or not.
func (d *daemon) explain(ctx context.Context, r control.Request) (*control.Explanation, error) {
	p, ok := config.ParseSource(r.Source)
	if !ok {
		return nil, fmt.Errorf("%q is no address or prefix", r.Source)
	}
	x := &explainer{Explanation: new(control.Explanation), asked: p, now: time.Now()}
	if err := d.judge.call(ctx, func() { x.judged(d.judge) }); err != nil {
		return nil, err
	}
	d.mu.Lock()
	x.config = d.config
	for _, f := range d.friends {
		if f.Prefix.Overlaps(p) && !slices.ContainsFunc(x.protect, func(g host.Friend) bool { return f == g }) {
			x.protect = append(x.protect, f)
		}
	}
	d.mu.Unlock()
	var ev event.Event
	x.config.Locate(&ev, p.Addr())
	x.Country, x.ASN, x.Network = ev.Country, ev.ASN, ev.Network
	if err := d.blocker.call(ctx, func() error { x.booked(d.blocker); return nil }); err != nil {
		return nil, err
	}
	if len(x.Blocks) > 0 {
		if err := x.drops(d); err != nil {
			return nil, err
		}
	}
	if x.config.Ignore.Connected {
		// The daemon has told of an error already.
		peers, _ := host.Peers(d.listenerPort())
		x.Connected = slices.ContainsFunc(peers, p.Contains)
	}
	x.say()
	return x.Explanation, nil
}

// judged asks the engine and the evidence. It is for the judge.
func (x *explainer) judged(j *judge) {
	source := x.asked
	if whole := j.engine.SourceOf(source.Addr()); source.IsSingleIP() {
		source = whole
	}
	x.Source, x.stats = event.SourceName(source), j.engine.Stats()
	x.Probes = []control.KeptProbe{}
	if k, ok := j.config.ListOf(x.asked.Addr()); ok && x.asked.IsSingleIP() {
		x.List = &control.List{Name: k.Name, Policy: k.Policy.String()}
	}
	if x.many = source != j.engine.SourceOf(source.Addr()); x.many {
		for _, s := range j.engine.Recent(recentSources) {
			if source.Overlaps(s.Prefix) {
				x.inside = append(x.inside, s)
			}
		}
		return // each has a record of its own
	}
	if s, ok := j.engine.Describe(source.Addr()); ok {
		x.Known = &control.Known{
			First: s.First, Last: s.Last, Probes: s.Probes, Repeated: s.Repeated, PortsAll: s.Ports, Targets: s.Targets,
			Ports: s.List, Tool: s.Tool.String(), Pattern: s.Pattern.String(), Proven: s.Proven, Offences: s.Offences,
		}
	}
	x.kept, x.Since = j.evidence.Of(source)
	for i := range x.kept {
		if k, ok := j.config.ListOf(x.kept[i].Probe.Source); ok {
			x.kept[i].Decision.Known = k.Name
		}
		x.Probes = append(x.Probes, j.told(&x.kept[i]))
	}
}

// told describes a probe that was kept.
func (j *judge) told(k *evidence.Probe) control.KeptProbe {
	p, d := &k.Probe, &k.Decision
	out := control.KeptProbe{
		Time: time.Unix(0, p.At), Source: p.Source, Destination: p.Destination, Protocol: engine.ProtocolName(p.Protocol),
		Port: p.Port, SourcePort: p.SourcePort, Mode: p.Mode.String(), Technique: p.Technique.String(),
		Interface: j.interfaceName(p.Interface), Pattern: d.Pattern.String(), NewPattern: d.NewPattern, Tool: d.Tool.String(),
		Proven: d.Proven, Action: d.Action.String(), For: int64(d.For / time.Second), Reason: d.Reason.String(),
		Decision: decision(p, d), Config: describe.Setting(j.config, p, d), Length: int(p.Length),
	}
	if p.Protocol == engine.ProtocolTCP {
		out.Flags = engine.FlagNames(p.Flags)
	}
	if p.Technique == engine.Connect {
		out.Data = show.Quote(k.Raw)
	} else {
		out.Packet = k.Raw
	}
	return out
}

// mostBlocks is how many blocks inside a prefix are told of.
const mostBlocks = 32

// booked finds the blocks of the source, or of a part of it. It is for the
// blocker.
func (x *explainer) booked(b *blocker) {
	x.Blocks = []control.InForce{}
	source, _ := config.ParseSource(x.Source)
	for p, e := range b.book {
		if !p.Overlaps(source) {
			continue
		}
		x.Blocks = append(x.Blocks, control.InForce{
			Block: e.block(x.now), Config: e.event.Config, ByHand: byHand(&e.event), Protocol: e.event.Protocol, Port: e.event.Port, Commanded: e.commanded,
		})
	}
	// The one that holds the address that was asked for comes first.
	slices.SortFunc(x.Blocks, func(a, b control.InForce) int {
		if one, other := x.covers(&a), x.covers(&b); one != other {
			if one {
				return -1
			}
			return 1
		}
		return a.Since.Compare(b.Since)
	})
	if len(x.Blocks) > mostBlocks {
		x.Blocks = x.Blocks[:mostBlocks]
	}
}

// covers reports whether a block holds all that was asked for.
func (x *explainer) covers(b *control.InForce) bool {
	return b.Source.Bits() <= x.asked.Bits() && b.Source.Contains(x.asked.Addr())
}

// drops adds the kernel's counters.
func (x *explainer) drops(d *daemon) error {
	kernel, err := readBlocks(d.table)
	if err != nil {
		return err
	}
	for _, k := range kernel {
		for i := range x.Blocks {
			if x.Blocks[i].Source == k.Source {
				x.Blocks[i].Drops = k.Drops
			}
		}
	}
	return nil
}
