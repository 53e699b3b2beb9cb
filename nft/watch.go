// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"

	"picket/nft/internal/watch"
)

// A Watcher hears of every change that another process makes to our tables. One is
// "flush ruleset", the first line of Debian's /etc/nftables.conf: it removes them.
type Watcher = watch.Watcher

// Watch subscribes to what others than t change, in the calling thread's
// network namespace. It needs CAP_NET_ADMIN.
func (t *Table) Watch() (*Watcher, error) {
	ours, err := t.conn.GetPortID()
	if err != nil {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	return watch.New(ours, Name, QueueName)
}
