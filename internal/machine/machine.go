// SPDX-License-Identifier: MIT

// Package machine is the machine as a run of picket needs it: the table, the group, the
// queue, the host and the clock, each behind an interface or a function.
//
// It opens everything on demand. Most of it needs CAP_NET_ADMIN.
package machine

import (
	"context"
	"io"
	"net/netip"
	"syscall"

	"picket/internal/ahead"
	"picket/internal/behind"
	"picket/internal/beside"
	"picket/internal/clock"
	"picket/internal/confine"
	"picket/internal/host"
	"picket/internal/inline"
	"picket/internal/modules"
	"picket/internal/probe"
	"picket/nflog"
	"picket/nft"
)

// A Machine is what a run needs of the machine. Tests have one in memory. Except is the
// port of the trap: its connections do not count.
type Machine struct {
	CheckKernel func() error
	Claim       func() (io.Closer, error) // the network namespace
	Clock       func(ctx context.Context, stepped func()) error
	OpenTable   func(nft.Config) (Table, error)
	OpenQueue   func(number uint16, emit func(inline.Held, []byte) bool, fail func(error)) (Queue, error)
	OpenReader  func(nflog.Config, func(probe.Probe, []byte), func(error)) (Reader, error)
	Routes      beside.RouteOpener
	Host        Host
	Peers       func(except uint16) ([]netip.Addr, error)
	Links       func() ([]netip.Prefix, error)
	Flows       func(except uint16) (map[netip.Addr]bool, error)
	Services    func(except uint16) ([]host.Service, error)
	Tracking    func() error // that connection tracking has no room
	Operators   func() (from []netip.Addr, known bool)
	LoginPorts  func() []uint16
	Virtuals    func() host.Virtual
	Networks    func() ([]host.Network, error)
	Ahead       func() (tables, chains []string, err error) // see [ahead.Look]
	Asker       func() (behind.Asker, error)

	// Unfiltered reports whether nothing limits the system calls yet; Confine does then.
	Unfiltered func() bool
	Confine    func() error

	CutOffloaded func(of func(netip.Addr) bool) (int, error)
}

// A Table is what a run needs of an [nft.Table].
type Table interface {
	Inspect() (nft.State, error)
	Install(*nft.Elements) (adopted bool, err error)
	Fill(*nft.Elements) error
	Verify() (bool, error)
	Filled() (bool, error)
	Quiet(keepTrap bool) error
	Watch() (Watcher, error)
	Close() error

	Block(list []nft.Block, renew func(nft.Response, netip.Prefix) bool) error
	Unblock(netip.Prefix) error
	End(nft.Response, netip.Prefix) error
	UnblockAll() error
	Forget([]netip.Prefix) error
	Serve([]nft.Service) error
	Counters() (map[string]uint64, error)
	Release([]netip.Addr) error
	Each(func(*nft.Block) error) error
	Look([]nft.Block) error
	Connected(netip.Addr) (bool, error)

	Queue(number uint16) (nft.QueueKind, error)
	Unqueue() error
	Queued() (bool, error)
}

// A Watcher is what a run needs of an [nft.Watcher].
type Watcher interface {
	Run(changed func(by string)) error
	Close()
}

// A Reader is what a run needs of an [nflog.Reader].
type Reader interface {
	syscall.Conn
	Buffer() int
	Stats() nflog.Stats
	Behind() bool
	Refused() error
	Close()
}

// A Queue is what a run needs of an [inline.Queue].
type Queue interface {
	Stats() inline.Stats
	Close()
}

// A Host is what a run needs of a [host.Host].
type Host interface {
	Friends(host.Wanted) ([]host.Friend, error)
	Watch(ctx context.Context, changed func()) error
}

// Here is the machine that picket runs on.
func Here() *Machine {
	return &Machine{
		CheckKernel: checkKernel, Claim: nflog.Claim, Clock: clock.Watch, OpenTable: openTable,
		OpenReader: openReader, OpenQueue: openQueue,
		Routes: beside.OpenRoutes, Host: new(host.Host), Peers: host.Peers, Links: host.OnLink,
		Flows: host.Flows, CutOffloaded: host.CutOffloaded, Services: host.Services, Tracking: host.Tracking,
		Operators: host.Operators, LoginPorts: host.LoginPorts,
		Unfiltered: confine.Needed, Confine: confine.Here,
		Virtuals: host.Virtuals, Networks: host.Networks, Asker: behind.OpenKernel,
		Ahead: ahead.Look,
	}
}

// checkKernel comes before anything is opened: the error then names the missing part,
// and not a directory that cannot be made.
func checkKernel() error {
	if err := modules.CheckPermission(); err != nil {
		return err
	}
	return modules.CheckKernel()
}

// open returns as(p), or nil with the error: no nil pointer hides in an interface.
func open[P, I any](p *P, err error, as func(*P) I) (nothing I, _ error) {
	if err != nil {
		return nothing, err
	}
	return as(p), nil
}

type kernelTable struct{ *nft.Table }

func openTable(c nft.Config) (Table, error) {
	t, err := nft.Open(c)
	return open(t, err, func(t *nft.Table) Table { return kernelTable{t} })
}

// Watch implements [Table].
func (t kernelTable) Watch() (Watcher, error) {
	w, err := t.Table.Watch()
	return open(w, err, func(w *nft.Watcher) Watcher { return w })
}

func openQueue(number uint16, emit func(inline.Held, []byte) bool, fail func(error)) (Queue, error) {
	q, err := inline.Open(number, emit, fail)
	return open(q, err, func(q *inline.Queue) Queue { return q })
}

func openReader(c nflog.Config, emit func(probe.Probe, []byte), fail func(error)) (Reader, error) {
	r, err := nflog.Open(c, emit, fail)
	return open(r, err, func(r *nflog.Reader) Reader { return r })
}
