// SPDX-License-Identifier: MIT

package nflog

import (
	"errors"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// One process at a time may claim a network namespace.
func TestClaim(t *testing.T) {
	ns, other := newNamespace(t, "claim"), newNamespace(t, "claim2")
	ns.do(t, func() {
		first, err := Claim()
		if err != nil {
			t.Fatal(err)
		}
		if _, err = Claim(); !errors.Is(err, ErrClaimed) {
			t.Errorf("a second claim: %v", err)
		}
		other.do(t, func() {
			elsewhere, err := Claim()
			if err != nil {
				t.Errorf("another namespace: %v", err)
				return
			}
			elsewhere.Close()
		})
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Claim()
		if err != nil {
			t.Fatalf("after the first has ended: %v", err)
		}
		again.Close()
	})
}

// The first picket holds its log group too, whatever its number.
func TestClaimBesideAGroup(t *testing.T) {
	ns := newNamespace(t, "claim4")
	ns.do(t, func() {
		first, err := Claim()
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		for _, group := range []uint16{ClaimGroup - 1, ClaimGroup + 1} {
			log, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			if _, err := log.Execute(configure(group, commandBind)); err != nil {
				t.Fatal(err)
			}
			if _, err = Claim(); !errors.Is(err, ErrClaimed) {
				t.Errorf("a second claim beside group %d: %v", group, err)
			}
		}
	})
}

// Without the right, the error names the right, not another process.
func TestClaimNeedsTheRight(t *testing.T) {
	ns := newNamespace(t, "claim3")
	ns.do(t, func() {
		if err := dropNetAdmin(); err != nil {
			t.Fatal(err)
		}
		if _, err := Claim(); !errors.Is(err, ErrPermission) {
			t.Errorf("without CAP_NET_ADMIN: %v", err)
		}
	})
}

// dropNetAdmin takes the capability from the calling thread. It cannot come back.
func dropNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&header, &data[0])
}
