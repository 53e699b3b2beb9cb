// SPDX-License-Identifier: MIT

package nflog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gonflog "github.com/florianl/go-nflog/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"picket/internal/modules"
	"picket/internal/probe"
)

// Errors that a caller may want to tell apart.
var (
	// ErrTaken means that another process reads the group.
	ErrTaken = errors.New("the group is taken by another process: stop that one, or choose another " +
		"with nflog.group")
	// ErrPermission means that CAP_NET_ADMIN is missing.
	ErrPermission = errors.New("reading an NFLOG group needs CAP_NET_ADMIN: run as root, or give the " +
		"unit AmbientCapabilities=CAP_NET_ADMIN")
)

// A Config names the group and bounds the reading.
type Config struct {
	Group   uint16
	Snaplen uint32 // bytes of a packet at most; the log rules' snaplen holds if it is smaller
	Buffer  int    // receive buffer to ask for, in bytes

	// Stored, if not nil, is the socket of an earlier process, bound to the group: the
	// messages queued on it are read first. A useless one is left aside; see
	// [Reader.Refused]. It stays the caller's to close.
	Stored *os.File
	// Alive is called about every Beat by the goroutine that reads, whether
	// there are probes or not; never if Beat is 0. It must not block.
	Beat  time.Duration
	Alive func()
}

// The group gathers this many messages, or for this long; a smaller queue-threshold
// of a log rule goes first.
const (
	groupThreshold = 64
	groupTimeout   = 2 // 1/100 s

	// groupDatagram has room for as many, of some 180 bytes each; by default there is
	// room for 19.
	groupDatagram = 16 << 10
)

// A Reader is bound to a group. Make one with [Open].
type Reader struct {
	conn   *gonflog.Nflog
	cancel context.CancelFunc
	emit   func(p probe.Probe, raw []byte)
	fail   func(error)
	over   context.Context
	done   chan struct{} // closed when the last probe was handed on
	beat   time.Duration
	alive  func()
	last   time.Time // when alive was called
	buffer int
	seq    uint32
	seen   bool // seq is valid
	stats  counters
	lanes  map[string]lane // by prefix

	refused error // why the stored socket is of no use
}

type counters struct {
	messages, lost, garbage atomic.Uint64
}

// Stats counts what a reader did.
type Stats struct {
	Messages uint64 // received
	Lost     uint64 // not received: gaps in the sequence numbers
	Garbage  uint64 // received, but no probe
}

