// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"picket/internal/behind"
	"picket/internal/event"
	"picket/internal/host"
	"picket/internal/journal"
	"picket/internal/probe"
	"picket/nft"
)

// An asker knows whether what was forwarded was answered.
type asker interface {
	// Served reports whether a port behind this host answered of late.
	Served(protocol uint8, at netip.AddrPort) (bool, error)
	// Flow returns what connection tracking knows of the flow of a packet.
	Flow(protocol uint8, from, to netip.AddrPort) (host.Tracked, error)
	Close() error
}

// askers is the kernel.
type askers struct {
	*host.Tracker
	served *nft.Served
}

func openAsker() (asker, error) {
	t, err := host.OpenTracker()
	if err != nil {
		return nil, err
	}
	s, err := nft.OpenServed()
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	return askers{t, s}, nil
}

func (a askers) Served(protocol uint8, at netip.AddrPort) (bool, error) {
	return a.served.Has(protocol, at)
}

func (a askers) Close() error {
	_ = a.served.Close()
	return a.Tracker.Close()
}

// forwarded is the door for what the rules mirror of forwarded packets: what takes a
// moment to judge waits there, and not with the judge. Put is for the reader's
// goroutine.
type forwarded struct {
	arrived chan forwardedProbe
	spare   chan []byte // for the bytes of packets, as many as can be on their way
	shed    atomic.Uint64
}

type forwardedProbe struct {
	probe probe.Probe
	raw   []byte
}

// forwardedQueue is how many may be on their way to the task; waitingRoom, how many
// may wait there for their answer: more than the rules mirror of ordinary scans in
// that time. Who comes when it is full is not judged.
const (
	forwardedQueue = 512
	waitingRoom    = 8192
)

func newForwarded() *forwarded {
	return &forwarded{arrived: make(chan forwardedProbe, forwardedQueue), spare: make(chan []byte, forwardedQueue)}
}

// put hands a probe over. It never waits: a flood has its probes counted and left.
func (f *forwarded) put(p probe.Probe, raw []byte) {
	var b []byte
	select {
	case b = <-f.spare:
	default: // the first of so many
	}
	select {
	case f.arrived <- forwardedProbe{p, append(b[:0], raw...)}:
	default:
		f.shed.Add(1)
	}
}

// mirror hands a probe to who judges it.
func (d *daemon) mirror(p probe.Probe, raw []byte) {
	if p.Behind {
		d.forwarded.put(p, raw)
		return
	}
	d.docket.probe(p, raw)
}

// watchForwarded has what was forwarded judged once it is known whether it was
// answered.
func (d *daemon) watchForwarded(ctx context.Context) error {
	w := forwardWatch{daemon: d, trouble: journal.NewTrouble(d.journal, "what is behind this host is not judged")}
	defer w.close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if due, ok := w.next(); ok {
			timer.Reset(time.Until(due))
		}
		select {
		case <-ctx.Done():
			return nil
		case m := <-d.forwarded.arrived:
			if !w.take(&m) {
				d.forwarded.shed.Add(1)
			}
			select {
			case d.forwarded.spare <- m.raw:
			default: // there are enough
			}
		case <-timer.C:
		}
		for due, ok := w.next(); ok && !time.Now().Before(due); due, ok = w.next() {
			w.judge()
		}
	}
}

// A forwardWatch is one goroutine's.
type forwardWatch struct {
	daemon  *daemon
	room    *behind.Room // made when something comes: a plain host has none
	devices behind.Devices
	asker   asker
	trouble *journal.Trouble
}

func (w *forwardWatch) next() (due time.Time, ok bool) {
	if w.room == nil {
		return due, false
	}
	return w.room.Next()
}

// take has a probe wait, and reports whether there was room.
func (w *forwardWatch) take(m *forwardedProbe) bool {
	if w.room == nil {
		w.room = behind.NewRoom(waitingRoom, int(w.daemon.table.Snaplen))
	}
	if w.room.Full() {
		return false
	}
	w.room.Add(&m.probe, m.raw, time.Now())
	return true
}

// judge judges who waits longest.
func (w *forwardWatch) judge() {
	p, raw := w.room.Leave()
	answered, err := w.answered(p)
	w.trouble.Tell(err)
	switch {
	case err != nil: // nobody is accused of what is not known
	case p.Outward:
		w.outward(p, answered)
	case !answered:
		w.daemon.docket.probe(*p, raw)
	}
}

// answered reports whether a packet was answered, or may yet be: a published port is
// a service, and may be slow.
func (w *forwardWatch) answered(p *probe.Probe) (bool, error) {
	if w.asker == nil {
		a, err := w.daemon.system.asker()
		if err != nil {
			return false, err
		}
		w.asker = a
	}
	from, to := netip.AddrPortFrom(p.Source, 0), netip.AddrPortFrom(p.Destination, 0)
	if probe.Ported(p.Protocol) {
		from, to = netip.AddrPortFrom(p.Source, p.SourcePort), netip.AddrPortFrom(p.Destination, p.Port)
		served, err := w.asker.Served(p.Protocol, to)
		if served || err != nil {
			return served, err
		}
	}
	f, err := w.asker.Flow(p.Protocol, from, to)
	return f.Replied || f.Known && f.Published, err
}

// outward books what a device behind this host asks of others.
func (w *forwardWatch) outward(p *probe.Probe, answered bool) {
	now := time.Unix(0, p.At)
	s, is := w.devices.Asked(p.Source, netip.AddrPortFrom(p.Destination, p.Port), answered, now)
	if !is {
		return
	}
	var link string
	if i, err := net.InterfaceByIndex(int(p.Interface)); err == nil { // or it has gone
		link = i.Name
	}
	w.daemon.journal.Event(event.Event{
		Event: "infection", Time: now, Source: p.Source.String(), Destination: s.Target, Port: s.Port,
		Protocol: probe.ProtocolName(p.Protocol), Technique: p.Technique.String(), Action: "log",
		Interface: link, Reason: "it scans outwards from behind this host",
		Evidence: s.Evidence(), Config: fmt.Sprintf("forward.egress = %q", w.daemon.current().Forward.Egress),
	})
}

func (w *forwardWatch) close() {
	if w.asker != nil {
		_ = w.asker.Close()
	}
}

// networks returns what is behind this host, by the configuration and the links.
func (d *daemon) networks() []netip.Prefix {
	c := d.config.Forward
	if !c.Containers && !c.LANs {
		return c.Prefixes
	}
	found, err := d.system.networks()
	if err != nil {
		d.journal.Notice("", "networks behind this host are not found by themselves: %v", err)
	}
	var containers, others []netip.Prefix
	for _, n := range found {
		if n.Container {
			containers = append(containers, n.Prefix)
		} else {
			others = append(others, n.Prefix)
		}
	}
	return c.Behind(containers, others)
}
