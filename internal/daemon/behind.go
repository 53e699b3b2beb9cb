// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"picket/internal/behind"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/probe"
)

// mirror hands a probe to the judge, or to the watch where one waits for its answer that
// was forwarded, or goes to an address that others serve.
func (d *daemon) mirror(p probe.Probe, raw []byte) {
	d.bells.probe()
	if guests := d.guests.Load(); guests != nil && guests.Contains(p.Destination) {
		if p.Behind = true; p.Mode == probe.Classic && p.Protocol == probe.ProtocolTCP {
			p.Mode = probe.Advanced // no trap is there
		}
	}
	if p.Behind {
		d.forwarded.Put(p, raw)
		return
	}
	d.docket.probe(p, raw)
}

// watchForwarded has forwarded packets judged once it is known whether they were answered.
func (d *daemon) watchForwarded(ctx context.Context) error {
	w := d.forwarded
	w.Open, w.Snaplen, w.Judge, w.Scans = d.machine.Asker, int(d.table.Snaplen), d.docket.probe, d.infected
	w.Trouble = journal.NewTrouble(d.journal, "what is behind this host is not judged").Tell
	return w.Run(ctx)
}

// infected writes the event of a device that scans outwards from behind this host.
func (d *daemon) infected(p *probe.Probe, s behind.Scan) {
	var link string
	if i, err := net.InterfaceByIndex(int(p.Interface)); err == nil { // the interface may be gone
		link = i.Name
	}
	d.journal.Event(event.Event{
		Event: "infection", Time: time.Unix(0, p.At), Source: p.Source.String(), Destination: s.Target,
		Port:     s.Port,
		Protocol: probe.ProtocolName(p.Protocol), Technique: p.Technique.String(), Action: "log",
		Interface: link, Reason: "it scans outwards from behind this host",
		Evidence: s.Evidence(), Config: fmt.Sprintf("forward.egress = %q", d.current().Forward.Egress),
	})
}

// networks returns the networks behind this host, by configuration and links.
func (d *daemon) networks() []netip.Prefix {
	c := d.config.Forward
	if !c.Containers && !c.LANs {
		return c.Prefixes
	}
	found, err := d.machine.Networks()
	if err != nil {
		d.journal.Notice("", "networks behind this host are not found by themselves: %v", err)
	}
	out := slices.Clone(c.Prefixes)
	for _, n := range found {
		if c.Means(n.Container) {
			out = append(out, n.Prefix)
		}
	}
	return out
}
