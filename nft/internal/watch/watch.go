// SPDX-License-Identifier: MIT

// Package watch hears of what others change in nftables tables.
package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A Watcher hears of every change that another process makes to some tables. Make one
// with [New].
type Watcher struct {
	conn    *netlink.Conn
	tables  []string
	ours    uint32 // netlink port of our own changes, not reported
	touched bool   // the transaction being read is about these tables
}

// New subscribes to changes of the tables by any socket but the one with the netlink
// port ours, in the calling thread's network namespace. It needs CAP_NET_ADMIN.
func New(ours uint32, tables ...string) (*Watcher, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER,
		&netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	// Our own changes come by too, 100,000 elements at once after a reboot. An overflow
	// is reported as a change by nobody known, so a smaller buffer will do.
	_ = conn.SetReadBuffer(32 << 20)
	return &Watcher{conn: conn, tables: tables, ours: ours}, nil
}

// Run calls changed, with the name and thread number of the process, after each
// transaction of another process that touched one of the tables, until Close. A loss
// in a full socket is reported as a change by nobody known.
func (w *Watcher) Run(changed func(by string)) error {
	for {
		msgs, err := w.conn.Receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return w.conn.Close()
		case errors.Is(err, unix.ENOBUFS):
			changed("unknown")
			continue
		case err != nil:
			return fmt.Errorf("watch nftables: %w", err)
		}
		for _, m := range msgs {
			if by, ok := w.author(m); ok {
				changed(by)
			}
		}
	}
}

// Close ends Run, from any goroutine.
func (w *Watcher) Close() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) }

// author returns the process behind a transaction of others that touched the tables, at
// its end. That is a message NFT_MSG_NEWGEN; like those before it, it bears the port of
// its socket (nf_tables_gen_notify in
// net/netfilter/nf_tables_api.c).
func (w *Watcher) author(m netlink.Message) (string, bool) {
	kind := uint16(m.Header.Type)
	if kind>>8 != unix.NFNL_SUBSYS_NFTABLES || len(m.Data) < 4 || m.Header.PID == w.ours {
		return "", false
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[4:])
	if err != nil {
		return "", false
	}
	ad.ByteOrder = binary.BigEndian
	if kind&0xff != unix.NFT_MSG_NEWGEN {
		// The first attribute of any message names the table.
		w.touched = w.touched || ad.Next() && ad.Type() == unix.NFTA_TABLE_NAME &&
			slices.Contains(w.tables, ad.String())
		return "", false
	}
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
	touched := w.touched
	w.touched = false
	return fmt.Sprintf("%s[%d]", printable(name), pid), touched && ad.Err() == nil
}

// printable stops a process's name from controlling a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
