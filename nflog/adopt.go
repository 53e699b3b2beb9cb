// SPDX-License-Identifier: MIT

package nflog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"
)

// errNotBound means that no process holds the group, not even the one whose socket was handed
// over.
var errNotBound = errors.New("the group is not bound")

// The configuration messages of the NFLOG subsystem
// (include/uapi/linux/netfilter/nfnetlink_log.h).
const (
	configMessage  = netlink.HeaderType(unix.NFNL_SUBSYS_ULOG<<8 | 1) // NFULNL_MSG_CONFIG
	logMessage     = netlink.HeaderType(unix.NFNL_SUBSYS_ULOG << 8)   // NFULNL_MSG_PACKET
	configCommand  = 1                                                // NFULA_CFG_CMD
	configDatagram = 3                                                // NFULA_CFG_NLBUFSIZ
	commandBind    = 1                                                // NFULNL_CFG_CMD_BIND
	commandUnbind  = 2                                                // NFULNL_CFG_CMD_UNBIND
	nfgenLength    = 4                                                // struct nfgenmsg
)

// maxDatagram holds the largest datagram the kernel builds: nlbufsiz ends at
// 131072, and the slab rounds what it allocates for it up (256 KiB measured).
const maxDatagram = 256 << 10

// A groupSocket is a netlink socket whose NFLOG group outlives the process. go-nflog uses it
// in place of its own socket, because that library binds, configures and unbinds in a
// way that loses the group's queue:
//
//   - a group that is bound already is not bound again (the kernel would answer
//     EBUSY): the request is answered here;
//   - a bound group is not unbound: closing the last copy of the descriptor
//     does that, and systemd may hold one (FDSTORE);
//   - once the group is bound, the kernel is asked for no acknowledgement: it
//     would come after all queued log messages, and go-nflog takes the first
//     message that it reads for the answer ("mismatched sequence").
//
// It may be used as netlink.Conn uses it: one Execute, or many Sends beside one
// Receive, at a time.
type groupSocket struct {
	*socket.Conn
	ended  func()            // called when go-nflog has handed on its last message
	bound  bool              // the group is ours
	answer *netlink.Message  // to the request just sent
	early  []netlink.Message // log messages that overtook the answer to a bind

	raw      syscall.RawConn
	read     func(fd uintptr) bool // tryRead
	buffer   []byte
	size     int // what was read into buffer, or why not
	err      error
	messages []netlink.Message // of the datagram in buffer

	many     bool      // a datagram since the last rest had several messages
	waited   bool      // nothing was there to be read
	gathered time.Time // when many was true last

	// deliver, if not nil, gets the body of each log message in place of go-nflog,
	// valid until it returns. That library makes some 20 objects of a message, and
	// five are wanted.
	deliver func(body []byte)
}

// dial opens a netfilter netlink socket for go-nflog to configure, in the network
// namespace of the calling thread. For ended, see adopt.
func dial(ended func(), deliver func([]byte)) (*netlink.Conn, error) {
	s, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, "netlink", nil)
	if err != nil {
		return nil, fmt.Errorf("open netfilter netlink socket: %w", err)
	}
	if err := s.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind netfilter netlink socket: %w", err), s.Close())
	}
	return connect(s, false, ended, deliver)
}

// adopt takes over f, a netfilter netlink socket that an earlier process bound to group, with
// its queued messages. The caller must know that it was this group, and closes f. The error
// wraps errNotBound if nobody holds the group.
//
// ended is called once, when go-nflog has stopped reading and has handed on all its messages;
// Close of go-nflog does not wait for that.
func adopt(f *os.File, group uint16, ended func(), deliver func([]byte)) (*netlink.Conn, error) {
	s, err := socket.FileConn(f, "netlink")
	if err != nil {
		return nil, fmt.Errorf("adopt nflog socket: %w", err)
	}
	if err := check(s, group); err != nil {
		return nil, errors.Join(fmt.Errorf("adopt nflog socket: %w", err), s.Close())
	}
	return connect(s, true, ended, deliver)
}

func connect(s *socket.Conn, bound bool, ended func(), deliver func([]byte)) (*netlink.Conn, error) {
	id, err := portID(s)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	k, err := newGroupSocket(s, bound, ended, deliver)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return netlink.NewConn(k, id), nil
}

func newGroupSocket(
	s *socket.Conn, bound bool, ended func(), deliver func([]byte),
) (*groupSocket, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	k := &groupSocket{
		Conn: s, bound: bound, ended: ended, deliver: deliver, raw: raw, buffer: make([]byte, maxDatagram),
	}
	k.read = k.tryRead
	return k, nil
}

