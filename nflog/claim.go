// SPDX-License-Identifier: MIT

package nflog

import (
	"errors"
	"fmt"
	"io"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ClaimGroup is a group that no rule logs to. The process that holds it owns the
// managed table of its network namespace: unlike a name that any process can take, a
// group needs CAP_NET_ADMIN, and it ends with the process.
const ClaimGroup = 7424

// ErrClaimed means that another picket watches the network namespace.
var ErrClaimed = errors.New("another picket watches this network namespace: stop that one first")

// Claim makes this process the owner of the table of the calling thread's network
// namespace, until the claim is closed. The error wraps [ErrClaimed] and names the
// owner, or is [ErrPermission], or the kernel's.
func Claim() (io.Closer, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("claim the network namespace: %w", err)
	}
	if _, err = c.Execute(configure(ClaimGroup, commandBind)); err == nil {
		return c, nil
	}
	// The kernel answers EPERM if the right is missing, and also if another process has the
	// group.
	who := ""
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EBUSY) {
		err = ErrPermission
		// A message of a type without groups tells the two apart: nfnetlink_rcv refuses a
		// process without the right before nfnetlink_log.c refuses NFULNL_MSG_PACKET itself.
		probe := configure(0, commandUnbind)
		probe.Header.Type = unix.NFNL_SUBSYS_ULOG << 8
		if _, other := c.Execute(probe); !errors.Is(other, unix.EPERM) {
			err, who = ErrClaimed, holder(ClaimGroup)
		}
	}
	err = errors.Join(err, c.Close())
	if who != "" {
		return nil, fmt.Errorf("claim the network namespace: %w (watched %s)", err, who)
	}
	return nil, fmt.Errorf("claim the network namespace: %w", err)
}
