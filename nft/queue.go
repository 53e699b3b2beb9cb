// SPDX-License-Identifier: MIT

package nft

import (
	"errors"
	"fmt"

	"picket/nft/internal/queue"
)

// QueueName is the name of the table that leads to the NFQUEUE. It is a table of its
// own also because nft cannot load every form of its rule from text, and the output of
// "picket ruleset" must load everywhere.
const QueueName = Name + "_inline"

// ErrForeignQueue means that a table of that name exists that picket did not make.
var ErrForeignQueue = fmt.Errorf("table inet %[1]s exists and is not picket's: "+
	"rename it, or remove it with \"nft delete table inet %[1]s\"", QueueName)

// A QueueKind is the kernel's expression that queues.
type QueueKind = queue.Kind

// The kinds, named by the kernel's module.
const (
	QueueNative = queue.Native
	QueueCompat = queue.Compat
)

var inline = queue.Table{Name: QueueName, Mark: markPrefix + "inline", Call: inlineCall}

// Queue leads the marked packets to an NFQUEUE, and returns the expression in use.
// Without a reader of the queue they pass. It replaces an earlier Queue, and fails with
// [ErrForeignQueue] if the table is somebody else's. On a kernel without queues the
// error names the missing modules.
func (t *Table) Queue(number uint16) (QueueKind, error) {
	if _, err := t.Queued(); err != nil {
		return "", err
	}
	return inline.Install(t.conn, number)
}

// Unqueue removes the table of the queue from the kernel. It is no error if there is
// none; somebody else's stays.
func (t *Table) Unqueue() error {
	there, err := t.Queued()
	if err != nil || !there {
		return err
	}
	return explain("remove table inet "+QueueName, inline.Remove(t.conn))
}

// Queued reports whether the table of the queue is in the kernel. It fails with
// [ErrForeignQueue] if it is somebody else's.
func (t *Table) Queued() (bool, error) {
	there, err := inline.There(t.conn)
	if errors.Is(err, queue.ErrForeign) {
		return false, ErrForeignQueue
	}
	return there, explain("look for table inet "+QueueName, err)
}