// Open binds the group in the calling thread's network namespace and begins to read
// it. A goroutine of the reader's calls emit for each probe, one at a time, with the
// bytes of its packet, valid until emit returns; it must not block. The same goroutine
// calls fail when reading ends other than by Close. The errors are [ErrTaken],
// [ErrPermission], or the kernel's.
//
// A useless stored socket is no error: see [Reader.Refused].
func Open(cfg Config, emit func(p probe.Probe, raw []byte), fail func(error)) (*Reader, error) {
	conn, err := gonflog.Open(&gonflog.Config{
		Group: cfg.Group, Copymode: gonflog.CopyPacket, Bufsize: cfg.Snaplen, Flags: gonflog.FlagSeq,
		QThresh: groupThreshold, Timeout: groupTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", modules.Explain(err, modules.Log()))
	}
	r := &Reader{
		conn: conn, emit: emit, fail: fail, done: make(chan struct{}), lanes: map[string]lane{},
		beat: cfg.Beat, alive: cfg.Alive,
	}
	r.over, r.cancel = context.WithCancel(context.Background())
	err = r.connect(cfg)
	if err == nil {
		err = r.start(cfg)
	}
	if err != nil {
		r.cancel()
		err = fmt.Errorf("bind NFLOG group %d: %w", cfg.Group, err)
		return nil, errors.Join(err, r.refused, conn.Close())
	}
	return r, nil
}

// connect replaces go-nflog's socket with the stored one, or one of ours.
func (r *Reader) connect(cfg Config) error {
	if err := r.conn.Con.Close(); err != nil {
		return err
	}
	ended := sync.OnceFunc(func() { close(r.done) })
	if cfg.Stored != nil {
		con, err := adopt(cfg.Stored, cfg.Group, ended, r.take)
		if err == nil {
			r.conn.Con = con
			return nil
		}
		r.refused = err
	}
	con, err := dial(ended, r.take)
	if err == nil {
		r.conn.Con = con
	}
	return err
}

func (r *Reader) start(cfg Config) error {
	// Without CAP_NET_ADMIN in the first user namespace the kernel silently grants
	// less, so the size is read back.
	if err := r.conn.Con.SetReadBuffer(cfg.Buffer); err != nil {
		return fmt.Errorf("set the receive buffer: %w", err)
	}
	granted, err := r.conn.Con.ReadBuffer()
	if err != nil {
		return fmt.Errorf("read back the receive buffer: %w", err)
	}
	r.buffer = granted
	// By default, after an overrun the kernel drops everything until the queue is
	// empty. So it drops only what does not fit, and the sequence numbers show it.
	if err := r.conn.SetOption(netlink.NoENOBUFS, true); err != nil {
		return fmt.Errorf("set NETLINK_NO_ENOBUFS: %w", err)
	}
	r.arm(time.Now())
	if err := r.conn.RegisterWithErrorFunc(r.over, r.hook, r.failed); err != nil {
		return translate(err, cfg.Group)
	}
	if _, err := r.conn.Con.Send(gather(cfg.Group, groupDatagram)); err != nil {
		return fmt.Errorf("set the size of datagrams: %w", err)
	}
	return nil
}

// arm has the next Receive end in time for the beat. The error of a closed
// socket is Receive's to return.
func (r *Reader) arm(now time.Time) {
	if r.last = now; r.beat > 0 {
		_ = r.conn.Con.SetReadDeadline(now.Add(r.beat))
	}
}

// translate explains go-nflog's errors. These wrap the kernel's with %v, and the
// kernel says EPERM both to the unprivileged and if the group is taken; only the
// failed step tells the two apart.
func translate(err error, group uint16) error {
	switch {
	case err == nil:
		return nil
	case !strings.Contains(err.Error(), "operation not permitted"):
		return modules.Explain(err, modules.Log())
	case strings.Contains(err.Error(), "could not bind to requested group"):
		if who := holder(group); who != "" {
			return fmt.Errorf("%w (taken %s)", ErrTaken, who)
		}
		return ErrTaken
	}
	return ErrPermission
}

// Buffer returns the size of the receive buffer, in bytes, as the kernel reports it:
// twice the size asked for, with room for its own bookkeeping.
func (r *Reader) Buffer() int { return r.buffer }

// SyscallConn gives access to the netlink socket, to be stored for the next process.
func (r *Reader) SyscallConn() (syscall.RawConn, error) { return r.conn.Con.SyscallConn() }

// Behind reports whether unread messages wait. Any goroutine may call it.
func (r *Reader) Behind() (waiting bool) {
	c, err := r.conn.Con.SyscallConn()
	if err != nil {
		return false
	}
	_ = c.Control(func(fd uintptr) { // fails on a closed socket: nothing waits there
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		waiting = err == nil && n > 0
	})
	return waiting
}

// Stats returns the counters. Any goroutine may call it.
func (r *Reader) Stats() Stats {
	return Stats{r.stats.messages.Load(), r.stats.lost.Load(), r.stats.garbage.Load()}
}

// Refused returns why the stored socket was useless, or nil.
func (r *Reader) Refused() error { return r.refused }

// Close stops reading, and returns once all that was read is handed on. It unbinds
// the group, unless somebody else has a copy of the socket.
func (r *Reader) Close() {
	r.cancel() // first, or Close would wait for ever
	select {
	case <-r.done:
	case <-time.After(time.Second): // emit blocks, though it must not
	}
	_ = r.conn.Close()
}

// failed handles an error of reception; 0 goes on.
func (r *Reader) failed(err error) int {
	if r.over.Err() != nil {
		return 1
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.alive()
		r.arm(time.Now())
		return 0
	}
	if op := new(netlink.OpError); errors.As(err, &op) && op.Temporary() {
		return 0
	}
	r.fail(fmt.Errorf("read NFLOG group: %w", err))
	return 1
}

// take is called for each log message.
func (r *Reader) take(body []byte) {
	if n := r.stats.messages.Add(1); n%64 == 0 && r.beat > 0 {
		if now := time.Now(); now.Sub(r.last) > r.beat { // under a flood
			r.alive()
			r.arm(now)
		}
	}
	m := readMessage(body)
	if m.numbered {
		r.count(m.sequence)
	}
	p, ok := r.probeOf(&m)
	if !ok {
		r.stats.garbage.Add(1)
		return
	}
	r.emit(p, m.payload)
}

// hook gets messages from go-nflog: none, since take gets them all.
func (r *Reader) hook(gonflog.Attribute) int { return 0 }

// count adds the messages between the last sequence number and this one. The
// numbers have 32 bits and wrap.
func (r *Reader) count(seq uint32) {
	if gap := seq - r.seq - 1; r.seen && gap < 1<<31 {
		r.stats.lost.Add(uint64(gap))
	}
	r.seq, r.seen = seq, true
}
