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

// openTrap makes the trap's listener, from systemd's sockets if it passed any. Without a trap
// picket completes no connections, and the rest works: a failure is an entry in the journal.
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

// listenerPort is the trap's port, 0 without a trap.
func (d *daemon) listenerPort() uint16 {
	if d.trap == nil {
		return 0
	}
	for _, a := range d.trap.Addrs() {
		return a.Port()
	}
	return 0
}

// trapPort returns the port that the table redirects to, 0 for none. It reads the
// configuration: the caller has d.mu, or is alone.
func (d *daemon) trapPort() uint16 {
	if !d.config.Traps() {
		return 0
	}
	return d.listenerPort()
}

// watchTrap reports once that another firewall drops the connections to the trap: then none is
// completed.
func (d *daemon) watchTrap() task.Task {
	var way lookout.TrapWay
	return task.When("trap watch", d.bells.trap, lookEvery, lookShare, func(ctx context.Context) {
		port := d.listenerPort()
		if port == 0 {
			return
		}
		n, err := d.orders.counters(ctx)
		// the table watch writes an error into the journal
		if err == nil && way.Cut(n["lured"], n["trapped"]) {
			d.journal.Notice("", "connections to the trap are dropped by another firewall behind it, so "+
				"none is completed and nobody proves himself. Allow TCP port %d in and its answers out; it "+
				"answers nothing but what picket leads there: \"ufw allow %[1]d/tcp\", "+
				"\"firewall-cmd --permanent --add-port=%[1]d/tcp\", or in nftables, before its drop, "+
				"\"ct status dnat tcp dport %[1]d accept\"", port)
		}
	})
}

// serveTrap hands each trapped connection to the judge.
func (d *daemon) serveTrap(ctx context.Context) error {
	if d.trap == nil {
		return nil
	}
	port := d.listenerPort()
	err := d.trap.Serve(ctx, func(c trap.Connection) {
		if c.Destination.Port() == port {
			return // dialled directly: no rule led it here
		}
		p := probe.Probe{
			At: c.At.UnixNano(), Source: c.Source.Addr(), Destination: c.Destination.Addr(),
			SourcePort: c.Source.Port(), Port: c.Destination.Port(),
			Protocol: probe.ProtocolTCP, Mode: d.current().Connected(c.Destination.Port()),
			Technique: probe.Connect,
			Flags:     probe.FlagSYN, Sent: probe.BeganWith(c.Head),
		}
		if c.Open {
			p.Sent = probe.SentNotYet
		}
		// Few connections are open at a time, so waiting for the judge delays nobody.
		d.bells.probe()
		_ = d.docket.observe(ctx, p, c.Data) // it fails when picket stops
	})
	if err != nil && ctx.Err() == nil {
		d.journal.Notice("", "the trap ended, connections to classic ports are not completed any more: %v",
			err)
	}
	return nil
}
