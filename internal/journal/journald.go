// SPDX-License-Identifier: MIT

package journal

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// socket is journald's, as https://systemd.io/JOURNAL_NATIVE_PROTOCOL has it.
const socket = "/run/systemd/journal/socket"

// A journald is the way to it, for one goroutine. The socket is connected, unlike that of
// go-systemd's Send: while journald hangs and its queue is full, the kernel calls one that
// is not connected writable all the time, and waiting for it takes a whole core.
type journald struct {
	path string
	conn net.Conn // nil: none yet
}

// send writes an entry, and waits as long as journald's queue is full. A journald that
// started anew with a socket of its own is found again.
func (j *journald) send(fields map[string]string) (err error) {
	b := native(fields)
	for range 2 {
		if j.conn == nil {
			if j.conn, err = net.Dial("unixgram", j.path); err != nil {
				j.conn = nil
				return err
			}
		}
		if _, err = j.conn.Write(b); err == nil {
			return nil
		}
		j.conn.Close()
		j.conn = nil
	}
	return err
}

// native is the form of an entry: a value of several lines follows its length.
func native(fields map[string]string) (b []byte) {
	for name, value := range fields {
		if !strings.Contains(value, "\n") {
			b = fmt.Appendf(b, "%s=%s\n", name, value)
			continue
		}
		b = binary.LittleEndian.AppendUint64(append(b, name+"\n"...), uint64(len(value)))
		b = append(append(b, value...), '\n')
	}
	return b
}
