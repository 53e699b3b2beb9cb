// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/behind"
	"picket/internal/beside"
	"picket/internal/control"
	"picket/internal/host"
	"picket/internal/inline"
	"picket/internal/journal"
	"picket/internal/journal/journaltest"
	"picket/internal/ledger"
	"picket/internal/machine"
	"picket/internal/probe"
	"picket/internal/route"
	"picket/internal/systemd"
	"picket/nflog"
	"picket/nft"
)

// A kernel is a machine in memory: the table with its blocks, the group, connections, and the
// addresses that the host depends on.
type kernel struct {
	mu        sync.Mutex
	state     nft.State
	elements  *nft.Elements // nil: the sets were not filled
	blocks    map[netip.Prefix]nft.Block
	ends      map[netip.Prefix]time.Time
	others    map[ledger.Ref]nft.Block // fences and the dark, without an end
	fences    []fence                  // all that were made
	forgotten []netip.Prefix
	counts    map[string]uint64
	untracked error
	serving   []host.Service
	flows     map[netip.Addr]bool
	served    []nft.Service // as the kernel was told
	operators []netip.Addr
	networks  []host.Network
	ahead     []string // chains of other firewalls
	virtual   host.Virtual
	cut       []func(netip.Addr) bool // whose offloaded flows were ended
	asker     behind.Asker
	connected map[netip.Addr]bool // by the set connected4/6
	peers     []netip.Addr        // by the sockets
	released  []netip.Addr
	friends   []host.Friend
	refused   map[netip.Prefix]bool // blocks that are refused
	failing   error                 // of every transaction
	stepped   chan struct{}         // the clock was set
	peersFail error
	distort   func([]nft.Block) []nft.Block // changes the list of blocks as it is read
	quiet     int
	tried     int // transactions that make blocks

	noQueue  error // for the NFQUEUE's socket
	noRule   error // for the rule that leads there
	queued   uint16
	bound    int // queues
	visit    func(inline.Held, []byte) bool
	verdicts map[uint32]inline.Verdict

	emit    func(probe.Probe, []byte)
	unread  bool // messages wait for the reader
	lost    uint64
	refusal error // for a stored socket
	changed chan string
	hosts   chan error // nil: an address changed; else: the watch failed
}

// A fence is one that the kernel was told to make.
type fence struct {
	source netip.Prefix
	at     time.Time
	length time.Duration
}

func newKernel() *kernel {
	return &kernel{
		stepped: make(chan struct{}),
		blocks:  map[netip.Prefix]nft.Block{}, ends: map[netip.Prefix]time.Time{},
		connected: map[netip.Addr]bool{},
		others:    map[ledger.Ref]nft.Block{}, refused: map[netip.Prefix]bool{},
		verdicts: map[uint32]inline.Verdict{}, changed: make(chan string),
		hosts: make(chan error),
	}
}

