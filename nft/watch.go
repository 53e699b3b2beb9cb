// SPDX-License-Identifier: MIT

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A Watcher hears of every change that another process makes to nftables: a
// "flush ruleset", with which Debian's /etc/nftables.conf begins, takes our
// table away too.
type Watcher struct {
	conn *netlink.Conn
	ours uint32 // netlink port of the table's connection
}

// Watch subscribes to what others than t change, in the calling thread's
// network namespace. It needs CAP_NET_ADMIN.
func (t *Table) Watch() (*Watcher, error) {
	ours, err := t.conn.GetPortID()
	if err != nil {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	// Ours are among the changes that are heard: room for 100,000 blocks at once.
	// Where less is granted, some are lost, which Run tells.
	_ = conn.SetReadBuffer(32 << 20)
	return &Watcher{conn: conn, ours: ours}, nil
}

// Run calls changed, with the name and thread number of the process, after each
// transaction of another process, until Close. gone says that the transaction
// deleted the table, so that what the sets held is lost even if it made the
// table anew. What a full socket loses is reported as a change by nobody known.
func (w *Watcher) Run(changed func(by string, gone bool)) error {
	gone := false
	for {
		msgs, err := w.conn.Receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return w.conn.Close()
		case errors.Is(err, unix.ENOBUFS):
			changed("unknown", false)
			continue
		case err != nil:
			return fmt.Errorf("watch nftables: %w", err)
		}
		for _, m := range msgs {
			gone = gone || deletesTable(m)
			if !ends(m) {
				continue
			}
			if by, ok := w.author(m); ok {
				changed(by, gone)
			}
			gone = false
		}
	}
}

// Close ends Run, from any goroutine.
func (w *Watcher) Close() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) }

// ends reports whether m is the last message of a transaction.
func ends(m netlink.Message) bool {
	return uint16(m.Header.Type) == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN
}

// deletesTable reports whether m tells of the deletion of our table.
func deletesTable(m netlink.Message) bool {
	if uint16(m.Header.Type) != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELTABLE || len(m.Data) < 4 || m.Data[0] != unix.NFPROTO_INET {
		return false
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[4:])
	if err != nil {
		return false
	}
	for ad.Next() {
		if ad.Type() == unix.NFTA_TABLE_NAME && ad.String() == Name {
			return true
		}
	}
	return false
}

// author returns who ended a transaction that is not ours: each ends with a
// message NFT_MSG_NEWGEN that bears the port of the socket it came from
// (nf_tables_gen_notify in net/netfilter/nf_tables_api.c).
func (w *Watcher) author(m netlink.Message) (string, bool) {
	if !ends(m) || len(m.Data) < 4 || m.Header.PID == w.ours {
		return "", false
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[4:])
	if err != nil {
		return "", false
	}
	ad.ByteOrder = binary.BigEndian
	var pid uint32
	var name string
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_GEN_PROC_PID:
			pid = ad.Uint32()
		case unix.NFTA_GEN_PROC_NAME:
			name = ad.String()
		}
	}
	return fmt.Sprintf("%s[%d]", printable(name), pid), ad.Err() == nil
}

// printable keeps a process's name from speaking to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
