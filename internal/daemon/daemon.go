// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"picket/engine"
	"picket/internal/ahead"
	"picket/internal/allowed"
	"picket/internal/behind"
	"picket/internal/beside"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/host"
	"picket/internal/journal"
	"picket/internal/lookout"
	"picket/internal/machine"
	"picket/internal/memory"
	"picket/internal/state"
	"picket/internal/systemd"
	"picket/internal/task"
	"picket/internal/trap"
	"picket/nft"
)

// Options are the settings of the command line.
type Options struct {
	Path    string // of the configuration
	DryRun  bool   // judge and report, block nobody
	Version string // of picket, for "picket status"
}

// Run runs the daemon until SIGTERM, SIGINT or "picket remove", or until a part of it
// fails. On SIGHUP it reads its configuration again.
func Run(o Options) error {
	d := newDaemon(o, machine.Here(), journal.New())
	defer d.journal.Close()
	return d.run()
}

// A daemon ties the parts of one run together.
type daemon struct {
	options Options
	machine *machine.Machine
	started time.Time
	journal *journal.Writer
	table   nft.Config // does not change while picket runs

	reloading sync.Mutex // one reload at a time

	mu        sync.Mutex // guards what a reload changes
	config    *config.Config
	friends   []host.Friend
	operators []netip.Addr // the hosts that the operator is logged in from
	virtual   host.Virtual // what others serve at addresses of this host
	allowed   allowed.List // friends by command, in force

	guests    atomic.Pointer[engine.Prefixes] // virtual.Addresses
	bells     bells
	docket    *docket // the judge's
	forwarded *behind.Watch
	orders    *orders // the blocker's
	actions   *beside.Set
	peers     lookout.Peers // of the task peers
	reader    machine.Reader
	control   net.Listener
	claim     io.Closer // of the network namespace
	watcher   machine.Watcher
	trap      *trap.Trap
	inline    inlineState
	fail      func(error) // ends the run

	passedTrap bool          // systemd has the trap's listener, and keeps it open
	lost       bool          // the kernel has none of the blocks of an earlier run
	remembered chan struct{} // closed when the state of an earlier run is read,
	known      atomic.Bool   // true from then on
	saver      state.Saver
	allowances *allowed.Keeper
	unanswered *journal.Trouble // of the task peers
	quit       chan struct{}    // "picket remove" asks for the end
	arming     arming           // guarded by mu
	removed    bool             // there is nothing to save
}

func newDaemon(o Options, m *machine.Machine, j *journal.Writer) *daemon {
	d := &daemon{
		options: o, machine: m, started: time.Now(), journal: j,
		inline: inlineState{kind: leftover},
		docket: newDocket(), forwarded: behind.NewWatch(), orders: newOrders(), bells: newBells(),
		quit: make(chan struct{}, 1), remembered: make(chan struct{}),
		unanswered: journal.NewTrouble(j, "who is connected is not spared"),
	}
	d.allowances = allowed.New(d.allow, j)
	return d
}

// load reads the configuration and writes its warnings into the journal. --dry-run
// wins over the file.
func (d *daemon) load() (*config.Config, error) {
	c, err := config.Load(d.options.Path)
	if err != nil {
		return nil, err
	}
	if err := c.Runnable(); err != nil {
		return nil, err
	}
	for _, w := range c.Warnings {
		d.journal.Notice("", "%s", w)
	}
	c.DryRun = c.DryRun || d.options.DryRun
	return c, nil
}

func (d *daemon) run() (err error) {
	passed, err := systemd.Activated()
	if err != nil {
		d.journal.Notice("", "%v", err) // the other databases still work
	}
	d.control = passed.Control
	if d.config, err = d.load(); err != nil {
		control.Refuse(d.control, err)
		return err
	}
	d.orders.book.Ceiling = memory.Bind(d.config.Bound())
	// One of each may wait, so an end is not lost behind reloads.
	reload, end := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(reload)
	defer signal.Stop(end)
	return d.live(context.Background(), passed, reload, end)
}

