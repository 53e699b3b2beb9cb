// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/host"
	"picket/internal/journal"
	"picket/internal/systemd"
	"picket/internal/trap"
	"picket/nflog"
	"picket/nft"
)

// Options say which daemon is wanted.
type Options struct {
	Path    string // of the configuration
	DryRun  bool   // judge and tell, block nobody
	Version string // of picket, for who asks
}

// Run runs the daemon until SIGTERM, SIGINT or "picket remove" ends it, or a
// part of it fails. SIGHUP has it read its configuration again.
func Run(o Options) error {
	d := &daemon{path: o.Path, dryRun: o.DryRun, version: o.Version, started: time.Now(), journal: journal.New(), quit: make(chan struct{}, 1)}
	defer d.journal.Close()
	return d.run()
}

// A daemon is the parts of one run and how they are tied together.
type daemon struct {
	path    string
	dryRun  bool
	version string
	started time.Time
	journal *journal.Writer
	table   nft.Config // does not change while picket runs
	host    host.Host

	mu      sync.Mutex // for what a reload changes
	config  *config.Config
	friends []host.Friend

	judge   *judge
	blocker *blocker
	actions *actions
	peers   peers
	reader  *nflog.Reader
	control net.Listener
	watcher *nft.Watcher
	trap    *trap.Trap

	passedTrap bool          // the trap's listener is systemd's, and stays open without us
	adopting   bool          // the kernel has blocks of an earlier run, which are read later
	restoring  bool          // the blocks of an earlier run are put back later
	quit       chan struct{} // asks to end for good, for "picket remove"
	removed    bool          // there is nothing to keep
}

// load reads the configuration, and --dry-run over it.
func (d *daemon) load() (*config.Config, error) {
	c, err := config.Load(d.path)
	if err != nil {
		return nil, err
	}
	if err := c.Runnable(); err != nil {
		return nil, err
	}
	c.DryRun = c.DryRun || d.dryRun
	return c, nil
}