func (k *kernel) machine() *machine.Machine {
	return &machine.Machine{
		CheckKernel: func() error { return nil },
		Unfiltered:  func() bool { return false },
		Clock: func(ctx context.Context, stepped func()) error {
			for {
				select {
				case <-k.stepped:
					stepped()
				case <-ctx.Done():
					return nil
				}
			}
		},
		Claim:     func() (io.Closer, error) { return io.NopCloser(nil), nil },
		OpenTable: func(nft.Config) (machine.Table, error) { return k, nil },
		OpenReader: func(
			c nflog.Config, emit func(probe.Probe, []byte), _ func(error),
		) (machine.Reader, error) {
			k.emit = emit
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				for beat := time.NewTicker(c.Beat); ; {
					select {
					case <-beat.C:
						c.Alive()
					case <-ctx.Done():
						return
					}
				}
			}()
			return fakeReader{k, cancel}, nil
		},
		OpenQueue: func(_ uint16, emit func(inline.Held, []byte) bool, _ func(error)) (machine.Queue, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.noQueue != nil {
				return nil, k.noQueue
			}
			k.visit = emit
			k.bound++
			return fakeQueue{k}, nil
		},
		Routes: func(route.Config) (beside.RouteTable, error) { return nil, errors.New("no routes here") },
		Host:   fakeHost{k},
		Peers: func(uint16) ([]netip.Addr, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.peers, k.peersFail
		},
		Links: func() ([]netip.Prefix, error) { return nil, nil },
		CutOffloaded: func(of func(netip.Addr) bool) (int, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.cut = append(k.cut, of)
			return 0, nil
		},
		Flows: func(uint16) (map[netip.Addr]bool, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			return maps.Clone(k.flows), nil
		},
		Tracking: func() error { k.mu.Lock(); defer k.mu.Unlock(); return k.untracked },
		Services: func(uint16) ([]host.Service, error) { return k.services(), nil },
		Operators: func() ([]netip.Addr, bool) {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.operators, true
		},
		Virtuals:   func() host.Virtual { k.mu.Lock(); defer k.mu.Unlock(); return k.virtual },
		Networks:   func() ([]host.Network, error) { return k.networks, nil },
		Ahead:      func() (tables, chains []string, err error) { return nil, k.ahead, nil },
		Asker:      func() (behind.Asker, error) { return k.asker, nil },
		LoginPorts: func() []uint16 { return []uint16{22} },
	}
}

// with lets f look at or change the kernel.
func (k *kernel) with(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// blocked returns the sources in the sets whose time is not over.
func (k *kernel) blocked() (out []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p, end := range k.ends {
		if time.Now().Before(end) {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return out
}

func (k *kernel) Close() error { return nil }

func (k *kernel) Inspect() (nft.State, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state, k.failing
}

func (k *kernel) Install(e *nft.Elements) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	adopted := k.state == nft.Complete && k.elements == nil
	k.state, k.elements = nft.Complete, e
	return adopted, k.failing
}

func (k *kernel) Fill(e *nft.Elements) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.elements = e
	return k.failing
}

func (k *kernel) Verify() (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state == nft.Complete, k.failing
}

func (k *kernel) Filled() (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.elements != nil, k.failing
}

func (k *kernel) Quiet(bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.quiet++
	return k.failing
}

func (k *kernel) Watch() (machine.Watcher, error) {
	return &fakeWatcher{kernel: k, closed: make(chan struct{})}, nil
}

// Block makes all blocks or none, as a transaction does.
func (k *kernel) Block(list []nft.Block, renew func(nft.Response, netip.Prefix) bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried++
	if k.failing != nil {
		return k.failing
	}
	for _, b := range list {
		if k.refused[b.Source] {
			return fmt.Errorf("refused: %w", nft.ErrOverlap)
		}
		if end, there := k.ends[b.Source]; b.Response == nft.Blocked && there && time.Now().Before(end) &&
			!renew(b.Response, b.Source) {
			return syscall.EEXIST
		}
	}
	for _, b := range list {
		if b.Response == nft.Fenced {
			k.fences = append(k.fences, fence{b.Source, time.Now(), b.For})
		}
		if b.Response != nft.Blocked {
			k.others[ledger.Of(&b)] = b
			continue
		}
		k.blocks[b.Source], k.ends[b.Source] = b, time.Now().Add(b.For)
	}
	return nil
}

func (k *kernel) End(r nft.Response, p netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r == nft.Blocked {
		delete(k.blocks, p)
		delete(k.ends, p)
	}
	delete(k.others, ledger.Of(&nft.Block{Response: r, Source: p}))
	return k.failing
}

func (k *kernel) Forget(list []netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgotten = append(k.forgotten, list...)
	return k.failing
}

func (k *kernel) services() []host.Service {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.serving
}

func (k *kernel) Serve(list []nft.Service) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.served = append(k.served, list...)
	return k.failing
}

func (k *kernel) Counters() (map[string]uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.counts), k.failing
}

