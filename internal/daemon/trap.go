// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"net"
	"time"

	"picket/internal/lookout"
	"picket/internal/probe"
	"picket/internal/task"
	"picket/internal/trap"
)

// openTrap makes classic mode's listener, of systemd's sockets if it passed
// any. Without one picket does all but complete connections, so a failure is
// told and not fatal.
func (d *daemon) openTrap(ctx context.Context, passed []net.Listener) {
	c := d.config.Trap
	cfg := trap.Config{
		Banner: []byte(c.Banner), Connections: c.Connections, Time: time.Duration(c.Time), Bytes: c.Bytes,
		Trouble: func(err error) { d.journal.Notice("", "trap: %v", err) },
	}
	if len(passed) > 0 {
		d.trap = trap.New(cfg, passed...)
	} else if d.config.Traps() {
		t, err := trap.Listen(ctx, c.Port, cfg)
		if err != nil {
			d.journal.Notice("", "the trap does not listen, connections will not be completed: %v", err)
			return
		}
		d.trap = t
	}
}

// listenerPort is where the trap listens, 0 without a trap.
func (d *daemon) listenerPort() uint16 {
	if d.trap == nil {
		return 0
	}
	for _, a := range d.trap.Addrs() {
		return a.Port()
	}
	return 0
}

// trapPort is where the table redirects to, 0 for nowhere. It looks at the
// configuration: d.mu is held, or nobody else is there yet.
func (d *daemon) trapPort() uint16 {
	if !d.config.Traps() {
		return 0
	}
	return d.listenerPort()
}

// watchTrap tells, once, when another firewall drops the connections that the
// table leads to the trap: classic mode then sees no connection completed.
func (d *daemon) watchTrap() task.Task {
	var way lookout.TrapWay
	return task.When("trap watch", d.bells.trap, lookEvery, lookShare, func(ctx context.Context) {
		port := d.listenerPort()
		if port == 0 {
			return
		}
		n, err := d.orders.counters(ctx)
		if err == nil && way.Cut(n["lured"], n["trapped"]) { // who watches the table tells of an error
			d.journal.Notice("", "connections to the trap are dropped by another firewall behind it, so "+
				"none is completed and nobody proves himself. Allow TCP port %d, which answers nothing but "+
				"what picket leads there: \"ufw allow %[1]d/tcp\", "+
				"\"firewall-cmd --permanent --add-port=%[1]d/tcp\", or in nftables, before its drop, "+
				"\"ct status dnat tcp dport %[1]d accept\"", port)
		}
	})
}

// serveTrap hands every trapped connection to the judge.
func (d *daemon) serveTrap(ctx context.Context) error {
	if d.trap == nil {
		return nil
	}
	port := d.listenerPort()
	err := d.trap.Serve(ctx, func(c trap.Connection) {
		if c.Destination.Port() == port {
			return // dialled directly: led here from no port
		}
		p := probe.Probe{
			At: c.At.UnixNano(), Source: c.Source.Addr(), Destination: c.Destination.Addr(),
			SourcePort: c.Source.Port(), Port: c.Destination.Port(),
			Protocol: probe.ProtocolTCP, Mode: d.current().Connected(c.Destination.Port()), Technique: probe.Connect,
			Flags: probe.FlagSYN, Sent: probe.BeganWith(c.Head),
		}
		if c.Open {
			p.Sent = probe.SentNotYet
		}
		// The connection is one of a bounded number, so waiting for the judge
		// holds nobody up.
		d.bells.probe()
		_ = d.docket.observe(ctx, p, c.Data) // it fails when picket stops
	})
	if err != nil && ctx.Err() == nil {
		d.journal.Notice("", "the trap ended, connections to classic ports are not completed any more: %v",
			err)
	}
	return nil
}