func (d *daemon) run() (err error) {
	passed, err := systemd.Activated()
	if err != nil {
		d.journal.Notice("", "%v", err) // the others are of use
	}
	d.control = passed.Control
	if d.config, err = d.load(); err != nil {
		control.Refuse(d.control, err)
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if err := d.open(passed, func(err error) { cancel(err) }); err != nil {
		control.Refuse(d.control, err)
		d.close()
		return err
	}
	var owners sync.WaitGroup
	defer func() {
		cancel(nil)
		owners.Wait()
		if !d.removed {
			d.lastState()
		}
		d.close()
	}()
	owners.Go(func() { d.judge.run(ctx) })
	owners.Go(func() { d.blocker.run(ctx) })
	owners.Go(func() { d.serve(ctx, cancel) })
	owners.Go(func() { d.watchTable(ctx, cancel) })
	owners.Go(func() { d.watchHost(ctx) })
	owners.Go(func() { d.watchPeers(ctx) })
	owners.Go(func() { d.serveTrap(ctx) })
	owners.Go(func() { d.adopt(ctx) })
	owners.Go(func() { d.keepState(ctx) })
	owners.Go(func() { d.watchLoss(ctx) })
	d.ready()
	return d.wait(ctx, signals)
}

// wait acts on signals until one ends the daemon, or a part of it fails.
func (d *daemon) wait(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				d.reload(ctx)
				continue
			}
			d.stop(ctx, "stopping: blocks stay in force until their time is over")
			return nil
		case <-d.quit:
			d.removed = true
			d.stop(ctx, "stopping for \"picket remove\"")
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// open acquires everything, in an order that leaves the kernel as it was if a
// step fails: the socket that only one daemon can have, the group, and only
// then the rules: what they mirror while nobody has bound the group is lost.
func (d *daemon) open(passed systemd.Sockets, fail func(error)) (err error) {
	if err := nft.CheckKernel(); err != nil {
		return err
	}
	d.passedTrap = len(passed.Traps) > 0
	if d.control == nil {
		if d.control, err = control.Listen(control.Path()); err != nil {
			return err
		}
	}
	d.openTrap(context.Background(), passed.Traps)
	if d.friends, err = d.findFriends(d.config); err != nil {
		return err
	}
	e, err := engine.New(d.engineConfig(), seed())
	if err != nil {
		return err
	}
	d.table = d.config.Table()
	table, err := nft.Open(d.table)
	if err != nil {
		return err
	}
	d.judge = newJudge(d.config, e, d.journal)
	d.judge.keep(d.config)
	d.blocker = newBlocker(table, d.journal, d.judge.lost)
	d.actions = newActions(d.config, d.blocker, d.journal)
	d.judge.blocker, d.judge.actions, d.blocker.actions = d.blocker, d.actions, d.actions
	d.peers.trouble = trouble{journal: d.journal, what: "who is connected is not spared"}
	d.peers.look(d) // before the first probe, which may wait in a stored socket
	e.SetConnected(d.peers.set)
	// Nobody may be between us and the table before it is known to be ours.
	found, err := table.Inspect()
	if err != nil || found == nft.Foreign {
		return errors.Join(err, foreign(found))
	}
	if err := d.openReader(passed.NFLOG, fail); err != nil {
		return err
	}
	return d.install(table, found)
}

func foreign(s nft.State) error {
	if s == nft.Foreign {
		return nft.ErrForeign
	}
	return nil
}

// readyBlocks is how many blocks are put back before picket says that it is
// ready, in some 0.1 s. With more, what waits for picket to be ready (the
// network, at boot) is not held up, and they are back within the second.
const readyBlocks = 20_000

// install puts the table and the blocks of an earlier run into the kernel.
// Where the table was there already, reading its blocks may take a second, so
// that is done later, by adopt.
func (d *daemon) install(table *nft.Table, found nft.State) (err error) {
	// Watch first, so that no change falls between.
	if d.watcher, err = table.Watch(); err != nil {
		return err
	}
	// A table without our elements was made by an include since: what it
	// blocked went with the one before.
	fresh := found == nft.Absent
	if !fresh {
		filled, err := table.Filled()
		if err != nil {
			return err
		}
		fresh = !filled
	}
	d.blocker.wanted = d.elements()
	adopted, err := table.Install(d.blocker.wanted)
	if err != nil {
		return err
	}
	if adopted {
		d.journal.Notice("", "table inet %s was there, complete: its sets were filled", nft.Name)
	}
	kept := d.recall(time.Now())
	if len(kept.Memory) > 0 {
		if err := d.judge.engine.Recall(kept.Memory); err != nil {
			d.journal.Notice("", "sources start anew: %v", err)
		}
	}
	d.blocker.restore(kept.Blocks)
	for _, k := range kept.Blocks {
		d.judge.engine.Restore(engine.Block, k.Source, k.Since, k.Until)
	}
	switch {
	case fresh && len(kept.Blocks) > readyBlocks:
		d.restoring = true
		d.blocker.put(work{do: func() { // the first thing its owner does
			if _, err := d.blocker.putBack(nil); err != nil {
				d.journal.Notice("", "the blocks of an earlier run are not all back: %v", err)
			}
		}})
	case fresh:
		if _, err := d.blocker.putBack(nil); err != nil {
			return err
		}
	}
	d.adopting = !fresh
	d.actions.start()
	if !d.adopting {
		d.actions.keep(d.actions.standing())
		d.actions.settle()
	}
	return nil
}

// close gives back what open acquired. The table and its blocks stay.
func (d *daemon) close() {
	if d.reader != nil {
		d.reader.Close()
	}
	if d.watcher != nil {
		d.watcher.Close()
	}
	if d.blocker != nil {
		_ = d.blocker.table.Close()
	}
	if d.actions != nil {
		d.actions.stop()
	}
	if d.control != nil {
		d.control.Close()
	}
	if d.trap != nil {
		d.trap.Close() // closed already if it was served
	}
}

func (d *daemon) ready() {
	c := d.current()
	text := fmt.Sprintf("ready: NFLOG group %d with a receive buffer of %d MiB, %s", c.NFLOG.Group, d.reader.Buffer()>>20, d.startBlocks())
	if port := d.listenerPort(); port != 0 {
		text += fmt.Sprintf(", trap on port %d", port)
	}
	if c.DryRun {
		text += "; dry run, nobody will be blocked"
	}
	d.journal.Notice(journal.Start, "%s", text)
	_ = systemd.Ready(text) // a no-op away from systemd
}

// startBlocks says what is known of the blocks at the start: with what is done
// later, the book is not yet what the kernel has.
func (d *daemon) startBlocks() string {
	n := d.blocker.count.Load()
	switch {
	case d.adopting:
		return fmt.Sprintf("%d blocks by the state file, those in the kernel being read", n)
	case d.restoring:
		return fmt.Sprintf("%d blocks being put back", n)
	}
	return fmt.Sprintf("%d blocks in force", n)
}

// seed makes the engine's table unpredictable to those who send probes.
func seed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.NativeEndian.Uint64(b[:])
}

func (d *daemon) findFriends(c *config.Config) ([]host.Friend, error) {
	friends, err := d.host.Friends(host.Wanted{Own: c.Ignore.Own, Gateways: c.Ignore.Gateways, Resolvers: c.Ignore.Resolvers})
	if err != nil {
		return nil, err
	}
	for _, p := range c.Ignore.Addresses {
		friends = append(friends, host.Friend{Prefix: p, Why: "ignored by the configuration"})
	}
	return friends, nil
}

func (d *daemon) prefixes() (out []netip.Prefix) {
	for _, f := range d.friends {
		out = append(out, f.Prefix)
	}
	return out
}

func (d *daemon) engineConfig() engine.Config {
	c := d.config.Engine(d.prefixes(), host.EphemeralPort(), d.trapPort() != 0)
	links, err := host.OnLink()
	if err != nil {
		d.journal.Notice("", "neighbours on a link count by their IPv6 prefix: %v", err)
	}
	c.OnLink = engine.NewPrefixes(links...)
	return c
}

func (d *daemon) elements() *nft.Elements {
	e := d.config.Elements()
	e.Ignored, e.TrapPort = d.prefixes(), d.trapPort()
	return e
}