// live opens everything, runs the tasks until the end or a failure, and closes everything in order.
func (d *daemon) live(ctx context.Context, passed systemd.Sockets, reload, end <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer d.close()
	d.fail = func(err error) { cancel(err) }
	j, b, err := d.open(passed)
	if err != nil {
		control.Refuse(d.control, err)
		return err
	}
	var group task.Group
	group.Start(ctx, func(err error) { cancel(err) }, d.tasks(j, b)...)
	defer func() {
		group.Stop()
		if !d.removed && d.known.Load() { // before that the file knows more
			d.lastState(b, j)
		}
		_ = b.table.Close()
	}()
	within, stop := context.WithTimeout(ctx, readyWithin)
	group.Wait(within)
	stop()
	if d.machine.Unfiltered() {
		if err := d.machine.Confine(); err != nil {
			d.journal.Notice("", "the system calls are not filtered: %v", err)
		}
	}
	d.ready()
	return d.wait(ctx, reload, end)
}

// tasks are the goroutines of the daemon. docs/architecture.md lists them, and the owner of
// each piece of state.
func (d *daemon) tasks(j *judge, b *blocker) []task.Task {
	return []task.Task{
		task.New("judge", j.run),
		task.New("blocker", b.run),
		task.New("control socket", d.serve),
		task.New("table watch", d.watchTable),
		task.New("host watch", d.watchHost),
		task.New("peers", d.watchPeers),
		d.watchServices(),
		d.watchFlows(),
		task.New("forwarded", d.watchForwarded),
		task.New("trap", d.serveTrap),
		d.watchTrap(),
		d.watchLoss(),
		task.New("clock", d.watchClock),
		task.New("allowances", d.allowances.Watch),
		task.When("drops", d.bells.drops, dropsEvery, dropsShare, d.watchDrops),
		task.New("end of the start", memory.GiveBack),
		task.Every("trial teller", time.Hour, 1, d.tellTrial),
		task.Later("memory of earlier runs", d.remember),
	}
}