// check refuses a file that is not a netfilter netlink socket, and a group that nobody holds.
// Only root can read the holder (/proc/net/netfilter/nfnetlink_log), but a bind from another
// socket fails with EPERM if there is one.
func check(s *socket.Conn, group uint16) error {
	domain, err := s.GetsockoptInt(unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return fmt.Errorf("not a socket: %w", err)
	}
	protocol, err := s.GetsockoptInt(unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return err
	}
	if domain != unix.AF_NETLINK || protocol != unix.NETLINK_NETFILTER {
		return fmt.Errorf("socket of domain %d, protocol %d is not a netfilter netlink socket",
			domain, protocol)
	}
	other, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer other.Close() // ends the binding, if there was one
	_, err = other.Execute(configure(group, commandBind))
	switch {
	case err == nil:
		return fmt.Errorf("group %d: %w", group, errNotBound)
	case errors.Is(err, unix.EPERM):
		return nil
	}
	return err
}

// configure returns the message that gives a group a command.
func configure(group uint16, command byte) netlink.Message {
	m := setting(group, configCommand, command)
	m.Header.Flags |= netlink.Acknowledge
	return m
}

// gather makes the message that has the kernel make datagrams of up to so many bytes. It
// is not answered.
func gather(group uint16, size uint32) netlink.Message {
	return setting(group, configDatagram, binary.BigEndian.AppendUint32(nil, size)...)
}

// setting makes the message that sets an attribute of a group, of four bytes at most.
func setting(group, attribute uint16, value ...byte) netlink.Message {
	data := binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, group) // struct nfgenmsg
	// struct nlattr: length, type
	data = binary.NativeEndian.AppendUint16(data, uint16(unix.SizeofNlAttr+len(value)))
	data = binary.NativeEndian.AppendUint16(data, attribute)
	data = append(append(data, value...), make([]byte, 4-len(value))...)
	return netlink.Message{Header: netlink.Header{Type: configMessage, Flags: netlink.Request}, Data: data}
}

func portID(s *socket.Conn) (uint32, error) {
	sa, err := s.Getsockname()
	if err != nil {
		return 0, fmt.Errorf("netlink port: %w", err)
	}
	nl, ok := sa.(*unix.SockaddrNetlink)
	if !ok {
		return 0, fmt.Errorf("netlink port: address is a %T", sa)
	}
	return nl.Pid, nil
}

// Send sends m, unless it would end the group's binding; see [groupSocket].
func (k *groupSocket) Send(m netlink.Message) error {
	command, isCommand := groupCommand(m)
	wantsAnswer := m.Header.Type == configMessage && m.Header.Flags&netlink.Acknowledge != 0
	switch {
	case wantsAnswer && k.bound && isCommand:
		k.answer = acknowledge(m)
		if command == commandUnbind { // the last message of the reading goroutine
			k.ended()
		}
		return nil
	case wantsAnswer && k.bound:
		k.answer = acknowledge(m)
		m.Header.Flags &^= netlink.Acknowledge
		return k.send(m)
	case wantsAnswer && isCommand && command == commandBind:
		return k.bind(m)
	}
	return k.send(m)
}

