// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"io"
	"net/netip"
	"syscall"

	"picket/internal/behind"
	"picket/internal/beside"
	"picket/internal/clock"
	"picket/internal/host"
	"picket/internal/inline"
	"picket/internal/probe"
	"picket/nflog"
	"picket/nft"
)

// A system is the machine as a run needs it. Tests have one in memory.
type system struct {
	checkKernel func() error
	claim       func() (io.Closer, error) // the network namespace
	clock       func(ctx context.Context, stepped func()) error
	openTable   func(nft.Config) (table, error)
	openQueue   func(number uint16, emit func(inline.Held, []byte) bool, fail func(error)) (queue, error)
	openReader  func(nflog.Config, func(probe.Probe, []byte), func(error)) (reader, error)
	routes      beside.RouteOpener
	host        hostState
	peers       func(except uint16) ([]netip.Addr, error)
	links       func() ([]netip.Prefix, error)
	flows       func(except uint16) (map[netip.Addr]bool, error)
	services    func(except uint16) ([]host.Service, error)
	operators   func() (from []netip.Addr, known bool)
	loginPorts  func() []uint16
	elsewhere   func() []netip.Prefix
	networks    func() ([]host.Network, error)
	asker       func() (behind.Asker, error)
}

// A table is what a run needs of an [nft.Table].
type table interface {
	Inspect() (nft.State, error)
	Install(*nft.Elements) (adopted bool, err error)
	Fill(*nft.Elements) error
	Verify() (bool, error)
	Filled() (bool, error)
	Quiet(keepTrap bool) error
	Watch() (watcher, error)
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

// A watcher is what a run needs of an [nft.Watcher].
type watcher interface {
	Run(changed func(by string)) error
	Close()
}

// A reader is what a run needs of an [nflog.Reader].
type reader interface {
	syscall.Conn
	Buffer() int
	Stats() nflog.Stats
	Refused() error
	Close()
}

// A queue is what a run needs of an [inline.Queue].
type queue interface {
	Stats() inline.Stats
	Close()
}

// A hostState is what a run needs of a [host.Host].
type hostState interface {
	Friends(host.Wanted) ([]host.Friend, error)
	Watch(ctx context.Context, changed func()) error
}

// machine is the system that picket runs on.
func machine() *system {
	return &system{
		checkKernel: checkKernel, claim: nflog.Claim, clock: clock.Watch, openTable: openTable,
		openReader: openReader, openQueue: openQueue,
		routes: beside.OpenRoutes, host: new(host.Host), peers: host.Peers, links: host.OnLink,
		flows: host.Flows, services: host.Services, operators: host.Operators, loginPorts: host.LoginPorts,
		elsewhere: host.Elsewhere, networks: host.Networks, asker: behind.OpenKernel,
	}
}

// checkKernel comes before anything is opened: what is missing is then told as
// such, and not as a directory that cannot be made.
func checkKernel() error {
	if err := nft.CheckPermission(); err != nil {
		return err
	}
	return nft.CheckKernel()
}

type kernelTable struct{ *nft.Table }

func openTable(c nft.Config) (table, error) {
	t, err := nft.Open(c)
	if err != nil {
		return nil, err
	}
	return kernelTable{t}, nil
}

// Watch implements table.
func (t kernelTable) Watch() (watcher, error) {
	w, err := t.Table.Watch()
	if err != nil {
		return nil, err
	}
	return w, nil
}

func openQueue(number uint16, emit func(inline.Held, []byte) bool, fail func(error)) (queue, error) {
	q, err := inline.Open(number, emit, fail)
	if err != nil {
		return nil, err
	}
	return q, nil
}

func openReader(c nflog.Config, emit func(probe.Probe, []byte), fail func(error)) (reader, error) {
	r, err := nflog.Open(c, emit, fail)
	if err != nil {
		return nil, err
	}
	return r, nil
}