// wait acts on signals until the end, or until a part of the daemon fails.
func (d *daemon) wait(ctx context.Context, reload, end <-chan os.Signal) error {
	for {
		select {
		case <-reload:
			_ = d.reload(ctx) // the journal has it
		case <-end:
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

// open opens everything: first the socket that only one daemon can have, then the group, then
// the rules, which must not mirror into a group that is not bound. If a step fails, the kernel
// does not change. The owners that open returns do not run yet.
func (d *daemon) open(passed systemd.Sockets) (j *judge, b *blocker, err error) {
	if err := d.machine.CheckKernel(); err != nil {
		return nil, nil, err
	}
	if err := d.openSockets(passed); err != nil {
		return nil, nil, err
	}
	if d.claim, err = d.machine.Claim(); err != nil {
		return nil, nil, err
	}
	d.allowed = d.allowances.Recall(time.Now())
	if d.friends, err = d.findFriends(d.config); err != nil {
		return nil, nil, err
	}
	e, err := engine.New(d.engineConfig(), seed())
	if err != nil {
		return nil, nil, err
	}
	d.table = d.config.Table()
	table, err := d.machine.OpenTable(d.table)
	if err != nil {
		return nil, nil, err
	}
	j = newJudge(d.config, e, d.docket, d.orders, d.journal)
	d.actions = beside.New(d.config, d.machine.Routes, d.orders, d.journal)
	j.actions = d.actions
	if d.machine.Unfiltered() {
		if err := d.actions.Detach(d.options.Path); err != nil {
			return nil, nil, err
		}
	}
	b = newBlocker(table, d.orders, d.config, d.actions, d.journal, d.docket.unblocked, d.bells)
	d.lookAtPeers() // before the first probe, which may wait in a stored socket
	e.SetConnected(d.peers.Set)
	// Other changes of the table are not reported before it is known to be ours.
	found, err := table.Inspect()
	if found == nft.Foreign {
		err = nft.ErrForeign
	}
	if err == nil {
		err = d.openReader(passed.NFLOG)
		j.behind = d.behindKernel
	}
	if err == nil {
		d.bindInline()
		err = d.install(b, found)
	}
	if err != nil {
		_ = table.Close()
		return nil, nil, err
	}
	return j, b, nil
}

// openSockets takes the sockets that systemd passed, and makes the others.
func (d *daemon) openSockets(passed systemd.Sockets) (err error) {
	d.passedTrap = len(passed.Traps) > 0
	if d.control == nil {
		if d.control, err = control.Listen(control.Path()); err != nil {
			return err
		}
	}
	d.openTrap(context.Background(), passed.Traps)
	return nil
}

// install puts the table into the kernel. The blocks of an earlier run follow later, see remember.
func (d *daemon) install(b *blocker, found nft.State) (err error) {
	// The watch begins first, so that no change is missed.
	if d.watcher, err = b.table.Watch(); err != nil {
		return err
	}
	// An include of nftables.conf has made the table, without our elements. The old table has
	// gone, with its blocks.
	fresh := found == nft.Absent
	if !fresh {
		filled, err := b.table.Filled()
		if err != nil {
			return err
		}
		fresh = !filled
	}
	b.wanted = d.elements()
	adopted, err := b.table.Install(b.wanted)
	if err != nil {
		return err
	}
	if adopted {
		d.journal.Notice("", "table inet %s was there, complete: its sets were filled", nft.Name)
	}
	if d.leadInline(b.lead) {
		b.wanted = d.elements()
		if err := b.table.Fill(b.wanted); err != nil {
			return err
		}
	}
	d.lost = fresh
	d.actions.Start()
	return nil
}

// close closes what open opened. The table and its blocks stay.
func (d *daemon) close() {
	if d.reader != nil {
		d.reader.Close()
	}
	d.closeInline()
	if d.watcher != nil {
		d.watcher.Close()
	}
	if d.actions != nil {
		d.actions.Stop()
	}
	if d.control != nil {
		d.control.Close()
	}
	if d.trap != nil {
		d.trap.Close() // closed already if it was served
	}
	if d.claim != nil {
		d.claim.Close()
	}
}

func (d *daemon) ready() {
	c := d.current()
	text := fmt.Sprintf("ready: NFLOG group %d with a receive buffer of %d MiB, %s",
		c.NFLOG.Group, d.reader.Buffer()>>20, d.startBlocks())
	if port := d.listenerPort(); port != 0 {
		text += fmt.Sprintf(", trap on port %d", port)
	}
	if c.DryRun {
		text += "; dry run, nobody will be blocked"
	}
	d.journal.Notice(journal.Start, "%s", text)
	_ = systemd.Ready(text)           // a no-op away from systemd
	_, chains, _ := d.machine.Ahead() // "picket check --host" tells what failed
	for _, name := range chains {
		d.journal.Notice("", "%s: %s", ahead.Says(name), ahead.Remedy)
	}
}

// startBlocks returns what the journal says about blocks at the start.
func (d *daemon) startBlocks() string {
	if !d.known.Load() {
		return "the blocks of an earlier run being read"
	}
	return fmt.Sprintf("%d blocks in force", d.orders.blocks())
}

// seed hides the places of the engine's table from attackers.
func seed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.NativeEndian.Uint64(b[:])
}

func (d *daemon) findFriends(c *config.Config) ([]host.Friend, error) {
	friends, err := d.machine.Host.Friends(host.Wanted{
		Own: c.Ignore.Own, Gateways: c.Ignore.Gateways, Resolvers: c.Ignore.Resolvers,
	})
	if err != nil {
		return nil, err
	}
	for _, p := range c.Ignore.Addresses {
		friends = append(friends, host.Friend{Prefix: p, Why: "ignored by the configuration"})
	}
	for p, f := range d.allowed {
		friends = append(friends, host.Friend{Prefix: p, Why: f.Why()})
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
	links, err := d.machine.Links()
	if err != nil {
		d.journal.Notice("", "neighbours on a link count by their IPv6 prefix: %v", err)
	}
	c.OnLink = engine.NewPrefixes(links...)
	c.Operators = lookout.Set(d.operators)
	return c
}

func (d *daemon) elements() *nft.Elements {
	e := d.config.Elements()
	e.Ignored, e.TrapPort = d.prefixes(), d.trapPort()
	e.Links, _ = d.machine.Links() // engineConfig writes its error into the journal
	e.Operators, e.LoginPorts = d.operators, d.machine.LoginPorts()
	e.Elsewhere, e.Virtual, e.Behind = d.virtual.Addresses, d.virtual.Ports, d.networks()
	if e.Published {
		e.Behind = append(e.Behind[:len(e.Behind):len(e.Behind)], d.virtual.Known...)
	}
	if d.inline.queue == nil {
		e.Inline = false // there is no queue
	}
	return e
}