// SendMessages sends messages one by one; go-nflog never has several.
func (k *groupSocket) SendMessages(ms []netlink.Message) error {
	for _, m := range ms {
		if err := k.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (k *groupSocket) send(m netlink.Message) error {
	b, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = k.Sendmsg(context.Background(), b, nil, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}, 0)
	return err
}

// bind sends the request m to bind the group, and waits for the kernel's answer. Packets that
// overtake the answer are put aside for the next Receive.
func (k *groupSocket) bind(m netlink.Message) error {
	if err := k.send(m); err != nil {
		return err
	}
	for k.answer == nil {
		ms, err := k.receive()
		if err != nil {
			return err
		}
		for i := range ms {
			if ms[i].Header.Type == netlink.Error && ms[i].Header.Sequence == m.Header.Sequence {
				k.answer = &ms[i]
			} else {
				k.early = append(k.early, ms[i])
			}
		}
	}
	code := k.answer.Data
	k.bound = len(code) >= 4 && binary.NativeEndian.Uint32(code) == 0
	return nil
}

// Receive waits for messages that deliver does not get, or for the end of reading. Without
// deliver they are those of one datagram, in memory of their own; with it they are valid until
// the next call.
func (k *groupSocket) Receive() ([]netlink.Message, error) {
	if k.answer != nil {
		m := *k.answer
		k.answer = nil
		return []netlink.Message{m}, nil
	}
	if len(k.early) > 0 {
		ms := k.early
		k.early = nil
		if ms = k.hand(ms); len(ms) > 0 {
			return ms, nil
		}
	}
	for {
		ms, err := k.receive()
		if err == nil {
			ms = k.hand(ms)
		}
		if err != nil || len(ms) > 0 {
			return ms, err
		}
	}
}

// hand delivers log messages, and returns the others.
func (k *groupSocket) hand(ms []netlink.Message) []netlink.Message {
	if k.deliver == nil {
		return ms
	}
	return slices.DeleteFunc(ms, func(m netlink.Message) bool {
		if m.Header.Type != logMessage || len(m.Data) < nfgenLength {
			return false
		}
		k.deliver(m.Data[nfgenLength:])
		return true
	})
}

// ReceiveIter is Receive as an iterator.
func (k *groupSocket) ReceiveIter() iter.Seq2[netlink.Message, error] {
	return func(yield func(netlink.Message, error) bool) {
		ms, err := k.Receive()
		if err != nil {
			yield(netlink.Message{}, err)
			return
		}
		for _, m := range ms {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// Under a flood the reader lets messages gather for a while, once it has read all and
// again when it is woken: to fall asleep and wake is half of what a probe costs then. A
// flood is while the kernel puts several messages into a datagram, and a little longer.
const (
	rest      = 8 * time.Millisecond
	floodEnds = 50 * time.Millisecond
)

// receive reads one datagram. A copy into memory of the right size is cheaper than a call for
// the size first, and does not change the caller's slices. It does not use Recvmsg, which
// starts a goroutine for each call, to watch its context.
func (k *groupSocket) receive() ([]netlink.Message, error) {
	for {
		if err := k.raw.Read(k.read); err != nil {
			return nil, err
		}
		if k.err != unix.EAGAIN {
			break
		}
		if k.many {
			k.many, k.gathered = false, time.Now()
		}
		time.Sleep(rest)
	}
	if k.err != nil {
		return nil, os.NewSyscallError("read", k.err)
	}
	if k.size == len(k.buffer) { // the kernel cuts what is longer
		return nil, fmt.Errorf("datagram of %d bytes or more", maxDatagram)
	}
	if k.deliver == nil || !k.bound {
		return split(nil, slices.Clone(k.buffer[:k.size]))
	}
	var err error
	k.messages, err = split(k.messages[:0], k.buffer[:k.size])
	k.many = k.many || len(k.messages) > 1
	return k.messages, err
}

// tryRead reads a datagram, and reports false if it is to be called again when one is
// there. If it is time to rest, the error is EAGAIN.
func (k *groupSocket) tryRead(fd uintptr) bool {
	if k.waited && time.Since(k.gathered) < floodEnds {
		k.waited, k.err = false, unix.EAGAIN
		return true
	}
	k.size, k.err = unix.Read(int(fd), k.buffer)
	k.waited = k.err == unix.EAGAIN && !k.many
	return !k.waited
}

// split cuts a datagram into messages and appends them to ms; their data are slices
// of b.
func split(ms []netlink.Message, b []byte) ([]netlink.Message, error) {
	for len(b) >= unix.SizeofNlMsghdr {
		var m netlink.Message
		length := int(binary.NativeEndian.Uint32(b))
		if length < unix.SizeofNlMsghdr || length > len(b) {
			return nil, fmt.Errorf("netlink message of %d bytes in %d bytes", length, len(b))
		}
		m.Header = netlink.Header{
			Length:   uint32(length),
			Type:     netlink.HeaderType(binary.NativeEndian.Uint16(b[4:])),
			Flags:    netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:])),
			Sequence: binary.NativeEndian.Uint32(b[8:]),
			PID:      binary.NativeEndian.Uint32(b[12:]),
		}
		m.Data = b[unix.SizeofNlMsghdr:length:length]
		ms = append(ms, m)
		b = b[min(len(b), (length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return ms, nil
}

// groupCommand returns the command of a configuration message, from its first
// attribute, as go-nflog writes it.
func groupCommand(m netlink.Message) (command byte, ok bool) {
	if m.Header.Type != configMessage || len(m.Data) <= nfgenLength {
		return 0, false
	}
	attributes, err := netlink.NewAttributeDecoder(m.Data[nfgenLength:])
	if err != nil || !attributes.Next() || attributes.Type() != configCommand {
		return 0, false
	}
	if b := attributes.Bytes(); len(b) > 0 {
		return b[0], true
	}
	return 0, false
}

// acknowledge makes the kernel's answer to m: struct nlmsgerr with error 0.
func acknowledge(m netlink.Message) *netlink.Message {
	return &netlink.Message{
		Header: netlink.Header{
			Length:   unix.SizeofNlMsghdr + unix.SizeofNlMsgerr,
			Type:     netlink.Error,
			Sequence: m.Header.Sequence,
			PID:      m.Header.PID,
		},
		Data: make([]byte, unix.SizeofNlMsgerr),
	}
}

// SetOption sets a boolean option of the netlink socket. The error is ENOPROTOOPT for
// an option that NFLOG does not use.
func (k *groupSocket) SetOption(o netlink.ConnOption, enable bool) error {
	if o != netlink.NoENOBUFS {
		return os.NewSyscallError("setsockopt", unix.ENOPROTOOPT)
	}
	value := 0
	if enable {
		value = 1
	}
	return k.SetsockoptInt(unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, value)
}

// netlink.Conn finds these by assertion, beside the methods that NewConn asks for.
var _ interface {
	syscall.Conn
	SetOption(netlink.ConnOption, bool) error
	SetReadDeadline(time.Time) error
	SetReadBuffer(int) error
	ReadBuffer() (int, error)
} = (*groupSocket)(nil)