func (k *kernel) Unblock(p netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.blocks, p)
	delete(k.ends, p)
	maps.DeleteFunc(k.others, func(r ledger.Ref, _ nft.Block) bool { return r.Source == p })
	return k.failing
}

func (k *kernel) UnblockAll() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.blocks)
	clear(k.ends)
	clear(k.others)
	return k.failing
}

func (k *kernel) Release(list []netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.released = append(k.released, list...)
	return k.failing
}

func (k *kernel) Each(f func(*nft.Block) error) error {
	list, err := k.list()
	for i := range list {
		if err == nil {
			err = f(&list[i])
		}
	}
	return err
}

func (k *kernel) Look(list []nft.Block) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range list {
		b := &list[i]
		there, is := k.others[ledger.Of(b)]
		if b.Response == nft.Blocked {
			there, is = k.blocks[b.Source]
			there.For, there.Drops = time.Until(k.ends[b.Source]), 7
			is = is && there.For > 0
		}
		if !is {
			there = *b
			there.For = -1
		}
		*b = there
	}
	return k.failing
}

func (k *kernel) list() (out []nft.Block, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p, b := range maps.Clone(k.blocks) {
		if b.For = time.Until(k.ends[p]); b.For > 0 {
			b.Drops = 7
			out = append(out, b)
		}
	}
	for _, b := range k.others {
		out = append(out, b)
	}
	if k.distort != nil {
		out = k.distort(out)
	}
	return out, k.failing
}

func (k *kernel) Connected(a netip.Addr) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.connected[a], k.failing
}

func (k *kernel) Queue(number uint16) (nft.QueueKind, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.noRule != nil {
		return "", k.noRule
	}
	k.queued = number
	return nft.QueueNative, nil
}

func (k *kernel) Unqueue() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queued = 0
	return k.failing
}

func (k *kernel) Queued() (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.queued != 0, k.failing
}

type fakeQueue struct{ *kernel }

func (q fakeQueue) Stats() inline.Stats { return inline.Stats{Held: 9, Let: 7, Refused: 2, Aged: 1} }

func (q fakeQueue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bound--
}

type fakeWatcher struct {
	kernel *kernel
	once   sync.Once
	closed chan struct{}
}

func (w *fakeWatcher) Run(changed func(string)) error {
	for {
		select {
		case by := <-w.kernel.changed:
			if by == "" {
				return errors.New("the watch broke")
			}
			changed(by)
		case <-w.closed:
			return errors.New("closed")
		}
	}
}

func (w *fakeWatcher) Close() { w.once.Do(func() { close(w.closed) }) }

type fakeReader struct {
	*kernel
	close func()
}

func (r fakeReader) SyscallConn() (syscall.RawConn, error) { return nil, errors.New("no socket") }
func (r fakeReader) Buffer() int                           { return 64 << 20 }
func (r fakeReader) Refused() error                        { return r.refusal }
func (r fakeReader) Close()                                { r.close() }
func (r fakeReader) Behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unread
}
func (r fakeReader) Stats() nflog.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return nflog.Stats{Lost: r.lost}
}

type fakeHost struct{ *kernel }

func (h fakeHost) Friends(host.Wanted) ([]host.Friend, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.friends, nil
}

func (h fakeHost) Watch(ctx context.Context, changed func()) error {
	for {
		select {
		case err := <-h.hosts:
			if err != nil {
				return err
			}
			changed()
		case <-ctx.Done():
			return nil
		}
	}
}

// A quietListener is a control socket without clients.
type quietListener struct {
	once   sync.Once
	closed chan struct{}
}

func (l *quietListener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l *quietListener) Close() error              { l.once.Do(func() { close(l.closed) }); return nil }
func (l *quietListener) Addr() net.Addr            { return &net.UnixAddr{} }

// A run is a daemon on a machine in memory.
type run struct {
	*daemon
	*kernel
	t           *testing.T
	log         *journaltest.Log
	hangup, end chan os.Signal
	result      chan error
}

