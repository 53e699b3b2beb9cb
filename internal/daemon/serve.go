// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/nft"
)

// serve answers the commands that come over the control socket.
func (d *daemon) serve(ctx context.Context, cancel context.CancelCauseFunc) {
	err := control.Serve(ctx, d.control, func(r control.Request) (any, error) {
		switch r.Command {
		case "status":
			return d.status(ctx)
		case "blocks":
			return d.blocks(ctx)
		case "sources":
			return d.sources(ctx)
		case "block":
			return nil, d.block(ctx, r)
		case "unblock":
			return d.unblock(ctx, r)
		case "explain":
			return d.explain(ctx, r)
		case "remove":
			return d.remove()
		}
		return nil, fmt.Errorf("unknown command %q: the daemon is of version %s", r.Command, d.version)
	})
	if err != nil {
		cancel(err)
	}
}

func (d *daemon) status(ctx context.Context) (*control.Status, error) {
	var e engine.Stats
	var known map[string]uint64
	var kept evidence.Stats
	var flooding bool
	if err := d.judge.call(ctx, func() {
		e, known, kept = d.judge.engine.Stats(), d.judge.engine.Lists(), d.judge.evidence.Stats()
		flooding = d.judge.engine.Flooding(time.Now())
	}); err != nil {
		return nil, err
	}
	var reaction control.Reaction
	if err := d.blocker.call(ctx, func() error { reaction = d.blocker.speed.summary(); return nil }); err != nil {
		return nil, err
	}
	c := d.current()
	r := d.reader.Stats()
	s := &control.Status{
		Version: d.version, Kernel: kernelRelease(), Pid: os.Getpid(), Uptime: int64(time.Since(d.started) / time.Second),
		Config: cmp.Or(c.File, "embedded default"), DryRun: c.DryRun, Group: c.NFLOG.Group,
		Modes:  map[string][]string{"tcp": c.TCP.Modes.Names(), "udp": c.UDP.Modes.Names(), "ip": c.IP.Modes.Names()},
		Probes: e.Probes, Lost: r.Lost, Garbage: r.Garbage,
		Sources: e.Sources, Evicted: e.Evicted, Traces: e.Traces, Flooding: flooding, Blocks: int(d.blocker.count.Load()),
		Evidence: control.Evidence{Probes: kept.Probes, Capacity: kept.Capacity, Sources: kept.Sources},
		Untold:   e.Untold + d.journal.Dropped(), Reasons: map[string]uint64{}, Known: known, Buffer: d.reader.Buffer(), Reaction: reaction,
	}
	for i, n := range e.Reasons {
		if n > 0 {
			s.Reasons[engine.Reason(i).String()] = n
		}
	}
	return s, nil
}

// recentSources is how many of the sources seen last "sources" answers with:
// describing so many holds up the judge for less than a millisecond.
const recentSources = 256

// sources lists the sources that were seen last.
func (d *daemon) sources(ctx context.Context) ([]control.Source, error) {
	var recent []engine.Source
	if err := d.judge.call(ctx, func() { recent = d.judge.engine.Recent(recentSources) }); err != nil {
		return nil, err
	}
	c := d.current()
	list := make([]control.Source, 0, len(recent))
	for _, s := range recent {
		var ev event.Event
		c.Locate(&ev, s.Prefix.Addr())
		list = append(list, control.Source{
			Name: event.SourceName(s.Prefix), Probes: s.Probes, Ports: s.Ports, Targets: s.Targets, Pattern: s.Pattern.String(), Tool: s.Tool.String(),
			Proven: s.Proven, Blocked: s.Blocked, Offences: s.Offences, First: s.First, Last: s.Last,
			Country: ev.Country, ASN: ev.ASN, Network: ev.Network,
		})
	}
	return list, nil
}

// blocks lists the book with the kernel's counters, which are read over a
// connection of their own: reading 100,000 takes a second.
func (d *daemon) blocks(ctx context.Context) ([]control.Block, error) {
	var list []control.Block
	if err := d.blocker.call(ctx, func() error { list = d.blocker.list(time.Now()); return nil }); err != nil {
		return nil, err
	}
	drops := map[netip.Prefix]uint64{}
	kernel, err := readBlocks(d.table)
	if err != nil {
		return nil, err
	}
	for _, b := range kernel {
		drops[b.Source] = b.Drops
	}
	for i := range list {
		list[i].Drops = drops[list[i].Source]
	}
	slices.SortFunc(list, func(a, b control.Block) int { return a.Since.Compare(b.Since) })
	return list, nil
}

// block blocks by hand. Friends are refused; a connected peer is not, since to end
// its connection may be what the block is for.
func (d *daemon) block(ctx context.Context, r control.Request) error {
	p, ok := config.ParseSource(r.Source)
	if !ok {
		return fmt.Errorf("%q is no address or prefix", r.Source)
	}
	length, err := config.ParseDuration(r.For)
	if err != nil {
		return err
	}
	d.mu.Lock()
	friends := d.friends
	d.mu.Unlock()
	for _, f := range friends {
		if f.Prefix.Overlaps(p) {
			return refuseFriend(p, fmt.Sprintf("%s is protected (%s)", event.SourceName(f.Prefix), f.Why))
		}
	}
	now := time.Now()
	ev := event.Event{Event: "block", Time: now, Source: event.SourceName(p), Action: "block", For: event.Seconds(length), Reason: r.Reason, Config: handmade}
	d.actions.set.Load().Locate(&ev, p.Addr())
	if err := d.blocker.call(ctx, func() error {
		w := &blockWork{source: p, length: time.Duration(length), event: ev}
		if err := d.blocker.table.Block([]nft.Block{{Source: p, For: w.length}}, d.blocker.known); err != nil {
			return err
		}
		d.blocker.blocked(w, now)
		return nil
	}); err != nil {
		return err
	}
	return d.judge.call(ctx, func() { d.judge.engine.Restore(engine.Block, p, now, now.Add(time.Duration(length))) })
}

func (d *daemon) unblock(ctx context.Context, r control.Request) (n int, err error) {
	var p netip.Prefix
	if !r.All {
		var ok bool
		if p, ok = config.ParseSource(r.Source); !ok {
			return 0, fmt.Errorf("%q is no address or prefix", r.Source)
		}
	}
	err = d.blocker.call(ctx, func() (err error) {
		if n, err = d.blocker.unblock(p, "by hand"); err == nil && n == 0 && !r.All {
			err = notBlocked(d.blocker.book, p)
		}
		return err
	})
	return n, err
}

// notBlocked says so of a source, and which block it is part of.
func notBlocked(book map[netip.Prefix]*entry, p netip.Prefix) error {
	for bits := p.Bits() - 1; bits >= 0; bits-- {
		if whole := netip.PrefixFrom(p.Addr(), bits).Masked(); book[whole] != nil {
			return fmt.Errorf("%s is blocked as part of %s: \"picket unblock %s\" ends that", event.SourceName(p), whole, whole)
		}
	}
	return fmt.Errorf("%s is not blocked: \"picket blocks\" lists who is", event.SourceName(p))
}

// remove ends the daemon, which would put back what "picket remove" takes
// away, and returns its process number so that its end can be waited for.
func (d *daemon) remove() (int, error) {
	select {
	case d.quit <- struct{}{}:
	default: // asked already
	}
	return os.Getpid(), nil
}

// kernelRelease returns what uname -r prints.
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
