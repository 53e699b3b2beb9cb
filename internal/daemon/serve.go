// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/ledger"
)

// serve answers the commands that come over the control socket.
func (d *daemon) serve(ctx context.Context) error {
	return control.Serve(ctx, d.control, func(r control.Request) (any, error) { return d.answer(ctx, r) })
}

func (d *daemon) answer(ctx context.Context, r control.Request) (any, error) {
	switch r.Command {
	case "status":
		return d.status(ctx)
	case "blocks":
		return d.blocks(ctx)
	case "sources":
		return d.sources(ctx)
	case "trial":
		return d.trial(ctx)
	case "reload":
		return nil, d.reload(ctx)
	case "arm":
		return d.arm(ctx, r)
	case "block":
		return d.block(ctx, r)
	case "unblock":
		return d.unblock(ctx, r)
	case "connected":
		return d.peersAmong(r)
	case "allow":
		return d.allowances.Allow(ctx, r)
	case "unallow":
		return d.allowances.Unallow(ctx, r)
	case "allowed":
		return d.allowances.List(time.Now()), nil
	case "explain":
		return d.explain(ctx, r)
	case "remove":
		return d.remove()
	}
	return nil, fmt.Errorf("unknown command %q: the daemon is of version %s", r.Command, d.options.Version)
}

func (d *daemon) status(ctx context.Context) (*control.Status, error) {
	e, err := d.docket.tally(ctx)
	if err != nil {
		return nil, err
	}
	reaction, err := d.orders.reaction(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := d.orders.counters(ctx)
	if err != nil {
		return nil, err
	}
	if n := d.forwarded.Shed(); n > 0 {
		rules["unlogged_forwarded"] = n
	}
	c := d.current()
	r := d.reader.Stats()
	s := &control.Status{
		Version: d.options.Version, Kernel: kernelRelease(), Pid: os.Getpid(),
		Uptime: int64(time.Since(d.started) / time.Second),
		Config: cmp.Or(c.File, "embedded default"), DryRun: c.DryRun, Group: c.NFLOG.Group,
		Modes: map[string][]string{"tcp": c.TCP.Modes.Names(), "udp": c.UDP.Modes.Names(),
			"ip": c.IP.Modes.Names()},
		Probes: e.Probes, Lost: r.Lost, Garbage: r.Garbage,
		Sources: e.Sources, Evicted: e.Evicted, Traces: e.Traces, Flooding: e.flooding,
		Blocks: d.orders.blocks(),
		Evidence: control.Evidence{Probes: e.evidence.Probes, Capacity: e.evidence.Capacity,
			Sources: e.evidence.Sources},
		Untold: e.Untold + d.journal.Dropped(), Reasons: map[string]uint64{}, Known: e.lists,
		Buffer: d.reader.Buffer(), Reaction: reaction, Rules: rules, Inline: d.reportInline(),
	}
	if s.Trial, err = d.docket.trial(ctx, time.Now(), false); err != nil {
		return nil, err
	}
	for i, n := range e.Reasons {
		if n > 0 {
			s.Reasons[engine.Reason(i).String()] = n
		}
	}
	return s, nil
}

// recentSources is how many sources the answer to "sources" has: the judge needs less than a
// millisecond for it.
const recentSources = 256

// sources lists the latest sources.
func (d *daemon) sources(ctx context.Context) ([]control.Source, error) {
	recent, err := d.docket.recent(ctx, recentSources)
	if err != nil {
		return nil, err
	}
	c := d.current()
	list := make([]control.Source, 0, len(recent))
	for _, s := range recent {
		var ev event.Event
		c.Locate(&ev, s.Prefix.Addr())
		list = append(list, control.Source{
			Name: event.SourceName(s.Prefix), Probes: s.Probes, Ports: s.Ports, Targets: s.Targets,
			Pattern: s.Pattern.String(), Tool: s.Tool.String(),
			Proven: s.Proven, Blocked: s.Blocked && !c.DryRun, Offences: s.Offences, First: s.First,
			Last:    s.Last,
			Country: ev.Country, ASN: ev.ASN, Network: ev.Network,
		})
	}
	return list, nil
}

// blocks lists the book with the kernel's counters, oldest first. It asks both in parts, and
// has one part in memory. The kernel is asked over a separate connection, so nobody waits.
func (d *daemon) blocks(ctx context.Context) (control.Stream, error) {
	list, err := d.orders.bySince(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b ledger.Dated) int { return cmp.Compare(a.Since, b.Since) })
	return func(send func(any) error) error {
		t, err := d.machine.OpenTable(d.table)
		if err != nil {
			return err
		}
		defer t.Close()
		var rows ledger.Rows
		for part := range slices.Chunk(list, batch) {
			if rows, err = d.orders.rows(ctx, rows, part); err == nil {
				err = t.Look(rows.Kernel)
			}
			for i := range rows.Told {
				if err == nil {
					rows.Told[i].Drops = rows.Kernel[i].Drops
					err = send(&rows.Told[i])
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// remove ends the daemon, which would put back what "picket remove" removes. The answer is the
// process number, for the caller to wait for.
func (d *daemon) remove() (int, error) {
	select {
	case d.quit <- struct{}{}:
	default: // asked already
	}
	return os.Getpid(), nil
}

// kernelRelease returns the output of "uname -r".
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