// plain is a configuration that blocks every source above a trigger, without a trap, and with
// files of the test only.
const plain = `
block.style = "block"
[tcp]
modes = ["stealth", "advanced"]
[hosts_deny]
line = "ALL: $TARGET$"
file = "DIR/hosts.deny"
[history]
file = "DIR/history"
`

// running runs f beside a daemon on a kernel that prepare may change before, and ends the
// daemon. Time is that of a bubble.
func running(t *testing.T, toml string, prepare func(*kernel), f func(*run)) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	t.Setenv("NOTIFY_SOCKET", "")
	path := filepath.Join(dir, "picket.toml")
	write(t, path, strings.ReplaceAll(toml, "DIR", dir))
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, path, prepare)
		f(r)
		r.finish()
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, path string, prepare func(*kernel)) *run {
	r := &run{kernel: newKernel(), t: t, log: new(journaltest.Log), hangup: make(chan os.Signal, 1),
		end: make(chan os.Signal, 1), result: make(chan error, 1)}
	if prepare != nil {
		prepare(r.kernel)
	}
	r.daemon = newDaemon(Options{Path: path, Version: "test"}, r.kernel.machine(), journal.NewLines(r.log))
	var err error
	if r.config, err = r.load(); err != nil {
		t.Fatal(err)
	}
	passed := systemd.Sockets{Control: &quietListener{closed: make(chan struct{})}}
	r.control = passed.Control
	go func() { r.result <- r.live(context.Background(), passed, r.hangup, r.end) }()
	synctest.Wait()
	return r
}

// finish ends the daemon, unless it has ended.
func (r *run) finish() error {
	r.t.Helper()
	var err error
	select {
	case err = <-r.result:
	default:
		r.end <- syscall.SIGTERM
		err = <-r.result
	}
	r.journal.Close()
	return err
}

// wants checks which sources the kernel blocks once everything is done.
func (r *run) wants(sources ...string) {
	r.t.Helper()
	synctest.Wait()
	if got := r.blocked(); !slices.Equal(got, sources) {
		r.t.Errorf("blocked: %q, want %q", got, sources)
	}
}

// told checks how often something was reported since the last call.
func (r *run) told(times int, what string) {
	r.t.Helper()
	synctest.Wait()
	n, lines := 0, r.log.Take()
	for _, l := range lines {
		if strings.Contains(l, what) {
			n++
		}
	}
	if n != times {
		r.t.Errorf("%q was told %d times, want %d:\n%s", what, n, times, strings.Join(lines, "\n"))
	}
}

// asks sends a request as a command does, and wants an error with some words, or none for "".
func (r *run) asks(q control.Request, words string) any {
	r.t.Helper()
	out, err := r.answer(r.t.Context(), q)
	if text := ""; err != nil {
		text = err.Error()
		if words == "" || !strings.Contains(text, words) {
			r.t.Errorf("%+v: %v, want %q", q, err, words)
		}
	} else if words != "" {
		r.t.Errorf("%+v: no error, want %q", q, words)
	}
	if stream, ok := out.(control.Stream); ok {
		list := []control.Block{}
		if err := stream(func(b any) error {
			list = append(list,
				*b.(*control.Block))
			return nil
		}); err != nil {
			r.t.Errorf("%+v: %v", q, err)
		}
		return list
	}
	return out
}

// probes sends SYNs of a source to n ports from first on, and waits until everything about them
// is done.
func (r *run) probes(source string, first, n int) {
	r.send(source, first, n)
	synctest.Wait()
}

func (r *run) send(source string, first, n int) {
	for i := range n {
		r.emit(probe.Probe{
			At: time.Now().UnixNano(), Source: netip.MustParseAddr(source),
			Destination: netip.MustParseAddr("192.0.2.2"), SourcePort: 40000,
			Port: uint16(first + i), Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN, Technique: probe.SYN,
			Mode: probe.Advanced,
		}, make([]byte, 40))
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
