// SPDX-License-Identifier: MIT

package inline

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"picket/internal/modules"
	"picket/internal/nlmsg"
	"picket/internal/probe"
)

const (
	// Length is the most packets that the kernel holds at once; more pass unjudged.
	Length = 128

	// Age is the longest wait of a packet, which then passes unjudged.
	Age = 20 * time.Millisecond

	// Snaplen is the number of bytes copied of a packet. The headers of a SYN have at most 120
	// bytes over IPv4; over IPv6 extension headers may fill the frame.
	Snaplen = 1500
)

// ErrTaken means that another process reads the queue.
var ErrTaken = errors.New("another process reads the queue")

// A Held is a SYN that waits for [Held.Answer], for [Age] at most.
type Held struct {
	ID    uint32                     // the kernel's number
	Since time.Time                  // when it was read
	Probe probe.Probe                // without a mode
	Reply func(id uint32, v Verdict) // takes the answer; any goroutine may call it, and it never waits
}

// Answer gives the verdict on the packet. Any goroutine may call it, and it never
// waits. A late answer changes nothing.
func (h *Held) Answer(v Verdict) { h.Reply(h.ID, v) }

// A Verdict is a decision about a packet. The zero Verdict means that there is none yet.
type Verdict uint8

// The verdicts.
const (
	Let    Verdict = 1 + iota
	Refuse         // it is dropped
	Doom           // refused at its Age, or earlier by another answer
	done           // the kernel was told
)

// Stats counts the packets read, by verdict.
type Stats struct {
	Held    uint64 // packets read
	Let     uint64 // let pass by an answer
	Refused uint64 // dropped, by an answer or because no SYN could be read
	Aged    uint64 // let pass because no answer came in time
	Errors  uint64 // verdicts that the kernel refused
}

// A Queue is bound to an NFQUEUE. Make one with [Open].
type Queue struct {
	conn   *socket.Conn
	number uint16
	emit   func(h Held, raw []byte) bool
	fail   func(error)
	reply  func(id uint32, v Verdict)
	news   chan news
	over   chan struct{} // closed by Close
	ended  sync.WaitGroup
	once   sync.Once
	stats  struct{ held, let, refused, aged, errors atomic.Uint64 }
}

// news is a packet that came, or the answer for one.
type news struct {
	id    uint32
	since time.Time // zero for an answer
	said  Verdict
}

// Open binds a queue in the calling thread's network namespace and begins to read it.
// A goroutine of the queue's calls emit for each SYN, one at a time, with the bytes of
// its packet, valid until emit returns; emit must not block, and false lets the packet
// pass. The same goroutine calls fail when reading ends other than by Close. The errors
// are [ErrTaken] and the kernel's.
func Open(number uint16, emit func(h Held, raw []byte) bool, fail func(error)) (*Queue, error) {
	conn, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, "netlink", nil)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", modules.Explain(err, modules.Queue()))
	}
	q := &Queue{
		conn: conn, number: number, emit: emit, fail: fail,
		news: make(chan news, 8*Length), over: make(chan struct{}),
	}
	if err := q.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("bind NFQUEUE %d: %w", number, err), conn.Close())
	}
	q.reply = q.answer
	q.ended.Add(2)
	go q.read()
	go q.own()
	return q, nil
}

func (q *Queue) bind() error {
	if err := q.conn.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	// A full socket buffer counts as a full queue: the kernel lets packets pass, without an
	// error.
	if err := q.conn.SetsockoptInt(unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 1); err != nil {
		return err
	}
	if err := q.send(configuration(q.number)); err != nil {
		return err
	}
	// Packets that come before the answer pass: nothing can judge them yet.
	b := make([]byte, datagram)
	_ = q.conn.SetReadDeadline(time.Now().Add(time.Second))
	defer q.conn.SetReadDeadline(time.Time{})
	var early []uint32
	for {
		n, _, _, _, err := q.conn.Recvmsg(context.Background(), b, nil, 0)
		if err != nil {
			return err
		}
		for kind, body := range nlmsg.Messages(b[:n]) {
			switch {
			case kind == messagePacket && len(body) >= 4:
				if m := read(body[4:]); m.numbered {
					early = append(early, m.id)
				}
			case kind == unix.NLMSG_ERROR:
				if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
					return explain(unix.Errno(-code))
				}
				for _, id := range early {
					q.verdict(messageVerdict, accept, id)
				}
				return nil
			}
		}
	}
}

// datagram holds a message: the kernel sends one packet in each.
const datagram = 4096

// explain explains why the kernel refuses a bind: EPERM means that another process has the
// queue (net/netfilter/nfnetlink_queue.c, nfqnl_recv_config).
func explain(err unix.Errno) error {
	if err == unix.EPERM || err == unix.EBUSY {
		return ErrTaken
	}
	return modules.Explain(err, modules.Queue())
}

// answer gives the verdict on a packet.
func (q *Queue) answer(id uint32, v Verdict) {
	select {
	case q.news <- news{id: id, said: v}:
	default: // its age lets it pass
	}
}

// Number returns the number of the queue.
func (q *Queue) Number() uint16 { return q.number }

// Stats returns the counters. Any goroutine may call it.
func (q *Queue) Stats() Stats {
	s := &q.stats
	return Stats{s.held.Load(), s.let.Load(), s.refused.Load(), s.aged.Load(), s.errors.Load()}
}

// Close lets the waiting packets pass, and unbinds the queue. Packets that come in
// between are dropped, so no rule should lead here any more.
func (q *Queue) Close() {
	q.once.Do(func() { close(q.over) })
	_ = q.conn.SetReadDeadline(time.Unix(1, 0))
	q.ended.Wait()
	_ = q.conn.Close()
}

// read reads packets until Close.
func (q *Queue) read() {
	defer q.ended.Done()
	b := make([]byte, datagram)
	var n int
	var failed error
	read := func(fd uintptr) bool {
		n, failed = unix.Read(int(fd), b)
		return failed != unix.EAGAIN
	}
	raw, err := q.conn.SyscallConn()
	for {
		if err == nil { // Recvmsg starts a goroutine for each call, to watch its context
			err = cmp.Or(raw.Read(read), failed)
		}
		select {
		case <-q.over:
			return
		default:
		}
		if err != nil {
			q.fail(fmt.Errorf("read NFQUEUE %d: %w", q.number, err))
			return
		}
		for kind, body := range nlmsg.Messages(b[:n]) {
			if kind == messagePacket && len(body) >= 4 {
				q.take(body[4:])
			}
		}
	}
}

// take hands on a packet. The owner hears of it before any answer.
func (q *Queue) take(body []byte) {
	m := read(body)
	if !m.numbered {
		return
	}
	q.stats.held.Add(1)
	now := time.Now()
	n := news{id: m.id, since: now}
	p, ok := m.syn(now)
	if !ok {
		n.said = Refuse // the rules queue only SYNs, and no client has so many headers
	}
	select {
	case q.news <- n: // the owner never waits
	case <-q.over:
		return
	}
	if ok && !q.emit(Held{ID: m.id, Since: now, Probe: p, Reply: q.reply}, m.payload) {
		q.answer(m.id, Let)
	}
}
