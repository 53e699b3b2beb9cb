// SPDX-License-Identifier: MIT

package behind

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"picket/internal/host"
	"picket/internal/probe"
	"picket/nft"
)

// An Asker knows whether a forwarded packet was answered.
type Asker interface {
	// Served reports whether a port behind this host has answered lately.
	Served(protocol uint8, at netip.AddrPort) (bool, error)
	// Refuses reports whether the host of a published port says that nobody serves it.
	Refuses(protocol uint8, at netip.AddrPort) (bool, error)
	// Flow returns what connection tracking knows of the flow of a packet.
	Flow(protocol uint8, from, to netip.AddrPort) (host.Tracked, error)
	Close() error
}

// kernel is the asker outside of tests.
type kernel struct {
	*host.Tracker
	served *nft.Served
}

// OpenKernel returns an asker that asks the kernel. It needs CAP_NET_ADMIN.
func OpenKernel() (Asker, error) {
	t, err := host.OpenTracker()
	if err != nil {
		return nil, err
	}
	s, err := nft.OpenServed()
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	return kernel{t, s}, nil
}

func (k kernel) Served(protocol uint8, at netip.AddrPort) (bool, error) {
	return k.served.Has(protocol, at)
}

func (k kernel) Refuses(protocol uint8, at netip.AddrPort) (bool, error) {
	return k.served.Refuses(protocol, at)
}

func (k kernel) Close() error {
	_ = k.served.Close()
	return k.Tracker.Close()
}

// The most probes on their way to the watch, and the most that wait there: more than the rules
// mirror of ordinary scans in that time. A probe that finds no room is not judged.
const (
	queue       = 512
	waitingRoom = 8192
)

// A Watch waits until it knows whether forwarded packets were answered, and then has the
// unanswered ones judged. Set its fields before Run. Put is for the goroutine that
// reads, Run for another one.
type Watch struct {
	Open    func() (Asker, error)     // called when there is something to ask
	Snaplen int                       // bytes of a packet that are copied into the waiting room
	Judge   func(probe.Probe, []byte) // gets unanswered probes
	Scans   func(*probe.Probe, Scan)  // gets scans outwards from behind this host
	Trouble func(error)               // gets the result of each question

	arrived chan arrival
	spare   chan []byte // buffers for packets, as many as can be on their way
	shed    atomic.Uint64
	room    *Room // made for the first probe: a plain host has none
	devices Devices
	asker   Asker
}

type arrival struct {
	probe probe.Probe
	raw   []byte
}

// NewWatch returns a watch whose fields are not set.
func NewWatch() *Watch {
	return &Watch{arrived: make(chan arrival, queue), spare: make(chan []byte, queue)}
}

// Shed returns how many probes found no room. Any goroutine may call it.
func (w *Watch) Shed() uint64 { return w.shed.Load() }

// Put hands over a probe. It never waits: a probe without room, as in a flood, is counted and
// dropped.
func (w *Watch) Put(p probe.Probe, raw []byte) {
	if len(w.arrived) == cap(w.arrived) {
		w.shed.Add(1)
		return
	}
	var b []byte
	select {
	case b = <-w.spare:
	default: // none is free: append makes one
	}
	w.arrived <- arrival{p, append(b[:0], raw...)} // nobody else fills it
}

// Run judges until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
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
		case m := <-w.arrived:
			if !w.take(&m) {
				w.shed.Add(1)
			}
			select {
			case w.spare <- m.raw:
			default: // enough of them
			}
		case <-timer.C:
		}
		for due, ok := w.next(); ok && !time.Now().Before(due); due, ok = w.next() {
			w.judge()
		}
	}
}

func (w *Watch) next() (due time.Time, ok bool) {
	if w.room == nil {
		return due, false
	}
	return w.room.Next()
}

// take adds a probe to the room, and reports whether there was room.
func (w *Watch) take(m *arrival) bool {
	if w.room == nil {
		w.room = NewRoom(waitingRoom, w.Snaplen)
	}
	if w.room.Full() {
		return false
	}
	w.room.Add(&m.probe, m.raw, time.Now())
	return true
}

// judge judges the probe that waits longest.
func (w *Watch) judge() {
	p, raw := w.room.Leave()
	answered, err := w.answered(p)
	w.Trouble(err)
	switch {
	case err != nil: // without an answer nobody is accused
	case p.Outward:
		w.outward(p, answered)
	case !answered:
		w.Judge(*p, raw)
	}
}

// answered reports whether a packet was answered, or may yet be: a published port is a
// service, and may be slow, unless its host says otherwise.
func (w *Watch) answered(p *probe.Probe) (bool, error) {
	if w.asker == nil {
		a, err := w.Open()
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
	if err != nil || f.Replied || !f.Known || !f.Published {
		return f.Replied, err
	}
	refuses, err := w.asker.Refuses(p.Protocol, to)
	return !refuses, err
}

// outward books a request of a device behind this host.
func (w *Watch) outward(p *probe.Probe, answered bool) {
	to := netip.AddrPortFrom(p.Destination, p.Port)
	if s, is := w.devices.Asked(p.Source, to, answered, time.Unix(0, p.At)); is {
		w.Scans(p, s)
	}
}

func (w *Watch) close() {
	if w.asker != nil {
		_ = w.asker.Close()
	}
}
